#include "node/spec.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "node/state_impl.h"
#include "plan/hyper.h"
#include "plan/strategies.h"
#include "plan/topology.h"

static int wrong(struct err *err, const char *field, const char *want)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "%s of a run has to be %s",
		       field, want);
}

static bool within(double x, double low, double high)
{
	return isfinite(x) && x >= low && x <= high;
}

/* Of words parted by bars, spelled as there. */
static bool one_of(const char *words, const char *text)
{
	size_t len = strlen(text), n;

	for (; *words; words += n + (words[n] == '|')) {
		n = strcspn(words, "|");
		if (n == len && !memcmp(words, text, n))
			return true;
	}
	return false;
}

/* ---- how it learns ---- */

static int check_rate(const Gfl__V1__RunSpec *s, struct err *err)
{
	if (!within(s->lr, 1e-12, 1e3))
		return wrong(err, "lr", "above 0 and at most 1000");
	if (!within(s->lr_every, 0, STATE_ROUNDS_MAX))
		return wrong(err, "lr_every", "0 to 10,000,000");
	if (s->lr_every && !within(s->lr_decay, 1e-6, 1))
		return wrong(err, "lr_decay", "above 0 and at most 1");
	return 0;
}

static int check_hyper(const Gfl__V1__RunSpec *s, struct err *err)
{
	if (s->n_hyper > HYPER_MAX)
		return wrong(err, "hyper", "at most 32");
	for (size_t i = 0; i < s->n_hyper; i++)
		if (!hyper_ok(s->hyper[i]))
			return wrong(err, "hyper", HYPER_WANTED);
	return 0;
}

static int check_steps(const Gfl__V1__RunSpec *s, struct err *err)
{
	if (!within(s->steps, 1, 1e6))
		return wrong(err, "steps", "1 to 1,000,000");
	if (!within(s->epochs, 0, 1e6))
		return wrong(err, "epochs", "0 to 1,000,000");
	if (!within(s->batch, 1, 1 << 20))
		return wrong(err, "batch", "1 to 1,048,576");
	if (!within(s->momentum, 0, 0.999999))
		return wrong(err, "momentum", "from 0 to below 1");
	if (s->nesterov && s->momentum == 0)
		return wrong(err, "momentum", "above 0 with nesterov");
	if (!within(s->weight_decay, 0, 1))
		return wrong(err, "weight_decay", "0 to 1");
	if (!within(s->prox, 0, 1e3))
		return wrong(err, "prox", "0 to 1000");
	return check_rate(s, err);
}

/* ---- what it exchanges ---- */

static int check_words(const Gfl__V1__RunSpec *s, struct err *err)
{
	if (!*s->model || strlen(s->model) > STATE_TEXT_MAX)
		return wrong(err, "model", "a text of 1 to 4096 bytes");
	if (!strategies_find(s->strategy))
		return wrong(err, "strategy",
			     "gossip, dpsgd, dcd, choco, psgd or fedavg");
	if (!one_of(STRATEGY_SCHEMES, s->scheme))
		return wrong(err, "scheme", "dense, strat or topk");
	if (!one_of(STRATEGY_DTYPES, s->dtype))
		return wrong(err, "dtype", "f32, bf16 or int8");
	if (!one_of(STRATEGY_CODECS, s->codec))
		return wrong(err, "codec", "none or zstd");
	if (topology_policy_of(s->policy) < 0)
		return wrong(err, "policy",
			     "auto, saps, age, random, ring, all or none");
	if (strlen(s->layout_hash) > 64)
		return wrong(err, "layout_hash", "at most 64 bytes");
	return 0;
}

static int apart(struct err *err, const char *strategy, const char *what)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "a run of strategy %s cannot have %s", strategy, what);
}

static int check_together(const Gfl__V1__RunSpec *s, struct err *err)
{
	const struct strategy *strategy = strategies_find(s->strategy);
	bool dense = !strcmp(s->scheme, "dense");

	if (!within(s->keep, 1e-6, 1))
		return wrong(err, "keep", "above 0 and at most 1");
	if (!within(s->eta, 1e-6, 1))
		return wrong(err, "eta", "above 0 and at most 1");
	if (strategy->dense && !dense)
		return apart(err, s->strategy,
			     "another scheme than dense: all values travel");
	if (strategy->links != LINKS_PAIRS && strcmp(s->policy, "auto") != 0)
		return apart(err, s->strategy,
			     "a policy: there are no pairs to choose");
	return 0;
}

/* ---- how long, and with whom ---- */

/* All rounds of a lower cluster are within bounds too. */
static int check_bridge(const Gfl__V1__RunSpec *s, struct err *err)
{
	int64_t every = s->bridge_every ? s->bridge_every : 1;
	int64_t rounds = *s->upper_id ? 1 : s->rounds;

	if (!within(every, 1, STATE_ROUNDS_MAX / rounds))
		return wrong(err, "bridge_every",
			     "at least 1, and times rounds at most 10,000,000");
	if (strlen(s->upper_id) > 32)
		return wrong(err, "upper_id", "at most 32 hex digits");
	if (!within(s->upper_from, 0, STATE_ROUNDS_MAX) || s->upper_run < 0)
		return wrong(err, "upper_from", "0 to 10,000,000");
	return 0;
}

static int check_life(const Gfl__V1__RunSpec *s, struct err *err)
{
	if (!within(s->rounds, 1, STATE_ROUNDS_MAX))
		return wrong(err, "rounds", "1 to 10,000,000");
	if (!within(s->min_trainers, 2, STATE_TRAINERS_MAX))
		return wrong(err, "min_trainers", "2 to 4096");
	if (!within(s->target_accuracy, 0, 1))
		return wrong(err, "target_accuracy", "0 to 1");
	if (!within(s->round_deadline_ms, 1, PLAN_DEADLINE_MAX_MS))
		return wrong(err, "round_deadline_ms", "1 to 30,000");
	if (!within(s->eval_every, 0, 1e7))
		return wrong(err, "eval_every", "0 to 10,000,000");
	if (!within(s->give_up_ms, 1, 1e12))
		return wrong(err, "give_up_ms", "at least 1");
	return check_bridge(s, err);
}

/* ---- all of it ---- */

int spec_check(const Gfl__V1__RunSpec *spec, struct err *err)
{
	if (check_life(spec, err) || check_words(spec, err) ||
	    check_together(spec, err) || check_steps(spec, err) ||
	    check_hyper(spec, err))
		return (int)err->code;
	return 0;
}

int spec_check_run(const Gfl__V1__RunSpec *spec, struct err *err)
{
	const struct strategy *s;

	if (spec_check(spec, err))
		return (int)err->code;
	s = strategies_find(spec->strategy);
	if (s->only_simulated)
		return err_set(err, ERR_UNIMPLEMENTED,
			       "no run of trainers has strategy %s: %s",
			       s->name, s->only_simulated);
	return 0;
}

static void text(char **field, const char *without)
{
	if (!**field)
		state_text(field, without);
}

static void number(int64_t *field, int64_t without)
{
	if (!*field)
		*field = without;
}

static void real(double *field, double without)
{
	if (*field == 0)
		*field = without;
}

int spec_complete(Gfl__V1__RunSpec *spec, struct err *err)
{
	const struct strategy *s;

	text(&spec->model, "mlp");
	text(&spec->strategy, "gossip");
	s = strategies_find(spec->strategy);
	text(&spec->scheme, s ? strategies_scheme(s) : "strat");
	text(&spec->dtype, "f32");
	text(&spec->codec, "none");
	text(&spec->policy, "auto");
	real(&spec->keep, strcmp(spec->scheme, "dense") ? 0.1 : 1);
	real(&spec->eta, strategies_eta(spec->scheme, spec->keep));
	number(&spec->steps, 5);
	number(&spec->batch, 50);
	real(&spec->lr, 0.02);
	number(&spec->min_trainers, 2);
	number(&spec->round_deadline_ms, 10000);
	number(&spec->give_up_ms, 300000);
	return spec_check_run(spec, err);
}
