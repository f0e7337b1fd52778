/* lease.h - who is there, for how long, who leads, and who may found a
 * cluster: the gateway's decisions, pure.
 *
 * All times are milliseconds of one monotonic clock, given by the caller,
 * except those called wall. The caller makes what changed durable before it
 * answers. */
#ifndef REGISTRY_LEASE_H
#define REGISTRY_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uthash.h>

#include "base/err.h"

enum {
	LEASE_ID_TEXT = 33, /* 32 hex digits and a NUL */
	LEASE_MEMBERS_MAX = 100000,
	LEASE_BEAT_MS = 5000, /* heartbeats come at least so often */
};

/* How often to send heartbeats for a lease: three are in it. */
int64_t lease_beat_ms(int64_t lease_ms);

/* A member of the registry. Strings are never NULL once in a table. */
struct member {
	int64_t id; /* >= 1 */
	char *url;
	char *ip;
	int port;
	char *capabilities; /* JSON array of strings */
	char *metadata;	    /* JSON object of strings */
	char instance[LEASE_ID_TEXT]; /* empty: a client of the old kind */
	char cluster[LEASE_ID_TEXT];  /* empty: none yet */
	char role[16];
	int64_t joined_wall_ms, seen_wall_ms;
	int64_t expires_ms;
	bool alive;
	UT_hash_handle hh;
};

struct lease_config {
	int64_t lease_ms;  /* a member not heard for so long is dead */
	int64_t forget_ms; /* a dead one is dropped after so long again */
	int64_t grant_ms;  /* a grant not confirmed for so long passes on */
	bool grants;	   /* this gateway grants bootstraps */
};

/* One table; members is a uthash by id. */
struct lease {
	struct lease_config config;
	struct member *members;
	char cluster[LEASE_ID_TEXT]; /* empty: no cluster known yet */
	int64_t leader, term;	     /* 0: none known */
	int64_t version;	     /* grows with every change of the list */
	int64_t grantee;	     /* who holds the grant; 0: nobody */
	char grant_instance[LEASE_ID_TEXT];
	int64_t grant_until_ms;
	int64_t awake_ms; /* when lease_awake() last ran; 0: never */
};

/* What a registration decided. */
struct lease_admission {
	struct member *member; /* the row, borrowed */
	bool is_new;	       /* was not in the table */
	bool bootstrap;	       /* may found a cluster */
	int64_t grant_ms;      /* to confirm within, if bootstrap is binding */
	int64_t dropped;       /* id of the instance's former row, or 0 */
};

void lease_init(struct lease *l, const struct lease_config *config);
void lease_release(struct lease *l);

/* Enter a row that was stored. Who is alive has two heartbeats' time to be
 * heard, an old client, whose beat is its own, a whole lease. Takes the strings
 * of who. */
void lease_restore(struct lease *l, const struct member *who, int64_t now_ms);

/* Register who, whose strings are copied; id 0 asks for the next free one. An
 * id held by another live instance is ALREADY_EXISTS, another cluster's member
 * FAILED_PRECONDITION naming both, a full table RESOURCE_EXHAUSTED. */
int lease_register(struct lease *l, const struct member *who, int64_t now_ms,
		   int64_t wall_ms, struct lease_admission *out,
		   struct err *err) MUST_CHECK;

/* What a heartbeat says; strings may be NULL or empty. */
struct lease_beat {
	int64_t id;
	const char *instance, *role, *url;
};

/* Hear from a member; false if it is unknown, another instance, or elsewhere.
 * *changed is set if it was dead or its role is another. */
bool lease_heartbeat(struct lease *l, const struct lease_beat *beat,
		     int64_t now_ms, int64_t wall_ms, bool *changed);

/* The grantee has founded cluster: the grant is spent for ever. Too late, or
 * by somebody else, is FAILED_PRECONDITION; the same again is fine. */
int lease_confirm(struct lease *l, int64_t id, const char *instance,
		  const char *cluster, int64_t now_ms, struct err *err)
	MUST_CHECK;

/* Take a leader hint. 1: taken, 0: of a lower term than ours, so not taken,
 * -1: no such member. */
int lease_lead(struct lease *l, int64_t id, int64_t term);

/* Remove a member: false if there is none, or it is another instance (an empty
 * or NULL instance means whoever holds the id). */
bool lease_remove(struct lease *l, int64_t id, const char *instance);

/* Let time pass: fn sees each member whose lease ended (alive is false now),
 * and with gone set each that is in the table no longer, and is freed when fn
 * returns. */
typedef void lease_fn(struct member *who, bool gone, void *arg);
void lease_expire(struct lease *l, int64_t now_ms, lease_fn *fn, void *arg);

/* We are awake: to be called every lease_tick_ms(). Time in which it was not,
 * nor lease_register() or lease_heartbeat(), we slept or were starved and heard
 * nobody, so it does not count against anybody's lease. */
void lease_awake(struct lease *l, int64_t now_ms);
int64_t lease_tick_ms(const struct lease *l);

/* When lease_expire() next has something to do; INT64_MAX: never. */
int64_t lease_deadline(const struct lease *l);

struct member *lease_find(const struct lease *l, int64_t id);
size_t lease_count(const struct lease *l, bool alive_only);

/* Members by ascending id, borrowed; free() the array. */
struct member **lease_sorted(const struct lease *l, size_t *n);

#endif
