/* Index files: no index is beyond the data set. */
#include "memfile.h"

#include "nn/index.h"

enum { OF = 60000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct memfile f;
	struct index ix;
	struct err err;

	memfile_open(&f, data, len);
	if (index_read(&ix, f.path, OF, &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT);
	} else {
		FUZZ_CHECK(ix.n > 0);
		for (size_t i = 0; i < ix.n; i++)
			FUZZ_CHECK(ix.i[i] < OF);
		index_release(&ix);
	}
	close(f.fd);
	return 0;
}
