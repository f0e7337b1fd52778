/* CSV data sets: what is read is labels and finite values, of one shape. */
#include "memfile.h"

#include <math.h>

#include "nn/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct memfile f;
	struct examples e;
	struct err err;

	memfile_open(&f, data, len);
	if (csv_read(&e, f.path, len % 2 ? "1" : NULL, &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT);
	} else {
		FUZZ_CHECK(e.count > 0 && e.shape.c > 0 && !e.pixels);
		for (size_t i = 0; i < e.count * shape_len(&e.shape); i++)
			FUZZ_CHECK(isfinite(e.values[i]));
		examples_release(&e);
	}
	close(f.fd);
	return 0;
}
