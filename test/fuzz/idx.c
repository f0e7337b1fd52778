/* IDX files, plain and gzipped: what is opened can be read to its end. */
#include "memfile.h"

#include "nn/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct memfile f;
	struct idx idx = {0};
	size_t product = 1;
	unsigned sum = 0;
	struct err err;

	unsetenv("XDG_CACHE_HOME"); /* no cache */
	unsetenv("HOME");
	memfile_open(&f, data, len);
	if (!idx_open(&idx, f.path, &err)) {
		for (int i = 0; i < idx.dims; i++)
			product *= idx.dim[i];
		FUZZ_CHECK(product == idx.len && idx.len);
		for (size_t i = 0; i < idx.len; i++)
			sum += idx.p[i];
		FUZZ_CHECK(sum <= 255 * idx.len);
		idx_close(&idx);
	}
	close(f.fd);
	return 0;
}
