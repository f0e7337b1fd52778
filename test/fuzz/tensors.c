/* safetensors files: what is read is written, and read back, alike. */
#include "fuzz.h"

#include <string.h>

#include "nn/tensors.h"

static void check_alike(const struct tensors *a, const struct tensors *b)
{
	FUZZ_CHECK(a->n == b->n && a->n_meta == b->n_meta);
	for (size_t i = 0; i < a->n; i++) {
		const struct tensor *t = tensors_find(b, a->t[i].name);
		char text[TENSOR_SHAPE_TEXT];

		FUZZ_CHECK(t && tensor_alike(&a->t[i], t));
		FUZZ_CHECK(!t->size || !memcmp(t->data, a->t[i].data, t->size));
		FUZZ_CHECK(strlen(tensor_shape_text(t, text)) < sizeof(text));
	}
	for (size_t i = 0; i < a->n_meta; i++) {
		const char *v = tensors_get(b, a->meta[i].key);

		FUZZ_CHECK(v && !strcmp(v, a->meta[i].value));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct tensors ts, back;
	struct buf again = BUF_INIT(0);
	struct err err;

	if (tensors_decode(&ts, data, len, "input", &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT);
		return 0;
	}
	tensors_encode(&ts, &again);
	FUZZ_CHECK(!tensors_decode(&back, again.p, again.len, "again", &err));
	check_alike(&ts, &back);
	tensors_release(&ts);
	tensors_release(&back);
	buf_release(&again);
	return 0;
}
