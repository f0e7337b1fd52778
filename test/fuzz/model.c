/* A model's text, as a run brings it: the canonical text means the same. */
#include "fuzz.h"

#include <string.h>

#include "nn/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = strndup((const char *)data, len);
	struct model *m, *again;
	struct err err;
	size_t n = 0;

	if (model_open(&m, text, &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT);
		free(text);
		return 0;
	}
	FUZZ_CHECK(m->n > 0 && m->n <= MODEL_PARAMS_MAX && m->classes > 0);
	FUZZ_CHECK(m->n_layers <= MODEL_LAYERS_MAX);
	for (int i = 0; i < m->n_params; i++) {
		FUZZ_CHECK(m->params[i].at == n);
		n += m->params[i].len;
	}
	FUZZ_CHECK(n == m->n);
	FUZZ_CHECK(!model_open(&again, m->text, &err));
	FUZZ_CHECK(!strcmp(m->text, again->text));
	FUZZ_CHECK(m->layout == again->layout && m->n == again->n);
	model_free(m);
	model_free(again);
	free(text);
	return 0;
}
