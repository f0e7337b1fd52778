/* ledger.h - what clients did and saw, and what nodes applied: one against the
 * other.
 *
 * The object is the log itself. A write appends an entry that carries the
 * number of its operation and is told the entry's index; a read is told how far
 * the log reaches. Both are also operations on one of many registers: a write
 * puts its number there, a read gets that of the last write in the log that it
 * saw. Times are microseconds of one clock. */
#ifndef LEDGER_H
#define LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/rand.h"
#include "proto/node.pb-c.h"

struct op {
	int64_t client, key;
	bool write;
	int64_t start, end; /* end 0: the outcome is not known */
	int64_t index;      /* of its entry, or of the last one read */
};

/* An entry as the nodes have shown it. */
struct slot {
	bool known, hashed;
	int64_t term, op; /* op 0: none of ours */
	uint64_t hash;
	enum { EFFECT_UNKNOWN, EFFECT_NONE, EFFECT_APPLIED } effect;
};

struct ledger {
	struct op *op; /* number n is at n - 1 */
	size_t nops, ops_cap;
	struct slot *slot; /* by index */
	size_t nslots, slots_cap;
	int64_t writes, reads; /* that were acknowledged */
};

void ledger_release(struct ledger *h);

/* A key for the next operation. */
int64_t ledger_key(const struct ledger *h, struct rand *r);

/* Returns the operation's number. */
int64_t ledger_begin(struct ledger *h, bool write, int64_t key, int64_t client,
		     int64_t now);
void ledger_end(struct ledger *h, int64_t op, int64_t index, int64_t now);

/* The entry that operation op proposes, len bytes of text longer than it must
 * be; free() it. */
void *ledger_entry(int64_t op, size_t len, Gfl__V1__Entry **out);

/* The bytes that an entry of op has, and nothing else: of them the number
 * itself begins after LEDGER_MARK. */
enum { LEDGER_MARK = 1, LEDGER_BYTES = 10 };
void ledger_bytes(int64_t op, uint8_t out[LEDGER_BYTES]);

/* A node shows an entry of its log, or, if applied, one that it has applied:
 * absent if it had no effect. DATA_LOSS if another node, or the same at another
 * time, had something else there. */
int ledger_show(struct ledger *h, const Gfl__V1__LogEntry *e, bool applied,
		int64_t node, struct err *err) MUST_CHECK;

struct ledger_result {
	int64_t unseen;  /* acknowledged, and compacted before anybody looked */
	int64_t unknown; /* writes whose outcome nobody knew ... */
	int64_t unknown_applied; /* ... and which were applied all the same */
	int64_t registers;       /* operations that the register check took */
};

/* At the end: every acknowledged write has its entry, no write two of effect;
 * what began after another's end does not come before it; and each register is
 * linearizable. DATA_LOSS names the operations. */
int ledger_check(const struct ledger *h, struct ledger_result *out,
		 struct err *err) MUST_CHECK;

#endif
