#include "fl/scores.h"

#include <math.h>

/* Beyond it sums over all clients' examples might not be finite. */
#define LOSS_MAX 1e200

int scores_check(const struct score *s, int64_t most, struct err *err)
{
	if (s->examples < 1 || s->examples > most)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%lld examples, expected 1 to %lld",
			       (long long)s->examples, (long long)most);
	if (isnan(s->loss) && isnan(s->accuracy))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "neither loss nor accuracy");
	if (!isnan(s->loss) && !(fabs(s->loss) <= LOSS_MAX))
		return err_set(err, ERR_INVALID_ARGUMENT, "loss %g", s->loss);
	if (!isnan(s->accuracy) && !(s->accuracy >= 0 && s->accuracy <= 1))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "accuracy %g, expected 0 to 1", s->accuracy);
	return 0;
}

void scores_add(struct scores *t, const struct score *s)
{
	const double weight = (double)s->examples;

	t->n++;
	t->examples += s->examples;
	if (!isnan(s->loss)) {
		t->with_loss += s->examples;
		t->loss_sum += weight * s->loss;
	}
	if (!isnan(s->accuracy)) {
		t->with_accuracy += s->examples;
		t->accuracy_sum += weight * s->accuracy;
	}
}

static double mean(double sum, int64_t n)
{
	return n ? sum / (double)n : (double)NAN;
}

double scores_loss(const struct scores *t)
{
	return mean(t->loss_sum, t->with_loss);
}

double scores_accuracy(const struct scores *t)
{
	return mean(t->accuracy_sum, t->with_accuracy);
}
