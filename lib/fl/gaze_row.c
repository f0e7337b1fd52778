/* What is seen of a server, as rows for programs. */
#include "base/clock.h"
#include "fl/gaze.h"

const struct out_col gaze_cols[GAZE_COLS] = {
	{"at", OUT_TIME},
	{"what", OUT_TEXT},
	{"event", OUT_TEXT},
	{"round", OUT_INT},
	{"rounds", OUT_INT},
	{"loss", OUT_REAL},
	{"accuracy", OUT_REAL},
	{"eval_accuracy", OUT_REAL},
	{"clients", OUT_INT},
	{"activated", OUT_INT},
	{"admitted", OUT_INT},
	{"missed", OUT_INT},
	{"refused", OUT_INT},
	{"bytes_sent", OUT_INT},
	{"bytes_received", OUT_INT},
	{"client", OUT_INT},
	{"text", OUT_TEXT},
};

static int64_t bytes_of(const Gfl__V1__FlStatus *s, bool sent)
{
	int64_t n = 0;

	for (size_t i = 0; i < s->n_clients; i++)
		n += sent ? s->clients[i]->bytes_sent
			  : s->clients[i]->bytes_received;
	return n;
}

static struct out_cell number(bool there, int64_t n)
{
	return there ? out_int(n) : out_none();
}

static struct out_cell real(bool there, double v)
{
	return there ? out_real(v) : out_none();
}

void gaze_row(struct out *o, const struct gaze_event *e)
{
	const Gfl__V1__FlStatus none = GFL__V1__FL_STATUS__INIT;
	const Gfl__V1__FlStatus *s = e->status ? e->status : &none;
	const Gfl__V1__FlEvaluation *ev = s->evaluation;
	const bool known = e->status, tested = ev && ev->_accuracy_case;

	out_row(o, out_time(clock_wall_ms()), out_text(e->what),
		out_text(e->event), number(known, s->round),
		number(s->rounds, s->rounds),
		real(s->round && !gaze_leads(s), s->loss),
		real(s->_accuracy_case, s->accuracy),
		real(tested, tested ? ev->accuracy : 0),
		number(known, gaze_here(s)), number(s->activated, s->activated),
		number(s->activated, s->admitted), number(known, s->missed),
		number(known, gaze_refused(s)),
		number(known, bytes_of(s, true)),
		number(known, bytes_of(s, false)), number(e->client, e->client),
		out_text(e->text));
}
