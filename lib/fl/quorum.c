#include "fl/quorum.h"

#include <math.h>

int64_t quorum_wanted(const struct quorum *q)
{
	int64_t want = (int64_t)ceil((double)q->activated * q->fraction - 1e-9);

	if (want < q->least)
		want = q->least;
	return want < q->activated ? want : q->activated;
}

enum quorum_verdict quorum_verdict(const struct quorum *q)
{
	bool more = q->admitted + q->lost < q->activated;

	if (q->admitted >= quorum_wanted(q) && q->admitted >= q->least)
		return QUORUM_CLOSE;
	if (more && !q->late)
		return QUORUM_WAIT;
	return q->admitted >= q->least && q->admitted ? QUORUM_CLOSE
						      : QUORUM_VOID;
}
