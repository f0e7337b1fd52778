/* crew.h - the workers, as the master knows them: who is alive, how much each
 * may be given, how well each does. Pure. */
#ifndef TASK_CREW_H
#define TASK_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include "task/breaker.h"
#include "task/task.h"
#include "wire/peer.h"

enum {
	CREW_ID_MAX = 128,
	CREW_URL_MAX = 2048,
	CREW_MAX = 10000,   /* workers, with those gone of the last hour if
			       there is room */
	CREW_INSTANCE = 33, /* 32 hex digits and a NUL, or empty */
	CREW_GPUS = 32,
	CREW_SLOTS_MAX = 4096,
	CREW_KEYS = 8,
	/* Tasks that are over in no time are given ahead: as many as one slot
	 * needs for so long, at most so many. */
	CREW_AHEAD_MS = 100,
	CREW_AHEAD_MAX = 64,
};

struct crew_metrics {
	double cpu, memory, gpu, gpu_memory; /* per cent */
};

TAILQ_HEAD(crew_tasks, task);

/* One worker. Strings are never NULL. */
struct crew {
	char *id, *url; /* url is empty where it cannot be called */
	char instance[CREW_INSTANCE], former[CREW_INSTANCE];
	char owner[PEER_NAME]; /* the certificate that it came with, or "" */
	char status[16];       /* as it says itself */
	bool gfl;              /* says what it holds, keeps to its slots */
	bool push;             /* gets tasks by a call of ours */
	int slots;
	int32_t gpus[CREW_GPUS]; /* their numbers */
	int n_gpus;
	uint32_t gpu_busy; /* by index */

	int64_t order; /* of its registration */
	int64_t seen_ms, seen_wall_ms;
	bool dead, left;

	int asks; /* tasks that it waits for, of who asks */
	struct crew_tasks tasks;
	int running;    /* of tasks */
	int stopping;   /* that it may still have and should not */
	char **cancels; /* "ID/TRY" of those, not yet told */
	size_t n_cancels, cap_cancels;
	int64_t given;            /* when it was given one last, as a number */
	uint64_t keys[CREW_KEYS]; /* affinities of the last tasks */
	int next_key;
	bool told; /* it is in the farm's list of those to be told */
	STAILQ_ENTRY(crew) tell;

	struct breaker breaker;
	struct crew_metrics metrics;
	double mean_ms; /* of its tasks, the last ones most; 0: unknown */
	bool slower;    /* than that, as it has given some back */
	int64_t done, failed;
	UT_hash_handle hh;
};

struct crew *crew_new(const char *id);
void crew_free(struct crew *c); /* it has no tasks */

/* How many more tasks it may be given now. */
int crew_room(struct crew *c, int64_t now_ms);

/* It has, or has had, a task of this affinity lately. */
bool crew_knows(const struct crew *c, uint64_t key);
void crew_learn(struct crew *c, uint64_t key);
uint64_t crew_key(const char *affinity); /* 0: none */

/* A task of it took so long. */
void crew_took(struct crew *c, double ms);

/* Index of a GPU that is free, or -1. */
int crew_free_gpu(const struct crew *c);

/* It should stop try number `try` of task id. */
void crew_cancel(struct crew *c, int64_t id, int try);

#endif
