/* What a server tells of itself: status and metrics. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fl/hub_impl.h"

static const char *const states[] = {
	[HUB_SETTING_UP] = "setting up", [HUB_CHOOSING] = "choosing",
	[HUB_WAITING] = "waiting",       [HUB_TRAINING] = "training",
	[HUB_CLOSING] = "closing",       [HUB_ENDING] = "ending",
	[HUB_ENDED] = "ended",
};

static const char *state_of(const struct hub_client *c)
{
	const struct hub_activation *g = &c->given;

	if (!c->here)
		return "gone";
	if (hub_scoring_owed(c))
		return "evaluating";
	return g->id && !g->over && g->open ? "training" : "idle";
}

static double mean_loss(const struct hub_client *c)
{
	double sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < c->nlogical; i++) {
		if (isnan(c->logical[i].loss))
			continue;
		sum += c->logical[i].loss;
		n++;
	}
	return n ? sum / (double)n : 0;
}

static char *text(const char *s)
{
	return (char *)(uintptr_t)s; /* borrowed: only to be packed */
}

/* Room for the reasons of one client, or of all. */
struct reasons {
	Gfl__V1__FlRefused of[HUB_REASON_COUNT], *at[HUB_REASON_COUNT];
	size_t n;
};

static int64_t fill_reasons(struct reasons *r, const int64_t *refused)
{
	int64_t sum = 0;

	for (enum hub_reason why = 0; why < HUB_REASON_COUNT; why++) {
		Gfl__V1__FlRefused *one = &r->of[r->n];

		if (!refused[why])
			continue;
		gfl__v1__fl_refused__init(one);
		one->reason = text(hub_reason_name(why));
		one->updates = refused[why];
		r->at[r->n++] = one;
		sum += refused[why];
	}
	return sum;
}

static void fill_client(const struct hub_client *c, struct reasons *r,
			Gfl__V1__FlClient *out)
{
	gfl__v1__fl_client__init(out);
	out->client_id = c->id;
	out->state = text(state_of(c));
	out->logical = (int32_t)c->nlogical;
	out->examples = c->examples;
	out->accepted = c->accepted;
	out->refused = fill_reasons(r, c->refused);
	out->refused_for = r->at;
	out->n_refused_for = r->n;
	out->missed = c->missed;
	out->bytes_sent = c->bytes_sent;
	out->bytes_received = c->bytes_received;
	out->loss = mean_loss(c);
	out->round = c->round;
	out->address = text(c->address);
}

static const char *state(const struct hub *h)
{
	return h->scoring.open && h->state == HUB_WAITING ? "evaluating"
							  : states[h->state];
}

static Gfl__V1__FlEvaluation *evaluation(const struct hub *h,
					 Gfl__V1__FlEvaluation *out)
{
	const struct hub_evaluation *e = &h->evaluation;

	gfl__v1__fl_evaluation__init(out);
	out->round = e->round;
	out->asked = e->asked;
	out->answered = e->answered;
	out->examples = e->examples;
	out->ended_ms = e->ended_ms;
	if (!isnan(e->loss)) {
		out->_loss_case = GFL__V1__FL_EVALUATION___LOSS_LOSS;
		out->loss = e->loss;
	}
	if (!isnan(e->accuracy)) {
		out->_accuracy_case =
			GFL__V1__FL_EVALUATION___ACCURACY_ACCURACY;
		out->accuracy = e->accuracy;
	}
	return e->round ? out : NULL;
}

static void fill(const struct hub *h, Gfl__V1__FlStatus *out,
		 Gfl__V1__FlEvaluation *e)
{
	gfl__v1__fl_status__init(out);
	out->mode = text(h->opts.async ? "async" : "sync");
	out->state = text(state(h));
	out->evaluation = evaluation(h, e);
	out->round = h->kept.round;
	out->rounds = h->opts.rounds;
	out->version = h->kept.round;
	out->loss = isnan(h->kept.loss) ? 0 : h->kept.loss;
	if (!isnan(h->kept.accuracy)) {
		out->_accuracy_case = GFL__V1__FL_STATUS___ACCURACY_ACCURACY;
		out->accuracy = h->kept.accuracy;
	}
	out->model = text(hub_model_name(h));
	out->quiet_ms = clock_ms() - h->kept.ended_ms;
	out->activated = h->state == HUB_TRAINING ? h->now.activated : 0;
	out->admitted = h->state == HUB_TRAINING ? h->now.admitted : 0;
	out->needed = h->opts.min_participants;
	out->deadline_ms = h->opts.deadline_ms;
	out->missed = h->missed;
	out->voided = h->voided;
}

static void serve_status(struct call *call, const ProtobufCMessage *in,
			 void *arg)
{
	const struct hub *h = arg;
	size_t n = HASH_COUNT(h->clients);
	Gfl__V1__FlClient *rows = mem_zero(n + 1, sizeof(*rows));
	Gfl__V1__FlClient **at = mem_zero(n + 1, sizeof(*at));
	struct reasons *reasons = mem_zero(n + 1, sizeof(*reasons));
	Gfl__V1__FlEvaluation e;
	Gfl__V1__FlStatus out;
	struct hub_client *c;

	(void)in;
	fill(h, &out, &e);
	for (c = h->clients; c; c = c->hh.next) {
		fill_client(c, &reasons[out.n_clients], &rows[out.n_clients]);
		at[out.n_clients] = &rows[out.n_clients];
		out.n_clients++;
	}
	out.clients = at;
	fill_reasons(&reasons[n], h->refused);
	out.refused_for = reasons[n].at;
	out.n_refused_for = reasons[n].n;
	call_reply(call, &out.base);
	free(reasons);
	free(at);
	free(rows);
}

/* Of those who are known: guests come and go as they like. */
static void refused_metrics(struct buf *b, const struct hub *h)
{
	const struct hub_client *c;

	buf_putf(b, "# TYPE gfl_server_updates_refused_total counter\n");
	for (enum hub_reason r = 0; r < HUB_REASON_COUNT; r++)
		buf_putf(b,
			 "gfl_server_updates_refused_total{reason=\"%s\"} "
			 "%" PRId64 "\n",
			 hub_reason_name(r), h->refused[r]);
	buf_putf(b, "# TYPE gfl_server_client_refused_total counter\n");
	for (c = h->clients; c; c = c->hh.next)
		for (enum hub_reason r = 0; r < HUB_REASON_COUNT; r++)
			if (c->known && c->refused[r])
				buf_putf(b,
					 "gfl_server_client_refused_total{"
					 "client=\"%" PRId64
					 "\",reason=\"%s\"} %" PRId64 "\n",
					 c->id, hub_reason_name(r),
					 c->refused[r]);
}

static void metrics(struct buf *b, void *arg)
{
	const struct hub *h = arg;

	buf_putf(b, "# TYPE gfl_server_clients gauge\n");
	buf_putf(b, "gfl_server_clients %" PRId64 "\n", h->present);
	buf_putf(b, "# TYPE gfl_server_logical_clients gauge\n");
	buf_putf(b, "gfl_server_logical_clients %" PRId64 "\n", h->here);
	buf_putf(b, "# TYPE gfl_server_known_clients gauge\n");
	buf_putf(b, "gfl_server_known_clients %u\n", HASH_COUNT(h->clients));
	buf_putf(b, "# TYPE gfl_server_forgotten_clients_total counter\n");
	buf_putf(b, "gfl_server_forgotten_clients_total %" PRId64 "\n",
		 h->forgotten);
	buf_putf(b, "# TYPE gfl_server_rounds_total counter\n");
	buf_putf(b, "gfl_server_rounds_total %" PRId64 "\n", h->kept.round);
	buf_putf(b, "# TYPE gfl_server_rounds_void_total counter\n");
	buf_putf(b, "gfl_server_rounds_void_total %" PRId64 "\n", h->voided);
	buf_putf(b, "# TYPE gfl_server_updates_accepted_total counter\n");
	buf_putf(b, "gfl_server_updates_accepted_total %" PRId64 "\n",
		 h->accepted);
	buf_putf(b, "# TYPE gfl_server_updates_missed_total counter\n");
	buf_putf(b, "gfl_server_updates_missed_total %" PRId64 "\n", h->missed);
	refused_metrics(b, h);
	buf_putf(b, "# TYPE gfl_server_sessions_refused_total counter\n");
	buf_putf(b, "gfl_server_sessions_refused_total %" PRId64 "\n",
		 h->strangers);
	if (!isnan(h->kept.loss))
		buf_putf(b, "gfl_server_loss %.6f\n", h->kept.loss);
	if (!isnan(h->kept.accuracy))
		buf_putf(b, "gfl_server_accuracy_ratio %.6f\n",
			 h->kept.accuracy);
	if (!isnan(h->evaluation.loss))
		buf_putf(b, "gfl_server_clients_loss %.6f\n",
			 h->evaluation.loss);
	if (!isnan(h->evaluation.accuracy))
		buf_putf(b, "gfl_server_clients_accuracy_ratio %.6f\n",
			 h->evaluation.accuracy);
}

static void serve_participant(struct call *call, const ProtobufCMessage *in,
			      void *arg)
{
	struct err err;

	(void)in;
	(void)arg;
	err_set(&err, ERR_FAILED_PRECONDITION,
		"this server trains a model, and leads no participants");
	err_hint(&err, "gfl-server --on-participants leads them, gfl-trainer "
		       "--server trains");
	call_fail(call, &err);
}

void hub_serve_status(struct hub *h)
{
	server_handle(h->server, RPC_FL_GET_STATUS, serve_status, h);
	server_handle(h->server, RPC_PARTICIPANT_CONNECT, serve_participant, h);
	server_handle(h->server, RPC_PARTICIPANT_ASK, serve_participant, h);
	server_handle(h->server, RPC_PARTICIPANT_LIST, serve_participant, h);
	server_metrics(h->server, metrics, h);
}
