/* state.h - what the log has built: members, trainers, runs, plans, speeds.
 *
 * Pure and deterministic: the same entries in the same order give the same
 * state on every node, and on every trainer that follows one. An entry that
 * makes no sense when its turn comes (a second holder of an id, a plan of an
 * old epoch) changes nothing but the index, everywhere alike, and the proposer
 * is told. Everything is bounded. */
#ifndef NODE_STATE_H
#define NODE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "plan/bandwidth.h"
#include "plan/graph.h"
#include "plan/round.h"
#include "proto/log.pb-c.h"
#include "proto/node.pb-c.h"

enum {
	STATE_MEMBERS_MAX = 4096,
	STATE_TRAINERS_MAX = 4096,
	STATE_RUNS_MAX = 100,   /* ended ones are forgotten past it */
	STATE_WAITING_MAX = 32, /* runs in line */
	STATE_ROUNDS_KEPT = 64, /* of plans, behind the newest; or as many as
				 * there are trainers */
	STATE_TEXT_MAX = 4096,  /* bytes of any string */
	STATE_NAME_MAX = 32,    /* bytes of a trainer's state */
	STATE_ID_MAX = 1 << 30, /* of nodes and trainers */
	STATE_ROUNDS_MAX = 10000000,  /* of a run */
	STATE_LEVEL_MAX = 160,        /* half octaves: 2^80 bytes/s */
	STATE_PROPOSED_MAX = 1 << 20, /* bytes of an entry that is proposed */
	STATE_BRIDGE_DEFAULT = 10,    /* rounds between exchanges of clusters */
	STATE_EDGES_MAX = 100000, /* of the graph; a snapshot has room for it */
	STATE_LINKS_MAX = 100000, /* of known speed, likewise */
};

/* What changed, as bits. */
enum {
	STATE_MEMBER = 1,
	STATE_TRAINER = 2,
	STATE_RUN = 4,
	STATE_PLAN = 8,
	STATE_BANDWIDTH = 16,
	STATE_EPOCH = 32,
	STATE_COORDINATOR = 64,
	STATE_GRAPH = 128,
	STATE_BRIDGE = 256,
	STATE_ALL = 511,
};

/* Read the fields, by all means; only the functions below write them. Lists
 * are by ascending id. */
struct state {
	char cluster_id[33];   /* 32 hex digits, or empty */
	int64_t applied, term; /* of the last entry */
	int64_t epoch; /* log index of the last change of the set, or graph */
	size_t nmembers, ntrainers, nruns;
	Gfl__V1__Member **members;
	Gfl__V1__Trainer **trainers;
	Gfl__V1__Run **runs;
	struct plans plans; /* of the run under way */
	struct bandwidth bandwidth;
	struct graph graph;  /* that plans obey */
	int64_t coordinator; /* node id; 0: the Raft leader */
	int64_t coordinator_term;
	Gfl__V1__Bridge *bridge; /* of the run under way, or NULL */
};

struct state *state_new(void);
void state_free(struct state *s); /* NULL is nothing */

/* What became of an entry. */
struct state_result {
	struct err refused; /* code 0: it was applied */
	int64_t id;         /* that it gave or named: trainer, run, member */
	unsigned changed;   /* STATE_… */
};

/* Whether an entry carries a configuration of Raft's. */
enum state_config { STATE_NO_CONFIG = 0, STATE_CONFIG = 1, STATE_JOINT = 2 };

/* Apply the entry at index s->applied + 1. e is borrowed; NULL stands for an
 * entry of Raft's own. A configuration of Raft's is what membership ADD of a
 * new id, PROMOTE, DEMOTE and REMOVE do; those are never refused for what the
 * state says, since Raft obeys them already. With a joint one voters go on
 * voting until the next configuration, which comes without e. Not 0 is fatal,
 * and s as before: UNIMPLEMENTED for a kind from a newer version, OUT_OF_RANGE
 * for another index, DATA_LOSS for what no version writes. */
int state_apply(struct state *s, int64_t index, int64_t term,
		enum state_config config, const Gfl__V1__Entry *e,
		struct state_result *result, struct err *err) MUST_CHECK;

/* The same, of an entry as nodes tell of it. */
int state_apply_told(struct state *s, const Gfl__V1__LogEntry *e,
		     struct state_result *result, struct err *err) MUST_CHECK;

/* The entry in the bytes of a log's entry: *out is freed by
 * gfl__v1__entry__free_unpacked(*out, NULL), and is NULL when len is 0.
 * DATA_LOSS if they are malformed. */
int state_entry(Gfl__V1__Entry **out, const void *p, size_t len,
		struct err *err) MUST_CHECK;

/* What anybody may propose: kinds that are known, within bounds, no
 * membership but promoting, demoting and removing, one or in a batch of their
 * own. INVALID_ARGUMENT. */
int state_proposable(const Gfl__V1__Entry *e, struct err *err) MUST_CHECK;

/* The whole state as a message that the caller frees by
 * gfl__v1__state__free_unpacked(msg, NULL). */
Gfl__V1__State *state_encode(const struct state *s);

/* From such a message. INVALID_ARGUMENT if it is not a state: lists out of
 * order, plans that are damaged, past the bounds. */
int state_decode(struct state **out, const Gfl__V1__State *msg,
		 struct err *err) MUST_CHECK;

/* Borrowed until the next change; NULL if there is none. */
Gfl__V1__Member *state_member(const struct state *s, int64_t id);
Gfl__V1__Trainer *state_trainer(const struct state *s, int64_t id);
Gfl__V1__Trainer *state_trainer_of(const struct state *s, const char *instance);
Gfl__V1__Run *state_run(const struct state *s, int64_t id);
Gfl__V1__Run *state_running(const struct state *s); /* the run under way */

/* The number of trainers that are live, and that take part in runs if so. */
size_t state_live(const struct state *s, bool runs);

/* The run that is part of that one of the upper cluster, or NULL. */
Gfl__V1__Run *state_part(const struct state *s, const char *upper_id,
			 int64_t upper_run);

bool state_run_over(const Gfl__V1__Run *run); /* finished, stopped, failed */

/* Whether a report is within bounds; others count for nothing. */
bool state_report_ok(const Gfl__V1__TrainerReport *r);

/* Whether a measured speed is within bounds, and of two trainers. */
bool state_link_ok(const struct state *s, const Gfl__V1__Link *l);

/* Whether a hand-written entry's links and edges are between trainers that are
 * there; INVALID_ARGUMENT names one that is not. (Applied, such links count for
 * nothing: their trainer may have gone meanwhile. An edge may wait for its.) */
int state_links_known(const struct state *s, const Gfl__V1__Bandwidth *b,
		      struct err *err) MUST_CHECK;

/* Put r in the place of what its trainer said before, in a run's reports. */
void state_run_note(Gfl__V1__Run *run, const Gfl__V1__TrainerReport *r);

/* The id for a node that asks for none: above all trainers' and members'. */
int64_t state_next_id(const struct state *s);

#endif
