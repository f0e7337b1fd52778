#include "fl/round_out.h"

#include <math.h>

#include "base/clock.h"

static const struct out_col hub_cols[] = {
	{"round", OUT_INT},          {"activated", OUT_INT},
	{"admitted", OUT_INT},       {"refused", OUT_INT},
	{"missing", OUT_TEXT},       {"examples", OUT_INT},
	{"loss", OUT_REAL},          {"accuracy", OUT_REAL},
	{"bytes_sent", OUT_INT},     {"bytes_received", OUT_INT},
	{"seconds", OUT_REAL},       {"at", OUT_TIME},
	{"staleness", OUT_REAL},     {"eval_asked", OUT_INT},
	{"eval_answered", OUT_INT},  {"eval_missing", OUT_TEXT},
	{"eval_examples", OUT_INT},  {"eval_loss", OUT_REAL},
	{"eval_accuracy", OUT_REAL},
};

static const struct out_col led_cols[] = {
	{"round", OUT_INT},  {"instructed", OUT_INT}, {"answered", OUT_INT},
	{"failed", OUT_INT}, {"seconds", OUT_REAL},   {"at", OUT_TIME},
};

int round_out_begin(struct out **out, const struct out_opts *opts, bool led,
		    struct err *err)
{
	struct out_opts how = *opts;

	how.daemon = true;
	return out_begin(out, &how, led ? led_cols : hub_cols,
			 led ? sizeof(led_cols) / sizeof(*led_cols)
			     : sizeof(hub_cols) / sizeof(*hub_cols),
			 true, err);
}

static struct out_cell number(bool there, int64_t n)
{
	return there ? out_int(n) : out_none();
}

void round_out_hub(const struct hub_round *r, void *out)
{
	const struct hub_evaluation *e = &r->evaluation;
	const bool asked = e->round;

	out_row(out, out_int(r->round), out_int(r->activated),
		out_int(r->admitted), out_int(r->refused), out_text(r->missing),
		out_int(r->examples), out_real(r->loss), out_real(r->accuracy),
		out_int(r->bytes_sent), out_int(r->bytes_received),
		out_real(r->seconds), out_time(r->ended_ms),
		out_real(r->staleness), number(asked, e->asked),
		number(asked, e->answered), out_text(asked ? e->missing : NULL),
		number(asked, e->examples),
		out_real(asked ? e->loss : (double)NAN),
		out_real(asked ? e->accuracy : (double)NAN));
}

void round_out_led(const struct director_round *r, void *out)
{
	out_row(out, out_int(r->round), out_int(r->instructed),
		out_int(r->answered), out_int(r->failed), out_real(r->seconds),
		out_time(clock_wall_ms()));
}
