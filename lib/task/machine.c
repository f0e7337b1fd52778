#include "task/machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/input.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"

enum {
	SMI_MS = 5000,
	SMI_GRACE_MS = 1000,
	SMI_MAX = 1 << 16,
	PROC_MAX = 1 << 20,
};

struct machine {
	struct loop *loop;
	struct machine_metrics now;
	struct machine_cpu before;
	struct command *smi; /* NULL: there is none */
	struct process *asked;
	struct timer timer;
};

/* ---- what is read ---- */

bool machine_parse_stat(const char *text, struct machine_cpu *out)
{
	uint64_t user, nice, system, idle, wait, irq, soft, steal;

	if (sscanf(text,
		   "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		   " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		   &user, &nice, &system, &idle, &wait, &irq, &soft,
		   &steal) != 8)
		return false;
	out->busy = user + nice + system + irq + soft + steal;
	out->all = out->busy + idle + wait;
	return true;
}

static bool find_kb(const char *text, const char *name, double *out)
{
	const char *at = strstr(text, name);

	return at && sscanf(at + strlen(name), ": %lf kB", out) == 1;
}

bool machine_parse_memory(const char *text, double *out)
{
	double all, free_kb;

	if (!find_kb(text, "MemTotal", &all) ||
	    !find_kb(text, "MemAvailable", &free_kb) || all <= 0)
		return false;
	*out = 100 * (1 - free_kb / all);
	return true;
}

bool machine_parse_gpus(const char *text, size_t len,
			struct machine_metrics *out)
{
	struct machine_metrics m = *out;
	double gpu = 0, memory = 0;
	char *all = mem_dup(text, len), *rest = all, *line;
	bool ok = true;

	m.n_gpus = 0;
	while (ok && (line = strsep(&rest, "\n"))) {
		double busy, used, total;
		int index, end = 0;

		if (!*line)
			continue;
		ok = m.n_gpus < MACHINE_GPUS &&
		     sscanf(line, " %d , %lf , %lf , %lf %n", &index, &busy,
			    &used, &total, &end) == 4 &&
		     !line[end] && index >= 0 && index < 1024 && total > 0 &&
		     busy >= 0 && busy <= 100 && used >= 0 && used <= total;
		if (!ok)
			break;
		m.gpus[m.n_gpus++] = index;
		gpu += busy;
		memory += 100 * used / total;
	}
	free(all);
	if (!ok)
		return false;
	m.gpu = m.n_gpus ? gpu / m.n_gpus : 0;
	m.gpu_memory = m.n_gpus ? memory / m.n_gpus : 0;
	*out = m;
	return true;
}

/* ---- looking ---- */

static void look_cpu(struct machine *m)
{
	struct machine_cpu now;
	struct buf text = BUF_INIT(PROC_MAX);
	struct err none;

	if (!input_read(&text, "/proc/stat", &none) &&
	    machine_parse_stat(text.p, &now)) {
		uint64_t all = now.all - m->before.all;
		uint64_t busy = now.busy - m->before.busy;

		if (all)
			m->now.cpu = 100.0 * (double)busy / (double)all;
		m->before = now;
	}
	buf_release(&text);
}

static void look_memory(struct machine *m)
{
	struct buf text = BUF_INIT(PROC_MAX);
	struct err none;

	if (!input_read(&text, "/proc/meminfo", &none))
		machine_parse_memory(text.p, &m->now.memory);
	buf_release(&text);
}

static void answered(const struct err *err, const char *out, size_t len,
		     void *arg)
{
	struct machine *m = arg;

	m->asked = NULL;
	if (!err && machine_parse_gpus(out, len, &m->now))
		return;
	log_warn("nvidia_smi", "error=%s",
		 err ? err->msg : "it said what we do not understand");
	m->now.gpu = m->now.gpu_memory = 0;
}

static void look_gpus(struct machine *m)
{
	const struct process_opts opts = {
		.timeout_ms = SMI_MS,
		.grace_ms = SMI_GRACE_MS,
		.out_max = SMI_MAX,
	};
	struct err err;

	if (!m->smi || m->asked)
		return;
	if (process_start(&m->asked, m->loop, m->smi, &opts, answered, m, &err))
		log_err("nvidia_smi", &err);
}

static void look(void *arg)
{
	look_cpu(arg);
	look_memory(arg);
	look_gpus(arg);
}

void machine_open(struct machine **out, struct loop *loop, int64_t period_ms,
		  bool no_gpu)
{
	static const char smi[] =
		"nvidia-smi --query-gpu=index,utilization.gpu,memory.used,"
		"memory.total --format=csv,noheader,nounits";
	struct machine *m = mem_zero(1, sizeof(*m));
	struct err none;

	m->loop = loop;
	/* not below gfl-guard: it starts nothing, and is over in a moment */
	if (!no_gpu && command_open(&m->smi, smi, &none))
		m->smi = NULL;
	look(m);
	while (m->asked)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
	timer_every(&m->timer, loop, period_ms, look, m);
	*out = m;
}

void machine_close(struct machine *m)
{
	if (!m)
		return;
	timer_stop(&m->timer);
	process_drop(m->asked);
	command_free(m->smi);
	free(m);
}

const struct machine_metrics *machine_look(const struct machine *m)
{
	return &m->now;
}
