/* What comes with a task: a line of gfl-submit, what a command printed, an
 * architecture in JSON, what nvidia-smi says. */
#include "fuzz.h"

#include <string.h>

#include "base/mem.h"
#include "nn/model.h"
#include "task/layers.h"
#include "task/line.h"
#include "task/machine.h"
#include "task/task_json.h"
#include "wire/rpc.h"

static bool named(const char *name, int64_t *id, int32_t *item, void *arg)
{
	(void)arg;
	*id = name[0] == 'a' ? 7 : 0;
	*item = 0;
	return name[0] == 'a' || name[0] == 'b';
}

/* What goes to a worker is a task without "gfl", and says the same to one of
 * others, and back. */
static void line(const char *text, size_t len)
{
	const struct line_opts o = {.retries = 3, .timeout_ms = 1000};
	Gfl__V1__TaskSpec *spec;
	Morphml__Distributed__EvaluateRequest *m;
	struct task *t;
	struct err err;
	json_t *all;
	char *back;

	if (line_parse(&spec, text, len, &o, named, NULL, &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT);
		return;
	}
	FUZZ_CHECK(!task_json_object(spec->task, strlen(spec->task), &all, &err));
	FUZZ_CHECK(!json_object_get(all, "gfl"));
	FUZZ_CHECK(spec->tries >= 1 && spec->timeout_ms >= 1);
	json_decref(all);
	t = task_new(1, spec->task, spec->name, spec->affinity);
	m = task_json_request(t);
	if (!task_json_text(m, &back, &err)) {
		FUZZ_CHECK(!task_json_object(back, strlen(back), NULL, &err));
		free(back);
	}
	rpc_free(&m->base);
	task_free(t);
	rpc_free(&spec->base);
}

static void printed(const char *text, size_t len)
{
	task_json_metric **all;
	struct err err;
	char *out, *again;
	size_t n;

	if (task_json_printed(text, len, &out, &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT && !out);
		return;
	}
	task_json_numbers(out ? out : "", &all, &n);
	again = task_json_metrics(all, n);
	FUZZ_CHECK(!task_json_object(again, strlen(again), NULL, &err));
	free(again);
	task_json_free_numbers(all, n);
	free(out);
}

/* What is a text is a model, or is refused as one. */
static void layers(const char *text, size_t len)
{
	struct buf b = BUF_INIT(0);
	struct model *m;
	struct err err;
	json_t *all = NULL;

	if (!task_json_object(text, len, &all, &err) && !layers_text(&b, all, &err) &&
	    b.p && !model_open(&m, b.p, &err))
		model_free(m);
	json_decref(all);
	buf_release(&b);
}

static void machine(const char *text, size_t len)
{
	struct machine_metrics m = {0};
	struct machine_cpu cpu;
	char *copy = mem_dup(text, len);

	if (machine_parse_gpus(text, len, &m))
		FUZZ_CHECK(m.n_gpus <= MACHINE_GPUS && m.gpu >= 0 &&
			   m.gpu <= 100 && m.gpu_memory >= 0 &&
			   m.gpu_memory <= 100);
	machine_parse_stat(copy, &cpu);
	machine_parse_memory(copy, &m.memory);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const targets[])(const char *text, size_t len) = {
		line, printed, layers, machine};
	const char *text = (const char *)data + 1;

	if (!len)
		return 0;
	targets[data[0] % 4](text, len - 1);
	return 0;
}
