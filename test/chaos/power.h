/* power.h - what a run tells the disk of a node, while that runs: the node has
 * power.so preloaded and maps this file. */
#ifndef POWER_H
#define POWER_H

#include <stdint.h>

/* The environment of the node. Of POWER_LIVE, a directory, the files whose
 * names begin with "node.db" are followed; what is durable of them is in
 * POWER_SHADOW. POWER_CONTROL is a file that is struct power. */
#define POWER_LIVE "POWER_LIVE"
#define POWER_SHADOW "POWER_SHADOW"
#define POWER_CONTROL "POWER_CONTROL"

/* A disk that says that it has synced, and has not: PRAGMA synchronous = OFF,
 * or NORMAL, where the write-ahead log waits for the next checkpoint. */
enum power_lie { POWER_HONEST, POWER_LIES, POWER_LIES_OF_WAL };

/* All zero: a disk that keeps what was synced, and nothing else. */
struct power {
	volatile int32_t sync_ms;      /* each sync takes so much longer */
	volatile int32_t sync_errno;   /* each sync fails, and drops its data */
	volatile int32_t write_errno;  /* each write fails */
	volatile int32_t ignores_sync; /* an enum power_lie */
	volatile int32_t leak_percent; /* of the sectors that are written become
					* durable at once, unasked */
	volatile int32_t syncs;        /* counted by the node */
};

#endif
