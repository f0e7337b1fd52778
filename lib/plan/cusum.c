#include "plan/cusum.h"

#include <math.h>

/* The weights of a new measurement; and in deviations: what is near the level,
 * what one counts for at most, and the sum at which the level has jumped. */
static const double ALPHA = 0.3, DEVIATION_ALPHA = 0.1;
static const double NEAR = 2, CLIP = 5, JUMP = 4.5;

void cusum_begin(struct cusum *c, double x)
{
	*c = (struct cusum){.level = x, .deviation = 1};
}

/* off: by how many deviations x lies on this side. Whether that is a jump. */
static bool side_add(struct cusum_side *s, double off, double x)
{
	s->sum += fmin(off, CLIP) - NEAR;
	if (s->sum <= 0) {
		*s = (struct cusum_side){0};
		return false;
	}
	s->total += x;
	s->n++;
	return s->sum >= JUMP;
}

static void jump(struct cusum *c, const struct cusum_side *s)
{
	c->level = s->total / s->n;
	c->below = c->above = (struct cusum_side){0};
}

bool cusum_add(struct cusum *c, double x)
{
	double off = (x - c->level) / c->deviation;
	double far = fmin(fabs(off), CLIP) * c->deviation;
	bool below = side_add(&c->below, -off, x);
	bool above = side_add(&c->above, off, x);

	c->deviation += DEVIATION_ALPHA * (far - c->deviation);
	c->deviation = fmax(c->deviation, 1);
	if (below || above)
		jump(c, below ? &c->below : &c->above);
	else if (fabs(off) <= NEAR)
		c->level += ALPHA * (x - c->level);
	return below || above;
}
