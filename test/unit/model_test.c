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

static void check_preset(const char *name, size_t n, size_t len)
{
	struct model *m, *again;
	struct err err;

	CHECK(!model_open(&m, name, &err));
	CHECK_INT(m->n, n);
	CHECK_INT(m->len, len);
	CHECK_INT(m->classes, 10);
	CHECK(!model_open(&again, m->text, &err));
	CHECK_STR(again->text, m->text);
	CHECK(again->layout == m->layout);
	model_free(again);
	model_free(m);
}

TEST(model_presets_have_the_papers_numbers_of_parameters)
{
	check_preset("softmax", 7850, 7850);
	check_preset("mlp", 101770, 101770);
	check_preset("cnn", 1663370, 1663370);
	check_preset("cifar10flnet", 1756426, 1756426);
	/* means and variances of 19 layers */
	check_preset("resnet20", 269722,
		     269722 + 2 * (7 * 16 + 6 * 32 + 6 * 64));
}

TEST(model_conv_and_batchnorm_have_pytorchs_names_and_order)
{
	const char *text = "input 3 8 8; residual; conv 3 3 pad 1 nobias; "
			   "batchnorm; add; conv 5 2 stride 2; dense 10";
	static const char *const names[] = {
		"conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight",
		"conv2.bias",   "fc1.weight", "fc1.bias"};
	struct model *m;
	struct err err;

	CHECK(!model_open(&m, text, &err));
	CHECK_STR(m->text, text);
	CHECK_INT(m->n_params, 7);
	for (int i = 0; i < 7; i++)
		CHECK_STR(m->params[i].name, names[i]);
	CHECK_INT(m->params[3].dims, 4);
	CHECK_INT(m->params[3].dim[0], 5);
	CHECK_INT(m->params[3].dim[1], 3);
	CHECK_INT(m->params[3].dim[2], 2);
	CHECK_INT(m->params[5].dim[1], 5 * 4 * 4);
	CHECK_INT(m->n_buffers, 2);
	CHECK_STR(m->buffers[0].name, "bn1.running_mean");
	CHECK_STR(m->buffers[1].name, "bn1.running_var");
	CHECK_INT(m->buffers[0].at, m->n);
	CHECK_INT(m->len, m->n + 6);
	model_free(m);
}

TEST(model_init_of_batchnorm_is_the_identity)
{
	struct model *m;
	struct err err;
	float v[8 + 5];

	CHECK(!model_open(&m, "input 2; batchnorm; dense 1", &err));
	CHECK_INT(m->len, 4 + 3 + 4);
	model_init(m, 1, v);
	CHECK(v[0] == 1 && v[1] == 1 && v[2] == 0 && v[3] == 0);
	CHECK(v[7] == 0 && v[8] == 0 && v[9] == 1 && v[10] == 1);
	model_free(m);
}

TEST(model_text_that_is_wrong_is_refused_with_the_reason)
{
	char long_text[MODEL_TEXT_MAX + 2];

	memset(long_text, ' ', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	check_refused("mpl", "model \"mpl\": no preset and no layer is called "
			     "\"mpl\" (presets: softmax, mlp, cnn, "
			     "cifar10flnet, resnet20; layers: dense, relu, "
			     "conv, maxpool, avgpool, flatten, batchnorm, lrn, "
			     "add, residual)");
	check_refused("dense", "expected \"dense UNITS\"");
	check_refused("dense 1 2", "expected \"dense UNITS\"");
	check_refused("conv 3 3 pad", "expected \"conv CHANNELS KERNEL");
	check_refused("conv 3 3 bad 1", "expected \"conv CHANNELS KERNEL");
	check_refused("conv 3 3 pad -1", "\"-1\" in \"pad\" is not a number "
					 "from 0");
	check_refused("conv 3 3 stride 0", "is not a number from 1");
	check_refused("conv 3 29", "conv: a kernel of 29 on 28 x 28 values");
	check_refused("conv 3 3 pad 3", "a pad below the kernel");
	check_refused("conv 100000 1", "expected 1 to 65536");
	check_refused("conv 65536 1; conv 1 1", "more than 16777216 values");
	check_refused("maxpool 2 pad 2", "at most half of the kernel");
	check_refused("lrn 3 alpha nan", "\"nan\" in \"alpha\" is not");
	check_refused("add; dense 1", "\"add\" without \"residual\"");
	check_refused("residual; add; dense 1", "a layer between them");
	check_refused("residual; dense 1", "\"residual\" without \"add\"");
	check_refused("residual; input 3; dense 1", "must come before");
	check_refused("residual 1; dense 1", "expected \"residual\"");
	check_refused("dense 9; residual; dense 8; add",
		      "add: 9 x 1 x 1 remembered, which no shortcut makes 8 x "
		      "1 x 1");
	check_refused("dense 0", "\"0\" in \"dense\" is not a number from 1");
	check_refused("dense -3", "is not a number");
	check_refused("dense 12x", "is not a number");
	check_refused("dense 99999999999999999999", "is not a number");
	check_refused("dense 2000000", "expected 1 to 1048576");
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
	a = mem_zero(m->len, sizeof(float));
	b = mem_zero(m->len, sizeof(float));
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
