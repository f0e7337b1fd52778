/* LIBSVM data sets: what is read is labels and finite values, of one shape. */
#include "memfile.h"

#include <math.h>

#include "nn/libsvm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct memfile f;
	struct examples e;
	struct err err;

	memfile_open(&f, data, len);
	if (libsvm_read(&e, f.path, &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT);
	} else {
		size_t n = e.count * shape_len(&e.shape);

		FUZZ_CHECK(e.count > 0 && n > 0);
		FUZZ_CHECK(isfinite(e.values[0]) && isfinite(e.values[n - 1]));
		examples_release(&e);
	}
	close(f.fd);
	return 0;
}
