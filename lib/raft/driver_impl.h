/* driver_impl.h - a driver's parts, for the files of driver.h alone. */
#ifndef RAFT_DRIVER_IMPL_H
#define RAFT_DRIVER_IMPL_H

#include "base/timer.h"
#include "raft/applier.h"
#include "raft/driver.h"
#include "raft/journal.h"
#include "raft/store.h"
#include "raft/transport.h"
#include "raft/waiting.h"

struct driver {
	struct driver_config cfg;
	struct raft *raft;
	struct journal *journal;
	struct transport *transport;
	struct applier *applier;
	struct waiting *waiting;

	uv_prepare_t turn_end;
	struct timer timer;
	int64_t timer_ms; /* when it fires; INT64_MAX: it is not set */
	int64_t slept_ms; /* by how much our clock is behind clock_ms() */
	bool dirty;       /* there may be outputs */
	int64_t turn_ms;  /* since when, or when some were sent last */
	bool hurry;       /* others wait to learn what was applied */
	bool working;     /* they are being worked off */
	bool failed;      /* on_failed was called */

	struct raft_image image;  /* the last snapshot, index 0: none */
	struct raft_image coming; /* the one that comes in */
	struct saving *saving;    /* the one that is being stored, or NULL */
	int64_t grown;            /* bytes applied since image */

	int64_t applied_term; /* of the last entry applied */
	int64_t lead_term;    /* in which we led when we looked last, or 0 */

	/* What on_leader was told last. */
	int64_t leader, term;
	bool leads, removed;
};

/* After every input: its outputs are worked off at the end of this turn. */
void driver_wake(struct driver *d);

/* Work them off now. */
void driver_work(struct driver *d);

/* Be silent from now on, and tell the host why, once. */
void driver_fail(struct driver *d, const struct err *err);

/* driver_snapshot.c */
int driver_load_snapshots(struct driver *d, struct err *err) MUST_CHECK;
int driver_check_piece(const struct raft_msg *msg, struct err *err) MUST_CHECK;
void driver_take_piece(struct driver *d, const struct raft_piece *p);
void driver_fill_piece(const struct driver *d, struct raft_msg *msg);
void driver_restore_snapshot(struct driver *d); /* if one is there */
void driver_save_snapshot(struct driver *d);    /* if it is time */
void driver_drop_snapshots(struct driver *d);

#endif
