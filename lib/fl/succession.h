/* succession.h - what a server that stands by does next, of what its peers say:
 * whom it asks, whose state it takes, when it wants the lead, and when it knows
 * enough to be the active one itself. Pure: one event in, acts out.
 *
 * A state is named by the term in which it was made and its version (see
 * snapshot.h). While it follows, what the active server has is right, also
 * where that is less than ours: a round that nobody had when it took over is
 * lost. Once it is to be active it looks at all peers, and what is newest is
 * right. One that leads in a lower term than that of our state does so no more.
 * That there is an active one counts only from itself, or from a peer
 * that has it from itself: by way of two a dead one would live on. */
#ifndef FL_SUCCESSION_H
#define FL_SUCCESSION_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SUCCESSION_PEERS = 64,
	SUCCESSION_TRIES = 2, /* in a survey, before a peer is not there: who
				 wakes finds that its time is over, though
				 answers are there as well */
};

/* What a peer answers; all zero: it did not. */
struct succession_word {
	bool there;
	int64_t term, version; /* of its state; 0 and 0: it has none */
	int64_t leads;         /* the term in which it is active, or 0 */
	int64_t knows;         /* … or is to be, or hears who is */
	bool over;             /* the run is, and we have its end */
	bool leaves;           /* whoever has its state is to take the lead */
};

enum succession_what {
	SUCCESSION_NOTHING,
	SUCCESSION_ASK,   /* peer, instead of what it is being asked */
	SUCCESSION_HOLD,  /* the same; it answers once it has something new */
	SUCCESSION_LATER, /* ask peer in a moment: succession_waited() */
	SUCCESSION_TAKE,  /* pull the state of peer, and write it:
			       succession_taken() */
	SUCCESSION_READY, /* ours is as new as any: be active */
	SUCCESSION_OVER,  /* the run is */
	SUCCESSION_CLAIM, /* ask for the lead, at once */
	SUCCESSION_UNLED, /* nobody is known to be active: ask for the lead if
			       that stays so for a while, … */
	SUCCESSION_LED,   /* … which it did not */
};

struct succession_act {
	enum succession_what what;
	int peer;
};

struct succession_peer {
	bool asked, answered;
	int tries;
	struct succession_word word;
};

/* All zero, with n, is the start; then succession_follow(). */
struct succession {
	int n;                 /* peers */
	int64_t term, version; /* of our state, durable */
	int64_t surveys; /* the term in which we are to be active; 0: follow */
	int64_t lead;    /* the highest term of an active one */
	bool led, taking, unled;
	int active, from; /* peers: with led, and with taking */
	struct succession_peer peer[SUCCESSION_PEERS];

	struct succession_act acts[SUCCESSION_PEERS + 8];
	int nacts, at;
};

void succession_follow(struct succession *s);
void succession_survey(struct succession *s, int64_t term);
void succession_answered(struct succession *s, int peer,
			 const struct succession_word *word);
void succession_waited(struct succession *s, int peer);
/* Whether what has come is to be written: it may be another state by now. */
bool succession_takes(const struct succession *s, int64_t term,
		      int64_t version);
/* What was to be taken is durable, under these names; 0 and 0: it did not come,
 * or was none. */
void succession_taken(struct succession *s, int64_t term, int64_t version);

/* The next of what is to be done, until there is nothing; before the next
 * event. */
struct succession_act succession_next(struct succession *s);

/* Peers that answer, and are to follow: not one that leaves. */
int succession_there(const struct succession *s);

int64_t succession_knows(const struct succession *s); /* for our own answers */

#endif
