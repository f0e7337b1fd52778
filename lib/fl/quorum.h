/* quorum.h - when a round of a server is over. Pure. */
#ifndef FL_QUORUM_H
#define FL_QUORUM_H

#include <stdbool.h>
#include <stdint.h>

/* A round as far as it has come. */
struct quorum {
	int64_t least;   /* no round has fewer updates */
	double fraction; /* of the activated: enough of them */
	int64_t activated;
	int64_t admitted; /* updates that were taken */
	int64_t lost;     /* activated, and will not answer: gone or failed */
	bool late;        /* the deadline has passed */
};

enum quorum_verdict {
	QUORUM_WAIT,
	QUORUM_CLOSE, /* what is there is the round's */
	QUORUM_VOID,  /* too few: it is repeated */
};

enum quorum_verdict quorum_verdict(const struct quorum *q);

/* How many updates close the round before its deadline. */
int64_t quorum_wanted(const struct quorum *q);

#endif
