#include "test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "nn/model.h"

static void check_refused(const char *text, const char *why)
{
	struct model *m;
	struct err err;

	CHECK_INT(model_open(&m, text, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, why);
}

TEST(model_mlp_has_pytorchs_parameters)
{
	struct model *m;
	struct err err;

	CHECK(!model_open(&m, "mlp", &err));
	CHECK_STR(m->text, "dense 128; relu; dense 10");
	CHECK_INT(m->n, 101770);
	CHECK_INT(m->classes, 10);
	CHECK_INT(m->n_params, 4);
	CHECK_STR(m->params[0].name, "fc1.weight");
	CHECK_INT(m->params[0].dim[0], 128);
	CHECK_INT(m->params[0].dim[1], 784);
	CHECK_STR(m->params[1].name, "fc1.bias");
	CHECK_INT(m->params[1].at, 128 * 784);
	CHECK_STR(m->params[2].name, "fc2.weight");
	CHECK_STR(m->params[3].name, "fc2.bias");
	CHECK_INT(m->params[3].at + m->params[3].len, m->n);
	model_free(m);
	CHECK(!model_open(&m, "softmax", &err));
	CHECK_INT(m->n, 7850);
	model_free(m);
}

TEST(model_texts_that_mean_the_same_are_the_same)
{
	struct model *a, *b, *c;
	struct err err;

	CHECK(!model_open(&a, "mlp", &err));
	CHECK(!model_open(&b, "input 1 28 28;\n  dense  128;;relu\n dense 10;",
			  &err));
	CHECK(!model_open(&c, "input 784; dense 129; relu; dense 10", &err));
	CHECK_STR(b->text, a->text);
	CHECK(a->layout == b->layout);
	CHECK(a->layout == 0xf727eed79d18e385u); /* for ever */
	CHECK(a->layout != c->layout);
	CHECK_STR(c->text, "input 784 1 1; dense 129; relu; dense 10");
	model_free(a);
	model_free(b);
	model_free(c);
}

TEST(model_text_that_is_wrong_is_refused_with_the_reason)
{
	char long_text[MODEL_TEXT_MAX + 2];

	memset(long_text, ' ', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	check_refused("mpl", "model \"mpl\": no preset and no layer is called "
			     "\"mpl\" (presets: softmax, mlp; layers: "
			     "dense, relu)");
	check_refused("dense", "expected \"dense UNITS\"");
	check_refused("dense 1 2", "expected \"dense UNITS\"");
	check_refused("dense 0", "\"0\" in \"dense\" is not a number from 1");
	check_refused("dense -3", "is not a number");
	check_refused("dense 12x", "is not a number");
	check_refused("dense 99999999999999999999", "is not a number");
	check_refused("dense 2000000", "expected 1 to 1048576");
	check_refused("dense 1 2 3 4 5", "is not a number");
	check_refused("dense 1 2 3 4 5 6 7 8 9", "too many words");
	check_refused("", "no layer with parameters");
	check_refused("relu", "no layer with parameters");
	check_refused("dense 3; input 4", "must come before");
	check_refused("input 4 5; dense 1", "expected \"input N\"");
	check_refused("input 4000 4000 4000; dense 1", "an input of more");
	check_refused("input 1000000; dense 1000000", "parameters");
	check_refused(long_text, "more than 4096 bytes");
}

TEST(model_of_too_many_layers_is_refused)
{
	char text[5 * (MODEL_LAYERS_MAX + 1) + 16] = "";

	for (int i = 0; i <= MODEL_LAYERS_MAX; i++)
		strcat(text, "relu;");
	check_refused(text, "more than 256 layers");
}

TEST(model_init_is_given_by_the_seed_within_pytorchs_bounds)
{
	float *a, *b, top = 0;
	struct model *m;
	struct err err;

	CHECK(!model_open(&m, "mlp", &err));
	a = mem_zero(m->n, sizeof(float));
	b = mem_zero(m->n, sizeof(float));
	model_init(m, 42, a);
	model_init(m, 42, b);
	CHECK(!memcmp(a, b, m->n * sizeof(float)));
	model_init(m, 43, b);
	CHECK(memcmp(a, b, m->n * sizeof(float)));
	for (size_t i = 0; i < m->params[0].len; i++)
		top = fmaxf(top, fabsf(a[i]));
	CHECK(top <= 1.F / 28 && top > 0.999F / 28);
	CHECK(a[0] != a[m->params[2].at]);
	model_free(m);
	free(a);
	free(b);
}
