/* An update, or score, goes back to the server, until it is taken or refused. */
#include <math.h>

#include "base/log.h"
#include "fl/spoke_impl.h"

enum {
	SEND_MS = 120000,
	SEND_SOON_MS = 20000, /* where another server may take it */
};

static void resend(void *arg)
{
	spoke_send(arg);
}

static void told_update(struct spoke *s, struct spoke_work *w)
{
	s->rounds++;
	spoke_own_keep(w);
	s->loss = w->loss;
	s->bytes_sent += (int64_t)w->values.len;
	log_info("sent",
		 "round=%lld logical=%d loss=%.6f seconds=%.3f bytes=%zu",
		 (long long)s->task.round, w->logical, w->loss, w->seconds,
		 w->values.len);
}

static void told_score(struct spoke *s, const struct spoke_work *w)
{
	s->scores++;
	log_info("evaluated",
		 "round=%lld logical=%d examples=%lld loss=%.6f "
		 "accuracy=%.4f seconds=%.3f",
		 (long long)s->task.round, w->logical,
		 (long long)w->score.examples, w->score.loss, w->score.accuracy,
		 w->seconds);
}

static void refused(struct spoke *s, const struct err *err)
{
	const struct spoke_work *w = s->work;
	struct err why = w->err;

	s->refused++;
	if (s->exec && w->failure && spoke_exec_hopeless(w)) {
		err_set(&why, why.code, "%s", w->failure);
		spoke_fail(s, &why);
		return;
	}
	spoke_task_drop(s, err->msg);
}

/* The server, rather than the update. */
static bool is_lost(const struct spoke *s, enum err_code code)
{
	if (code == ERR_NOT_FOUND || code == ERR_UNAUTHENTICATED)
		return s->task.term; /* started again: the update goes on */
	return code == ERR_UNAVAILABLE || code == ERR_DEADLINE_EXCEEDED;
}

static void sent(const struct err *err, const ProtobufCMessage *out, void *arg)
{
	struct spoke *s = arg;
	struct spoke_work *w = s->work;

	(void)out;
	s->sending = NULL;
	if (err && (err->code == ERR_RESOURCE_EXHAUSTED ||
		    err->code == ERR_DATA_LOSS)) {
		timer_set(&s->resend, s->loop,
			  backoff_next(&s->busy_pause, &s->rand), resend, s);
		return;
	}
	s->busy_pause.now_ms = 0;
	if (err && spoke_has_others(s) && is_lost(s, err->code)) {
		spoke_lost(s, err);
		return;
	}
	if (err) {
		refused(s, err);
		return;
	}
	if (w->scores)
		told_score(s, w);
	else
		told_update(s, w);
	spoke_task_sent(s);
}

static Gfl__V1__FlScore *fill_score(const struct spoke_work *w,
				    Gfl__V1__FlScore *out)
{
	gfl__v1__fl_score__init(out);
	out->examples = w->score.examples;
	if (isfinite(w->score.loss)) {
		out->_loss_case = GFL__V1__FL_SCORE___LOSS_LOSS;
		out->loss = w->score.loss;
	}
	out->_accuracy_case = GFL__V1__FL_SCORE___ACCURACY_ACCURACY;
	out->accuracy = w->score.accuracy;
	return out;
}

static int64_t time_for(const struct spoke *s)
{
	const int64_t most_ms = spoke_has_others(s) ? SEND_SOON_MS : SEND_MS;
	const int64_t give_up_ms = s->opts.give_up_ms;

	return give_up_ms && give_up_ms < most_ms ? give_up_ms : most_ms;
}

void spoke_send(struct spoke *s)
{
	const struct rpc_opts opts = {.timeout_ms = time_for(s),
				      .retry = !spoke_has_others(s)};
	const struct spoke_work *w = s->work;
	Gfl__V1__FlUpdateRequest in;
	Gfl__V1__FlScore score;

	if (s->leaving || s->adrift)
		return;
	if (s->task.id < 0)
		log_info("carried", "server=%s round=%lld", spoke_url(s),
			 (long long)s->task.round);
	gfl__v1__fl_update_request__init(&in);
	in.code = w->scores ? s->task.code : s->training.code;
	in.client_id = s->id;
	in.session = s->session;
	in.failure = w->failure ? w->failure : "";
	in.activation = s->task.id < 0 ? 0 : s->task.id;
	in.update_id = s->task.term ? w->update_id : 0;
	in.base_term = s->task.term;
	in.logical = w->logical;
	in.round = s->task.round;
	in.base_version = s->task.version;
	in.layout_hash = s->layout;
	in.parameters = s->learner->model->len;
	in.dtype = s->training.dtype;
	in.examples = w->examples;
	in.steps = w->steps.steps;
	if (!isnan(w->loss)) {
		in._loss_case = GFL__V1__FL_UPDATE_REQUEST___LOSS_LOSS;
		in.loss = w->loss;
	}
	in.crc32c = w->crc;
	in.values.data = (uint8_t *)w->values.p;
	in.values.len = w->values.len;
	in.seconds = w->seconds;
	if (w->scores && !w->failure)
		in.score = fill_score(w, &score);
	s->sending = client_call(s->client, spoke_url(s), RPC_FL_UPDATE,
				 &in.base, &opts, sent, s);
}
