/* .npy files: every value of what is understood can be read. */
#include "fuzz.h"

#include <string.h>

#include "nn/npy.h"

/* A float32 array is written again and means the same. */
static void check_again(const struct npy *a)
{
	struct buf b = BUF_INIT(0);
	struct npy again;
	struct err err;
	float *copy = malloc(a->len * sizeof(float) + 1);

	memcpy(copy, a->data, a->len * sizeof(float));
	npy_encode(&b, a->dims, a->dim, copy);
	FUZZ_CHECK(!npy_decode(&again, b.p, b.len, "again", &err));
	FUZZ_CHECK(again.len == a->len && again.dims == a->dims);
	FUZZ_CHECK(!memcmp(again.data, a->data, a->len * sizeof(float)));
	free(copy);
	buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct npy a;
	struct err err;
	double sum = 0;

	if (npy_decode(&a, data, len, "input", &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT);
		return 0;
	}
	FUZZ_CHECK(a.at + a.len * (size_t)a.size == len);
	for (size_t i = 0; i < a.len; i++)
		sum += npy_value(&a, i);
	if (a.kind == 'f' && a.size == 4)
		check_again(&a);
	FUZZ_CHECK(a.kind == 'f' || sum == sum);
	return 0;
}
