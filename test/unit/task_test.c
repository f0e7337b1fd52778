#include "test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "nn/model.h"
#include "task/heap.h"
#include "task/layers.h"
#include "task/line.h"
#include "task/machine.h"
#include "task/task_json.h"
#include "wire/rpc.h"

static struct err err;

/* ---- heap ---- */

struct thing {
	int v;
	size_t place;
};

static bool less(const void *a, const void *b)
{
	return ((const struct thing *)a)->v < ((const struct thing *)b)->v;
}

TEST(a_heap_gives_the_least_whatever_was_taken_out)
{
	struct thing all[500];
	struct rand r = {7};
	struct heap h;
	int last = -1;

	heap_init(&h, less, offsetof(struct thing, place));
	for (int i = 0; i < 500; i++) {
		all[i] = (struct thing){(int)rand_below(&r, 1000), 0};
		heap_add(&h, &all[i]);
	}
	for (int i = 0; i < 500; i += 3)
		heap_take(&h, &all[i]);
	heap_take(&h, &all[0]); /* it is not in */
	CHECK_INT(h.n, 333);
	while (h.n) {
		struct thing *t = h.at[0];

		CHECK(t->v >= last && (t - all) % 3);
		last = t->v;
		heap_take(&h, t);
	}
	heap_release(&h);
}

/* ---- lines ---- */

static bool named(const char *name, int64_t *id, int32_t *item, void *arg)
{
	(void)arg;
	*id = *name == 'a' ? 7 : 0;
	*item = 2;
	return *name == 'a' || *name == 'b';
}

static Gfl__V1__TaskSpec *line(const char *text)
{
	const struct line_opts o = {
		.priority = 1, .retries = 3, .timeout_ms = 5000};
	Gfl__V1__TaskSpec *s;

	return line_parse(&s, text, strlen(text), &o, named, NULL, &err) ? NULL
									 : s;
}

TEST(a_line_goes_to_the_worker_as_it_was_written)
{
	Gfl__V1__TaskSpec *s = line("{\"a\": 0.10,\"b\":[ ]}");

	CHECK_STR(s->task, "{\"a\": 0.10,\"b\":[ ]}");
	CHECK(s->tries == 4 && s->priority == 1 && s->timeout_ms == 5000);
	rpc_free(&s->base);
}

TEST(what_is_for_the_queue_stays_there)
{
	Gfl__V1__TaskSpec *s = line(
		"{\"z\":1,\"gfl\":{\"name\":\"n\",\"after\":[\"a\",\"b\",9],"
		"\"priority\":-2,\"retries\":0,\"timeout_s\":0.25,\"gpu\":true,"
		"\"affinity\":\"d\"},\"y\":0.1}");

	CHECK_STR(s->task, "{\"z\":1,\"y\":0.1}");
	CHECK_STR(s->name, "n");
	CHECK_STR(s->affinity, "d");
	CHECK(s->n_after == 2 && s->after[0] == 7 && s->after[1] == 9);
	CHECK(s->n_after_items == 1 && s->after_items[0] == 2);
	CHECK(s->priority == -2 && s->tries == 1 && s->timeout_ms == 250);
	CHECK(s->gpu);
	rpc_free(&s->base);
}

TEST(without_what_is_for_the_queue_a_line_is_as_it_was_written)
{
	static const char *const rows[][2] = {
		{"{\"gfl\":{}}", "{}"},
		{" { \"gfl\" : {} } ", " {} "},
		{"{\"gfl\":{\"name\":\"}\\\"\"}, \"lr\": 0.10}",
		 "{\"lr\": 0.10}"},
		{"{\"a\":\"\\\\\", \"gfl\":{\"after\":[9]} }",
		 "{\"a\":\"\\\\\"}"},
		{"{\"x\":{\"gfl\":1},\"gfl\":{},\"y\":[\"gfl\",1e3]}",
		 "{\"x\":{\"gfl\":1},\"y\":[\"gfl\",1e3]}"},
		{"{\"g\\u0066l\":{},\"y\": 0.5}", "{\"y\":0.5}"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		Gfl__V1__TaskSpec *s = line(rows[i][0]);

		CHECK_STR(s->task, rows[i][1]);
		rpc_free(&s->base);
	}
}

TEST(a_line_that_is_no_task_is_refused_with_the_reason)
{
	static const char *const rows[][2] = {
		{"", "no JSON: column 0: '[' or '{' expected near end of file"},
		{"[]", "no JSON object"},
		{"{\"a\":1,\"a\":2}", "duplicate object key"},
		{"{\"gfl\":1}", "\"gfl\" is no object"},
		{"{\"gfl\":{\"prio\":1}}", "gfl.prio is unknown"},
		{"{\"gfl\":{\"priority\":1.5}}",
		 "gfl.priority is not a number"},
		{"{\"gfl\":{\"retries\":1000}}", "from 0 to 999"},
		{"{\"gfl\":{\"timeout_s\":0}}", "gfl.timeout_s is not 0.001 s"},
		{"{\"gfl\":{\"timeout_s\":188888888888888888.5}}",
		 "gfl.timeout_s is not 0.001 s to a year"},
		{"{\"gfl\":{\"timeout_s\":\"1\"}}", "gfl.timeout_s is not"},
		{"{\"gfl\":{\"gpu\":1}}", "gfl.gpu is not true or false"},
		{"{\"gfl\":{\"name\":\"\"}}", "gfl.name is not a text"},
		{"{\"gfl\":{\"after\":0}}", "gfl.after is not ids or names"},
		{"{\"gfl\":{\"after\":\"c\"}}", "which is no earlier line"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		CHECK(!line(rows[i][0]));
		CHECK_INT(err.code, ERR_INVALID_ARGUMENT);
		CHECK_HAS(err.msg, rows[i][1]);
	}
	CHECK(task_json_object("{\"a\":null\0}", 11, NULL, &err) ==
	      ERR_INVALID_ARGUMENT);
}

/* ---- results ---- */

static const char *printed(const char *text)
{
	static char *out;

	free(out);
	out = NULL;
	return task_json_printed(text, strlen(text), &out, &err) ? "refused"
	       : out                                             ? out
								 : "nothing";
}

TEST(the_last_line_that_a_command_printed_is_its_result)
{
	CHECK_STR(printed(""), "nothing");
	CHECK_STR(printed(" \n\n"), "nothing");
	CHECK_STR(printed("epoch 1\n{\"a\": 0.10}\r\n\n"), "{\"a\": 0.10}");
	CHECK_STR(printed("{\"a\":1}\ndone\n"), "refused");
	CHECK_HAS(err.msg, "its last line \"done\": no JSON");
	CHECK_STR(printed("[1]"), "refused");
	CHECK_STR(printed("{\"a\":NaN}"), "refused");
}

TEST(the_numbers_of_a_result)
{
	task_json_metric **all;
	size_t n;

	task_json_numbers("{\"a\":1,\"b\":\"x\",\"c\":0.5,\"d\":true}", &all,
			  &n);
	CHECK_INT(n, 2);
	CHECK_STR(all[1]->key, "c");
	CHECK_NEAR(all[1]->value, 0.5, 0);
	task_json_free_numbers(all, n);
	task_json_numbers("{\"a\":1,\"metrics\":{\"loss\":2}}", &all, &n);
	CHECK_INT(n, 1);
	CHECK_STR(all[0]->key, "loss");
	task_json_free_numbers(all, n);
}

/* ---- architectures ---- */

static const char *model(const char *json)
{
	static struct buf b;
	json_t *all = json_loads(json, 0, NULL);
	struct model *m;
	int rc;

	CHECK(all != NULL);
	buf_reset(&b);
	rc = layers_text(&b, all, &err);
	json_decref(all);
	if (rc)
		return "refused";
	CHECK(!model_open(&m, b.p, &err));
	model_free(m);
	return b.p;
}

TEST(layers_in_json_as_keras_and_pytorch_name_them)
{
	CHECK_STR(model("[{\"type\":\"dense\",\"units\":64,\"activation\":"
			"\"relu\"},{\"type\":\"Linear\",\"out_features\":10}]"),
		  "dense 64; relu; dense 10");
	CHECK_STR(
		model("{\"input\":[3,32,32],\"layers\":[{\"layer_type\":"
		      "\"Conv2D\",\"params\":{\"filters\":8,\"kernel_size\":[5,"
		      "5],\"padding\":\"same\",\"use_bias\":false}},"
		      "{\"type\":\"BatchNormalization\"},{\"type\":\"relu\"},"
		      "{\"type\":\"MaxPooling2D\",\"pool_size\":2},"
		      "{\"type\":\"GlobalAveragePooling2D\"},"
		      "{\"type\":\"flatten\"},"
		      "{\"type\":\"dense\",\"units\":10,\"activation\":"
		      "\"softmax\"}]}"),
		"input 3 32 32; conv 8 5 pad 2 nobias; batchnorm; relu; "
		"maxpool 2; avgpool; dense 10");
}

TEST(an_architecture_that_cannot_be_names_its_layer)
{
	static const char *const rows[][2] = {
		{"[]", "no list of 1 to 256 layers"},
		{"{}", "no list of 1 to 256 layers"},
		{"[1]", "layer 1: it has no \"type\""},
		{"[{\"type\":\"lstm\"}]",
		 "layer 1: there is no layer \"lstm\""},
		{"[{\"type\":\"dense\"}]", "layer 1: units is no number"},
		{"[{\"type\":\"relu\"},{\"type\":\"conv\",\"filters\":1,"
		 "\"kernel\":[3,5]}]",
		 "layer 2: only squares"},
		{"[{\"type\":\"dense\",\"units\":1,\"activation\":\"gelu\"}]",
		 "activation \"gelu\" is not known"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		CHECK_STR(model(rows[i][0]), "refused");
		CHECK_HAS(err.msg, rows[i][1]);
	}
}

/* ---- the machine ---- */

TEST(what_the_kernel_and_nvidia_smi_say)
{
	static const char smi[] = "0, 10, 1024, 8192\n3, 30, 3072, 8192\n";
	struct machine_metrics m = {0};
	struct machine_cpu cpu;
	double memory = 0;

	CHECK(machine_parse_stat("cpu  10 1 5 80 4 0 0 0 0 0\ncpu0 1\n", &cpu));
	CHECK(cpu.busy == 16 && cpu.all == 100);
	CHECK(!machine_parse_stat("intr 1", &cpu));
	CHECK(machine_parse_memory("MemTotal:  200 kB\nMemFree: 1 kB\n"
				   "MemAvailable:  50 kB\n",
				   &memory));
	CHECK_NEAR(memory, 75, 1e-9);
	CHECK(!machine_parse_memory("MemTotal: 200 kB\n", &memory));
	CHECK(machine_parse_gpus(smi, strlen(smi), &m));
	CHECK(m.n_gpus == 2 && m.gpus[1] == 3);
	CHECK_NEAR(m.gpu, 20, 1e-9);
	CHECK_NEAR(m.gpu_memory, 25, 1e-9);
	CHECK(!machine_parse_gpus("0, [N/A], 1, 2\n", 15, &m));
	CHECK(!machine_parse_gpus("No devices were found\n", 22, &m));
	CHECK_INT(m.n_gpus, 2);
}

TEST(a_number_that_no_configuration_holds_goes_beside_it)
{
	struct task *t =
		task_new(1, "{\"epochs\":1e300,\"batch\":-3}", NULL, NULL);
	Morphml__Distributed__EvaluateRequest *in = task_json_request(t);

	CHECK_INT(in->config->num_epochs, 0);
	CHECK_INT(in->config->batch_size, -3);
	CHECK_INT(in->config->n_extra, 1);
	CHECK_STR(in->config->extra[0]->key, "epochs");
	rpc_free(&in->base);
	task_free(t);
}
