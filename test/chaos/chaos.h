/* chaos.h - a cluster of real processes, clients that work it, and what is done
 * to both.
 *
 * The run owns a network: node i has a namespace "ni" with the address
 * 10.77.0.i on a bridge, where the run is .254; see chaos.sh. It has a
 * directory with ni/ for each node, which is a small file system of its own.
 * All is in one loop, which turn_*() turns: the script of a fault is straight
 * code. */
#ifndef CHAOS_H
#define CHAOS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/rand.h"
#include "ledger.h"
#include "power.h"
#include "proxy.h"
#include "wire/client.h"

enum {
	NODES_MAX = 5,
	SITES_MAX = NODES_MAX + 1,
	WRITERS = 4,
	READERS = 3,
};

#define NET "10.77.0."

struct chaos;

/* A node: its place, and its process if there is one. */
struct site {
	struct chaos *c;
	int id;
	char url[32], dir[256], shadow[256];
	uv_process_t *process; /* NULL: none runs */
	uv_pipe_t *ready;
	int pid;
	bool serves;  /* it has said so */
	bool stopped; /* by SIGSTOP */
	bool dying;   /* its end is part of the script */
	int status;   /* of the last one: its exit status, or 128 + signal */
	struct power *power;
	struct proxy proxy; /* the way to it when that is slow */
	struct rpc *watch;
	struct timer again; /* of the watch */
};

struct writer {
	struct chaos *c;
	struct timer timer;
	int64_t client, seq; /* of its session */
	bool session;
	int64_t op;
	int tries;
	void *entry;
	Gfl__V1__Entry *in;
};

struct reader {
	struct chaos *c;
	struct timer timer;
	int64_t op, last;
	int node;
};

struct chaos {
	struct loop *loop;
	struct client *client;
	struct rand rand;
	uint64_t seed;
	const char *dir, *bin;
	struct site site[SITES_MAX + 1]; /* by id */
	int nodes; /* members from the start to the end: 1 to nodes */
	int sites; /* and one more, that comes and goes */
	int max_voters;
	struct ledger ledger;
	struct writer writer[WRITERS];
	struct reader reader[READERS];
	int64_t cursor; /* an entry that is committed, for sure */
	int64_t began_us;
	int64_t faults;
	int64_t late_ms; /* at most, of what goes through the proxies */
	int64_t snapshot_after;
	bool busy;        /* clients work */
	bool weather;     /* see begin_weather() */
	bool stale_reads; /* readers ask for whatever there is */
	const char *doing;
	struct err err; /* the first thing that does not hold; code 0: none */
};

/* Note what does not hold; the run ends at the next turn_*(). */
void chaos_fail(struct chaos *c, const struct err *err);
void chaos_say(struct chaos *c, const char *fmt, ...) PRINTF(2, 3);

/* ---- turn.c: time ---- */

typedef bool turn_fn(struct chaos *c, void *arg);

/* Until cond holds; false after ms, or if the run has failed. */
bool turn_until(struct chaos *c, turn_fn *cond, void *arg, int64_t ms);
void turn_for(struct chaos *c, int64_t ms);

/* The same, and if it does not hold that is the end: it does not hold that
 * WHAT. */
bool turn_expect(struct chaos *c, turn_fn *cond, void *arg, int64_t ms,
		 const char *what);

/* ---- site.c: processes ---- */

void site_open(struct chaos *c, int id);
void site_close(struct site *s);

/* The first one founds the cluster, the others join. */
void site_start(struct site *s, bool founds);
bool site_up(const struct site *s); /* it runs, and is not stopped */
void site_signal(struct site *s, int number);

/* Kill it and see it end. */
void site_kill(struct site *s);

/* Wait for its end, of which status says which it may have: its exit status is
 * one of both, and its last words contain word. */
void site_ends(struct site *s, int status, int other, const char *word);

/* How often its log has this word. */
int64_t site_said(const struct site *s, const char *word);

/* All that was started serves; members that are down are started. */
void site_all(struct chaos *c);

/* The member that most members follow, or a member that is up; 0 if none is. */
int site_leader(struct chaos *c);

/* A member other than this that is up, by chance. */
int site_other(struct chaos *c, int id);

/* ---- states.c: what the members have built ---- */

/* Soon all vote that may, have applied as much, and have the same, to the
 * byte. */
void states_agree(struct chaos *c);

/* ---- load.c: clients ---- */

void load_start(struct chaos *c);
void load_stop(struct chaos *c);
void load_close(struct chaos *c); /* the client is closed already */
void load_watch(struct site *s);
void load_unwatch(struct site *s);

/* The whole log of a node, shown to the ledger; *last is its last entry. */
int load_read(struct chaos *c, int id, int64_t *last,
	      struct err *err) MUST_CHECK;

/* ---- net.c: the network ---- */

/* What FROM sends does not reach TO, or is answered by a reset. */
void net_cut(struct chaos *c, int from, int to);
void net_cut_both(struct chaos *c, int one, int other);
void net_reset(struct chaos *c, int from, int to);
void net_loss(struct chaos *c, int to, int percent);
void net_link(struct chaos *c, int id, bool up);

/* Pieces of what nodes send each other come up to ms late, each by itself. */
void net_late(struct chaos *c, int64_t ms);
void net_heal(struct chaos *c);

/* ---- disk.c: the disk ---- */

/* Of a node that does not run: only what was synced is there. */
void disk_lose_power(struct site *s);
void disk_fill(struct site *s, long spare); /* but for so many bytes */
void disk_free(struct site *s);
void disk_read_only(struct site *s, bool yes);

/* Flip a bit of a log entry that is in the file of a node that does not run;
 * false if there is none. */
bool disk_flip(struct site *s);
bool disk_flip_running(struct site *s);  /* may be written over */
void disk_flip_anywhere(struct site *s); /* of any byte at all */
bool disk_flip_snapshot(struct site *s); /* the same of its snapshot */
void disk_wipe(struct site *s);

/* PRAGMA integrity_check and gfl-node --check, of a node that does not run. */
int disk_check(struct site *s, struct err *err) MUST_CHECK;

/* ---- faults.c ---- */

/* One after the other, each with what has to hold afterwards. Of names,
 * comma-separated, or NULL for all. In a new order each time. */
void faults_run(struct chaos *c, const char *names, int rounds,
		int64_t until_ms);

#endif
