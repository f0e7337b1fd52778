/* mandate.h - whether the Raft node beside us leads, and in which term.
 *
 * It is asked a few times a second what it believes, and whenever that matters
 * in a way that it answers only when a majority has confirmed it (a
 * linearizable read, Raft Diss. 6.4): a node that was stopped and wakes is not
 * believed. A node that does not answer does not lead. */
#ifndef FL_MANDATE_H
#define FL_MANDATE_H

#include <stdint.h>

#include "base/loop.h"
#include "wire/client.h"

struct mandate;

/* The term in which it leads now, confirmed; 0: it does not any more. */
typedef void mandate_fn(int64_t term, void *arg);

/* Borrows client and url until mandate_close(). */
struct mandate *mandate_open(struct client *client, const char *url,
			     mandate_fn *changed, void *arg);

/* yes(arg) runs if it leads still, in the term that was told, since after this
 * call; else changed(0), or nothing when that was told meanwhile. */
void mandate_confirm(struct mandate *m, loop_fn *yes, void *arg);

/* Nobody does what the leader's server should: the lead is to come to our node.
 * Asked of the leader in the term in which we know it, so that of several who
 * ask one gets it; of one that leads in this term (0: in any), and not yet of
 * one that leads for less than patience_ms. What comes of it is told by
 * changed(). */
void mandate_claim(struct mandate *m, int64_t term, int64_t patience_ms);
void mandate_close(struct mandate *m); /* NULL is nothing */

#endif
