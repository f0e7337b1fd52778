/* machine.h - how busy this machine is: processor and memory as the kernel
 * counts them, graphics processors as nvidia-smi tells, where there is one. */
#ifndef TASK_MACHINE_H
#define TASK_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

enum { MACHINE_GPUS = 32 };

struct machine_metrics {
	double cpu, memory, gpu, gpu_memory; /* per cent; gpu: mean of all */
	int n_gpus;
	int32_t gpus[MACHINE_GPUS]; /* their numbers */
};

struct machine;

/* Look from now on, every period_ms; the first look is over when this returns
 * (nvidia-smi is waited for, at most some seconds). no_gpu: not at those. */
void machine_open(struct machine **out, struct loop *loop, int64_t period_ms,
		  bool no_gpu);
void machine_close(struct machine *m); /* NULL is nothing */

const struct machine_metrics *machine_look(const struct machine *m);

/* ---- what is read; for tests ---- */

struct machine_cpu {
	uint64_t busy, all; /* ticks since the start */
};

/* The first line of /proc/stat. */
bool machine_parse_stat(const char *text, struct machine_cpu *out);

/* Per cent of memory in use, from /proc/meminfo. */
bool machine_parse_memory(const char *text, double *out);

/* Lines "0, 37, 1024, 8192" of nvidia-smi: index, per cent, MiB used, MiB in
 * all. False, and *out as it was: something else. */
bool machine_parse_gpus(const char *text, size_t len,
			struct machine_metrics *out);

#endif
