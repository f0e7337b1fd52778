#include "registry/runs.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "proto/trainer.pb-c.h"
#include "registry/directory.h"

int runs_get(const struct client_opts *c, int64_t id, Gfl__V1__Run **out,
	     struct err *err)
{
	Gfl__V1__ShowRunRequest in = GFL__V1__SHOW_RUN_REQUEST__INIT;

	in.id = id;
	return directory_call(c, RPC_NODE_SHOW_RUN, &in.base,
			      (ProtobufCMessage **)out, err);
}

struct runs_progress runs_progress_of(const Gfl__V1__Run *run)
{
	struct runs_progress p = {.round = INT64_MAX};
	double sum = 0;
	int n = 0;

	for (size_t i = 0; i < run->n_reports; i++) {
		const Gfl__V1__TrainerReport *r = run->reports[i];

		p.bytes_sent += r->bytes_sent;
		if (!strcmp(r->state, "down") || !strcmp(r->state, "failed"))
			continue;
		p.trainers++;
		if (r->round < p.round)
			p.round = r->round;
		if (r->_accuracy_case) {
			sum += r->accuracy;
			n++;
		}
	}
	if (!p.trainers)
		p.round = 0;
	p.accuracy = n ? sum / n : NAN;
	return p;
}

const char *runs_reason(const Gfl__V1__Run *run, int64_t trainer)
{
	for (size_t i = 0; run && i < run->n_reports; i++)
		if (run->reports[i]->trainer_id == trainer)
			return run->reports[i]->reason;
	return "";
}

bool runs_ended(const Gfl__V1__Run *run, int *rc, struct err *err)
{
	*rc = 0;
	if (!strcmp(run->state, "finished"))
		return true;
	if (!strcmp(run->state, "waiting") || !strcmp(run->state, "running"))
		return false;
	*rc = err_set(err, ERR_ABORTED, "run %" PRId64 " %s: %s", run->id,
		      run->state,
		      *run->reason ? run->reason : "no reason given");
	return true;
}

static const struct out_col list_cols[] = {
	{"id", OUT_INT},        {"state", OUT_TEXT},     {"model", OUT_TEXT},
	{"rounds", OUT_INT},    {"round", OUT_INT},      {"trainers", OUT_INT},
	{"accuracy", OUT_REAL}, {"bytes_sent", OUT_INT}, {"started", OUT_TIME},
	{"ended", OUT_TIME},    {"reason", OUT_WORDS},
};

int runs_list(const struct client_opts *c, bool linearizable,
	      const struct out_opts *opts, struct err *err)
{
	Gfl__V1__ListRunsRequest in = GFL__V1__LIST_RUNS_REQUEST__INIT;
	Gfl__V1__ListRunsResponse *all;
	struct out *o;

	in.linearizable = linearizable;
	if (directory_call(c, RPC_NODE_LIST_RUNS, &in.base,
			   (ProtobufCMessage **)&all, err))
		return (int)err->code;
	if (out_begin(&o, opts, list_cols, 11, false, err)) {
		rpc_free(&all->base);
		return (int)err->code;
	}
	for (size_t i = 0; i < all->n_runs; i++) {
		const Gfl__V1__Run *r = all->runs[i];
		struct runs_progress p = runs_progress_of(r);

		out_row(o, out_int(r->id), out_text(r->state),
			out_text(r->spec ? r->spec->model : ""),
			out_int(r->spec ? r->spec->rounds : 0),
			out_int(p.round), out_int(p.trainers),
			out_real(p.accuracy), out_int(p.bytes_sent),
			out_time(r->started_ms), out_time(r->ended_ms),
			out_text(r->reason));
	}
	rpc_free(&all->base);
	return out_end(o, err);
}

static const struct out_col table_cols[] = {
	{"trainer", OUT_INT},         {"round", OUT_INT},
	{"loss", OUT_REAL},           {"accuracy", OUT_REAL},
	{"bytes_sent", OUT_INT},      {"bytes_received", OUT_INT},
	{"misses", OUT_INT},          {"state", OUT_TEXT},
	{"accuracy_alone", OUT_REAL}, {"exchanges", OUT_INT},
	{"lost_replies", OUT_INT},    {"compute_s", OUT_REAL},
	{"wait_s", OUT_REAL},         {"model", OUT_TEXT},
	{"reason", OUT_WORDS},        {"bridged", OUT_INT},
	{"bridge_misses", OUT_INT},
};

int runs_table(const struct out_opts *opts, const Gfl__V1__Run *run,
	       struct err *err)
{
	struct out *o;

	if (out_begin(&o, opts, table_cols, 17, false, err))
		return (int)err->code;
	for (size_t i = 0; i < run->n_reports; i++) {
		const Gfl__V1__TrainerReport *r = run->reports[i];

		out_row(o, out_int(r->trainer_id), out_int(r->round),
			out_real(r->loss),
			out_real(r->_accuracy_case ? r->accuracy : NAN),
			out_int(r->bytes_sent), out_int(r->bytes_received),
			out_int(r->misses), out_text(r->state),
			out_real(r->_accuracy_alone_case ? r->accuracy_alone
							 : NAN),
			out_int(r->exchanges), out_int(r->lost_replies),
			out_real(r->compute_s), out_real(r->wait_s),
			out_text(r->model_path), out_text(r->reason),
			out_int(r->bridged), out_int(r->bridge_misses));
	}
	return out_end(o, err);
}

static const struct out_col trainer_cols[] = {
	{"id", OUT_INT},        {"url", OUT_TEXT},     {"node", OUT_INT},
	{"status", OUT_TEXT},   {"examples", OUT_INT}, {"no_runs", OUT_BOOL},
	{"instance", OUT_TEXT}, {"reason", OUT_WORDS},
};

/* run: the newest, which has what they said last; or NULL */
static int put_trainers(const struct out_opts *opts,
			const Gfl__V1__State *state, const Gfl__V1__Run *run,
			struct err *err)
{
	struct out *o;

	if (out_begin(&o, opts, trainer_cols, 8, false, err))
		return (int)err->code;
	for (size_t i = 0; i < state->n_trainers; i++) {
		const Gfl__V1__Trainer *t = state->trainers[i];
		bool live = t->liveness == GFL__V1__LIVENESS__LIVE;

		out_row(o, out_int(t->id), out_text(t->url),
			out_int(t->node_id), out_text(live ? "live" : "down"),
			out_int(t->examples), out_bool(t->no_runs),
			out_text(t->instance_id),
			out_text(runs_reason(run, t->id)));
	}
	return out_end(o, err);
}

int runs_trainers(const struct client_opts *c, bool linearizable,
		  const struct out_opts *opts, struct err *err)
{
	Gfl__V1__GetStateRequest in = GFL__V1__GET_STATE_REQUEST__INIT;
	Gfl__V1__State *state;
	Gfl__V1__Run *run = NULL;
	int rc;

	in.linearizable = linearizable;
	if (directory_call(c, RPC_NODE_GET_STATE, &in.base,
			   (ProtobufCMessage **)&state, err))
		return (int)err->code;
	rc = state->n_runs ? runs_get(c, 0, &run, err) : 0;
	if (!rc)
		rc = put_trainers(opts, state, run, err);
	if (run)
		rpc_free(&run->base);
	rpc_free(&state->base);
	return rc;
}

static const struct out_col history_cols[] = {
	{"trainer", OUT_INT},    {"round", OUT_INT},
	{"loss", OUT_REAL},      {"accuracy", OUT_REAL},
	{"bytes_sent", OUT_INT}, {"bytes_received", OUT_INT},
	{"misses", OUT_INT},     {"peer", OUT_INT},
	{"compute_s", OUT_REAL}, {"wait_s", OUT_REAL},
	{"at", OUT_TIME},
};

struct history {
	struct out *out;
	int64_t trainer;
	int64_t last; /* round printed of it; it sends so many at a time */
	size_t answered, missing; /* trainers */
	runs_lost_fn *lost;
	void *arg;
};

static bool print_row(const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__HistoryRow *r = (const Gfl__V1__HistoryRow *)msg;
	struct history *h = arg;

	h->last = r->round;
	out_row(h->out, out_int(h->trainer), out_int(r->round),
		out_real(r->loss),
		out_real(r->_accuracy_case ? r->accuracy : NAN),
		out_int(r->bytes_sent), out_int(r->bytes_received),
		out_int(r->misses), out_int(r->peer), out_real(r->compute_s),
		out_real(r->wait_s), out_time(r->at_ms));
	return true;
}

/* All rounds of one trainer, page by page. */
static int ask_trainer(const struct client_opts *c, const char *url,
		       struct history *h, int64_t run, char *cluster,
		       struct err *err)
{
	Gfl__V1__HistoryRequest in = GFL__V1__HISTORY_REQUEST__INIT;

	in.run = run;
	in.cluster_id = cluster;
	in.to = h->trainer;
	h->last = 0;
	do {
		in.after_round = h->last;
		if (client_stream_now(&c->tls, url, RPC_TRAINER_GET_HISTORY,
				      &in.base, c->timeout_ms, print_row, h,
				      err))
			return err_wrap(err, "history of trainer %" PRId64,
					h->trainer);
	} while (h->last > in.after_round);
	return 0;
}

/* Ask each trainer in turn; the failure of the last of those that did not
 * answer is left to the caller to tell, in err. */
static void ask_trainers(const struct client_opts *c, const Gfl__V1__State *s,
			 struct history *h, int64_t run, struct err *err)
{
	struct err why;

	for (size_t i = 0; i < s->n_trainers; i++) {
		h->trainer = s->trainers[i]->id;
		if (!ask_trainer(c, s->trainers[i]->url, h, run, s->cluster_id,
				 &why)) {
			h->answered++;
			continue;
		}
		if (h->missing++)
			h->lost(err, h->arg);
		*err = why;
	}
}

int runs_history(const struct client_opts *c, const struct out_opts *o,
		 int64_t run, runs_lost_fn *lost, void *arg, struct err *err)
{
	Gfl__V1__GetStateRequest in = GFL__V1__GET_STATE_REQUEST__INIT;
	struct history h = {.lost = lost, .arg = arg};
	Gfl__V1__State *state;
	int rc;

	if (directory_call(c, RPC_NODE_GET_STATE, &in.base,
			   (ProtobufCMessage **)&state, err))
		return (int)err->code;
	rc = out_begin(&h.out, o, history_cols, 11, false, err);
	if (!rc) {
		ask_trainers(c, state, &h, run, err);
		if (h.missing && h.answered)
			lost(err, arg);
		rc = h.missing && !h.answered ? (int)err->code : 0;
		if (out_end(h.out, rc ? NULL : err) && !rc)
			rc = (int)err->code;
	}
	rpc_free(&state->base);
	return rc;
}
