#include "fl/aggregate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fl/aggregate_impl.h"

static const struct aggregate_rule rules[] = {
	{.name = "fedavg", .by_weight = true, .step = aggregate_sgd},
	{.name = "fedprox",
	 .needs = AGGREGATE_PROX,
	 .by_weight = true,
	 .step = aggregate_sgd},
	{.name = "fedavgm",
	 .state = {"momentum"},
	 .by_weight = true,
	 .step = aggregate_avgm},
	{.name = "fedadagrad",
	 .state = {"momentum", "variance"},
	 .lr = 0.03,
	 .by_weight = true,
	 .step = aggregate_adagrad},
	{.name = "fedyogi",
	 .state = {"momentum", "variance"},
	 .lr = 0.03,
	 .by_weight = true,
	 .step = aggregate_yogi},
	{.name = "fedadam",
	 .state = {"momentum", "variance"},
	 .lr = 0.03,
	 .by_weight = true,
	 .step = aggregate_adam},
	{.name = "fednova",
	 .needs = AGGREGATE_STEPS,
	 .coef = aggregate_nova_coef,
	 .scale = aggregate_nova_scale,
	 .step = aggregate_sgd},
	{.name = "qfedavg",
	 .needs = AGGREGATE_LOSS,
	 .measures = true,
	 .coef = aggregate_q_coef,
	 .scale = aggregate_q_scale,
	 .step = aggregate_sgd},
	{.name = "scaffold",
	 .needs = AGGREGATE_CONTROL,
	 .state = {"control"},
	 .step = aggregate_scaffold},
	{.name = "feddyn",
	 .needs = AGGREGATE_DYN,
	 .state = {"drift"},
	 .step = aggregate_dyn},
	{.name = "fedasync",
	 .needs = AGGREGATE_STALENESS,
	 .coef = aggregate_stale_coef,
	 .scale = aggregate_async_scale,
	 .step = aggregate_sgd},
	{.name = "fedbuff",
	 .needs = AGGREGATE_STALENESS | AGGREGATE_DELTA,
	 .coef = aggregate_stale_coef,
	 .scale = aggregate_buffer_scale,
	 .step = aggregate_sgd},
	{.name = "median", .step = aggregate_sgd, .centre = aggregate_median},
	{.name = "trimmed", .step = aggregate_sgd, .centre = aggregate_trimmed},
	{.name = "krum",
	 .chooses = true,
	 .step = aggregate_sgd,
	 .centre = aggregate_krum},
	{.name = "multikrum",
	 .chooses = true,
	 .step = aggregate_sgd,
	 .centre = aggregate_multikrum},
};

static const struct aggregate_rule *rule_of(const char *name)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (!strcmp(rules[i].name, name))
			return &rules[i];
	return NULL;
}

/* A number among the options, from least to below or, if it may be that, to
 * most. */
struct bound {
	const char *name;
	double value, least, most;
	bool below;
};

static int check_bounds(const struct bound *b, size_t n, struct err *err)
{
	for (; n > 0; b++, n--)
		if (!(b->value >= b->least && b->value <= b->most) ||
		    (b->below && b->value == b->most))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "aggregation with %s %g: expected %g to "
				       "%s%g",
				       b->name, b->value, b->least,
				       b->below ? "below " : "", b->most);
	return 0;
}

static int check_opts(const struct aggregate_opts *o, struct err *err)
{
	const struct bound bounds[] = {
		{"learning rate", o->lr, 0, 1e6, false},
		{"beta1", o->beta1, 0, 1, true},
		{"beta2", o->beta2, 0, 1, true},
		{"tau", o->tau, 1e-15, 1e15, false},
		{"clients' learning rate", o->local_lr, 1e-30, 1e6, false},
		{"clients' momentum", o->local_momentum, 0, 1, true},
		{"clients' prox", o->local_prox, 0, 1e6, false},
		{"q", o->q, 0, 100, false},
		{"clients", (double)o->clients, 1, 1e18, false},
		{"dyn", o->dyn, 1e-15, 1e15, false},
		{"mix", o->mix, 1e-15, 1, false},
		{"buffer", o->buffer, 1, 1e9, false},
		{"trim", o->trim, 0, 0.5, true},
		{"byzantine", o->byzantine, 0, 1e6, false},
		{"keep", o->keep, 0, 1e9, false},
		{"clip", o->clip, 0, INFINITY, true},
	};

	return check_bounds(bounds, sizeof(bounds) / sizeof(bounds[0]), err);
}

/* Rows that are held, as many as there is room for, and for the distances of
 * each two. */
static int make_room(struct aggregate *a, struct err *err)
{
	const size_t limit = a->o.bytes_max ? a->o.bytes_max : (size_t)1 << 30;

	a->rows_max = limit / (sizeof(float) * (a->n + 1));
	if (a->rule->chooses)
		a->rows_max =
			(size_t)fmin((double)a->rows_max,
				     sqrt((double)limit / sizeof(double)));
	if (a->rows_max < aggregate_least(a))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "aggregation by %s holds at least %zu updates, "
			       "of which %zu are all that fits into %zu bytes",
			       a->rule->name, aggregate_least(a), a->rows_max,
			       limit);
	return 0;
}

static void make_state(struct aggregate *a)
{
	const float variance = (float)(a->o.tau * a->o.tau);

	/* a tile's steps may look behind the end */
	a->sum = mem_zero(a->n + AGGREGATE_TILE, sizeof(*a->sum));
	if (a->rule->needs & AGGREGATE_CONTROL)
		a->control = mem_zero(a->trained + AGGREGATE_TILE,
				      sizeof(*a->control));
	for (int k = 0; k < 2 && a->rule->state[k]; k++)
		a->moment[k] = mem_zero(a->trained + 1, sizeof(*a->moment[k]));
	for (size_t i = 0; a->moment[1] && i < a->trained; i++)
		a->moment[1][i] = variance;
}

int aggregate_open(struct aggregate **out, const char *rule,
		   const struct aggregate_opts *opts, size_t n, size_t trained,
		   struct err *err)
{
	const struct aggregate_rule *r = rule_of(rule);
	struct aggregate *a;

	if (!r)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "no rule of aggregation is called \"%s\": "
			       "expected one of " AGGREGATE_RULES,
			       rule);
	if (check_opts(opts, err))
		return (int)err->code;
	a = mem_zero(1, sizeof(*a));
	*a = (struct aggregate){
		.rule = r, .o = *opts, .n = n, .trained = trained};
	if (opts->lr == 0)
		a->o.lr = r->lr > 0 ? r->lr : 1;
	if (r->centre && make_room(a, err)) {
		free(a);
		return (int)err->code;
	}
	make_state(a);
	*out = a;
	return 0;
}

void aggregate_free(struct aggregate *a)
{
	if (!a)
		return;
	for (size_t k = 0; k < a->rows; k++)
		free(a->row[k]);
	free(a->row);
	free(a->client);
	free(a->chosen);
	free(a->moment[0]);
	free(a->moment[1]);
	free(a->control);
	free(a->sum);
	free(a);
}

unsigned aggregate_needs(const struct aggregate *a)
{
	return a->rule->needs;
}

size_t aggregate_count(const struct aggregate *a)
{
	return a->count;
}

static bool is_async(const struct aggregate *a)
{
	return a->rule->needs & AGGREGATE_STALENESS;
}

/* Of rules without rounds, one of them is over after as many as it begins
 * with. */
size_t aggregate_least(const struct aggregate *a)
{
	if (is_async(a))
		return a->rule->needs & AGGREGATE_DELTA ? (size_t)a->o.buffer
							: 1;
	return a->rule->chooses ? 2 * (size_t)a->o.byzantine + 3 : 1;
}

size_t aggregate_most(const struct aggregate *a)
{
	if (is_async(a))
		return aggregate_least(a);
	return a->rule->centre ? a->rows_max : SIZE_MAX;
}

const float *aggregate_control(const struct aggregate *a)
{
	return a->rule->needs & AGGREGATE_CONTROL ? a->moment[0] : NULL;
}

void aggregate_begin(struct aggregate *a, const float *global)
{
	a->global = global;
	a->count = a->clipped = a->n_chosen = 0;
	a->weight = a->aside = 0;
	a->first = a->rest = (struct aggregate_tally){0};
}
