/* .npz files: a set that is read has a label for each example. */
#include "memfile.h"

#include "nn/arrays.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct memfile f;
	struct examples e;
	unsigned sum = 0;
	struct err err;

	memfile_open(&f, data, len);
	if (arrays_read_npz(&e, f.path, NULL, &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT);
	} else {
		FUZZ_CHECK(e.count > 0 && !e.pixels != !e.values);
		for (size_t i = 0; i < e.count; i++)
			sum += e.labels[i];
		FUZZ_CHECK(sum <= 255 * e.count);
		examples_release(&e);
	}
	close(f.fd);
	return 0;
}
