#include "test.h"

#include "base/mem.h"
#include "node/spec.h"
#include "node/state_impl.h"
#include "plan/hyper.h"
#include "wire/rpc.h"

/* Settings that are complete, and right. */
static Gfl__V1__RunSpec *some(void)
{
	Gfl__V1__RunSpec *s = mem_zero(1, sizeof(*s));
	struct err err;

	gfl__v1__run_spec__init(s);
	s->rounds = 400;
	CHECK(!spec_complete(s, &err));
	return s;
}

TEST(spec_is_completed_where_nothing_is_said)
{
	Gfl__V1__RunSpec *s = some();

	CHECK_STR(s->model, "mlp");
	CHECK_STR(s->strategy, "gossip");
	CHECK_STR(s->scheme, "strat");
	CHECK_STR(s->dtype, "f32");
	CHECK_STR(s->codec, "none");
	CHECK_STR(s->policy, "auto");
	CHECK_NEAR(s->keep, 0.1, 0);
	CHECK_INT(s->steps, 5);
	CHECK_INT(s->batch, 50);
	CHECK_NEAR(s->lr, 0.02, 0);
	CHECK_INT(s->min_trainers, 2);
	CHECK_INT(s->round_deadline_ms, 10000);
	CHECK_INT(s->give_up_ms, 300000);
	rpc_free(&s->base);
}

TEST(spec_of_a_strategy_that_sends_all_is_dense)
{
	Gfl__V1__RunSpec *s = mem_zero(1, sizeof(*s));
	struct err err;

	gfl__v1__run_spec__init(s);
	s->rounds = 1;
	state_text(&s->strategy, "dpsgd");
	CHECK(!spec_complete(s, &err));
	CHECK_STR(s->scheme, "dense");
	CHECK_NEAR(s->keep, 1, 0);
	rpc_free(&s->base);
}

/* What is set, and what the refusal says. */
struct row {
	size_t at;
	enum { INT, REAL, TEXT } kind;
	int64_t i;
	double x;
	const char *text;
	const char *says;
};

#define AT(field) offsetof(Gfl__V1__RunSpec, field)
#define INT_ROW(field, v, says)                    \
	{                                          \
		AT(field), INT, (v), 0, NULL, says \
	}
#define REAL_ROW(field, v, says)                    \
	{                                           \
		AT(field), REAL, 0, (v), NULL, says \
	}
#define TEXT_ROW(field, v, says)                 \
	{                                        \
		AT(field), TEXT, 0, 0, (v), says \
	}

static void set(Gfl__V1__RunSpec *s, const struct row *r)
{
	void *p = (char *)s + r->at;

	if (r->kind == INT)
		*(int64_t *)p = r->i;
	else if (r->kind == REAL)
		*(double *)p = r->x;
	else
		state_text(p, r->text);
}

static const struct row bad[] = {
	INT_ROW(rounds, 0, "rounds of a run has to be 1 to"),
	INT_ROW(rounds, 10000001, "rounds"),
	INT_ROW(rounds, INT64_MIN, "rounds"),
	TEXT_ROW(model, "", "model of a run has to be a text"),
	TEXT_ROW(strategy, "magic", "strategy of a run has to be gossip"),
	TEXT_ROW(strategy, "GOSSIP", "strategy"),
	TEXT_ROW(scheme, "dark", "scheme of a run has to be dense, strat"),
	TEXT_ROW(scheme, "den", "scheme"),
	TEXT_ROW(scheme, "dense|strat", "scheme"),
	TEXT_ROW(dtype, "f64", "dtype of a run has to be f32"),
	TEXT_ROW(dtype, "", "dtype"),
	TEXT_ROW(codec, "gzip", "codec of a run has to be none or zstd"),
	TEXT_ROW(policy, "best", "policy of a run has to be auto"),
	REAL_ROW(keep, 0, "keep of a run has to be above 0"),
	REAL_ROW(keep, 1.5, "keep"),
	REAL_ROW(keep, NAN, "keep"),
	REAL_ROW(eta, 0, "eta"),
	REAL_ROW(eta, NAN, "eta"),
	INT_ROW(steps, 0, "steps of a run has to be 1 to 1,000,000"),
	INT_ROW(steps, -1, "steps"),
	INT_ROW(batch, 0, "batch"),
	INT_ROW(batch, (1 << 20) + 1, "batch"),
	REAL_ROW(lr, 0, "lr of a run has to be above 0"),
	REAL_ROW(lr, NAN, "lr"),
	REAL_ROW(lr, INFINITY, "lr"),
	REAL_ROW(lr, -0.1, "lr"),
	REAL_ROW(momentum, 1, "momentum of a run has to be from 0"),
	REAL_ROW(momentum, NAN, "momentum"),
	REAL_ROW(weight_decay, -1, "weight_decay"),
	REAL_ROW(weight_decay, NAN, "weight_decay"),
	REAL_ROW(prox, -1, "prox"),
	REAL_ROW(prox, 1e9, "prox"),
	INT_ROW(lr_every, -1, "lr_every"),
	INT_ROW(lr_every, 5, "lr_decay of a run has to be above 0"),
	INT_ROW(min_trainers, 1, "min_trainers"),
	INT_ROW(min_trainers, 5000, "min_trainers"),
	REAL_ROW(target_accuracy, 1.1, "target_accuracy"),
	REAL_ROW(target_accuracy, NAN, "target_accuracy"),
	INT_ROW(round_deadline_ms, 0, "round_deadline_ms"),
	INT_ROW(round_deadline_ms, 30001, "round_deadline_ms"),
	INT_ROW(eval_every, -1, "eval_every"),
	INT_ROW(give_up_ms, 0, "give_up_ms"),
	INT_ROW(bridge_every, -1, "bridge_every"),
	INT_ROW(bridge_every, 100000, "bridge_every"),
	INT_ROW(upper_from, -1, "upper_from"),
	INT_ROW(upper_run, -1, "upper_from"),
	TEXT_ROW(upper_id, "0123456789012345678901234567890123", "upper_id"),
	TEXT_ROW(strategy, "psgd",
		 "a run of strategy psgd cannot have another scheme than"),
	TEXT_ROW(strategy, "dpsgd", "another scheme than dense"),
	TEXT_ROW(strategy, "fedavg", "another scheme than dense"),
};

TEST(spec_refuses_each_setting_that_cannot_be)
{
	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		Gfl__V1__RunSpec *s = some();
		struct err err;

		set(s, &bad[k]);
		CHECK_INT(spec_check(s, &err), ERR_INVALID_ARGUMENT);
		CHECK_HAS(err.msg, bad[k].says);
		CHECK(!strchr(err.msg, '\n'));
		rpc_free(&s->base);
	}
}

TEST(spec_refuses_what_does_not_go_together)
{
	Gfl__V1__RunSpec *s = some();
	struct err err;

	s->momentum = 0;
	s->nesterov = true;
	CHECK_INT(spec_check(s, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "momentum of a run has to be above 0 with nesterov");
	s->nesterov = false;
	state_text(&s->strategy, "psgd");
	state_text(&s->scheme, "topk");
	CHECK_INT(spec_check(s, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "psgd cannot have another scheme than dense");
	state_text(&s->scheme, "dense");
	CHECK_INT(spec_check(s, &err), 0);
	state_text(&s->policy, "random");
	CHECK_INT(spec_check(s, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "psgd cannot have a policy");
	rpc_free(&s->base);
}

TEST(spec_of_what_is_only_simulated_is_refused_for_a_run)
{
	static const char *const only[][2] = {{"fedavg", "gfl-server"},
					      {"dcd", "leave its models"}};
	Gfl__V1__RunSpec *s = some();
	struct err err;

	for (int i = 0; i < 2; i++) {
		state_text(&s->strategy, only[i][0]);
		state_text(&s->scheme, i ? "strat" : "dense");
		CHECK_INT(spec_check(s, &err), 0);
		CHECK_INT(spec_check_run(s, &err), ERR_UNIMPLEMENTED);
		CHECK_HAS(err.msg, only[i][1]);
		CHECK_HAS(err.msg, "no run of trainers has strategy");
	}
	rpc_free(&s->base);
}

TEST(spec_settings_for_brought_trainers_are_variables)
{
	static const char *const wrong[] = {"NAME",  "=1",     "name=1",
					    "A-B=1", "A=\n",   "A=\x7f",
					    "A B=1", "LD.X=1", ""};
	char *hyper[HYPER_MAX + 1], text[400];
	Gfl__V1__RunSpec *s = some();
	struct err err;

	s->hyper = hyper;
	for (size_t i = 0; i <= HYPER_MAX; i++)
		hyper[i] = "A_1=any = text, \xc3\xa9";
	s->n_hyper = HYPER_MAX;
	CHECK_INT(spec_check(s, &err), 0);
	s->n_hyper++;
	CHECK_INT(spec_check(s, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "hyper");
	s->n_hyper = 1;
	hyper[0] = text;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		snprintf(text, sizeof(text), "%s", wrong[i]);
		CHECK_INT(spec_check(s, &err), ERR_INVALID_ARGUMENT);
	}
	snprintf(text, sizeof(text), "A=%0256d", 0);
	CHECK_INT(spec_check(s, &err), 0);
	snprintf(text, sizeof(text), "A=%0257d", 0);
	CHECK_INT(spec_check(s, &err), ERR_INVALID_ARGUMENT);
	s->n_hyper = 0;
	s->hyper = NULL;
	rpc_free(&s->base);
}
