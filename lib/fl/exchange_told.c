/* What pairs have told each other, as CHOCO-SGD has it (Koloskova et al. 2019,
 * algorithm 2), but for each pair by itself: its two sides change it in the same
 * exchange or not at all, so that a peer that was missed costs nothing else.
 * Where the answer was lost, or one side began anew, they notice and both do. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fl/exchange_impl.h"
#include "fl/mix.h"

static void forget(struct told *d)
{
	free(d->ours);
	free(d->theirs);
	*d = (struct told){0};
}

void exchange_told_forget(struct exchange *e)
{
	for (size_t i = 0; i < EXCHANGE_TOLD_MAX; i++)
		forget(&e->tells[i]);
}

static void begin_anew(const struct exchange *e, struct told *d)
{
	size_t size = e->n * sizeof(float);

	d->round = 0;
	if (e->how.start) {
		memcpy(d->ours, e->how.start, size);
		memcpy(d->theirs, e->how.start, size);
	} else {
		memset(d->ours, 0, size);
		memset(d->theirs, 0, size);
	}
}

/* That of the round's peer; a new one takes the place of the one that was used
 * longest ago. */
static struct told *now(struct exchange *e)
{
	struct told *oldest = &e->tells[0];

	for (size_t i = 0; i < EXCHANGE_TOLD_MAX; i++) {
		if (e->tells[i].peer == e->round.peer)
			return &e->tells[i];
		if (e->tells[i].round < oldest->round || !e->tells[i].peer)
			oldest = &e->tells[i];
	}
	forget(oldest);
	oldest->peer = e->round.peer;
	oldest->ours = mem_zero(e->n, sizeof(float));
	oldest->theirs = mem_zero(e->n, sizeof(float));
	begin_anew(e, oldest);
	return oldest;
}

int64_t exchange_told_round(struct exchange *e)
{
	return now(e)->round;
}

const float *exchange_told_ours(struct exchange *e)
{
	return now(e)->ours;
}

void exchange_told_agree(struct exchange *e, int64_t round)
{
	struct told *d = now(e);

	if (d->round != round)
		begin_anew(e, d);
	e->told = d->round;
}

void exchange_told_merge(struct exchange *e, const uint32_t *index,
			 const uint32_t *their_index)
{
	struct told *d = now(e);

	mix_scatter(d->ours, index, e->k, e->mine);
	mix_scatter(d->theirs, their_index, e->k, e->theirs);
	mix_pull(e->x, NULL, e->n, e->round.weight, d->ours, d->theirs);
	d->round = e->round.t + 1;
}
