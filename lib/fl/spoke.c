#include "fl/spoke.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/spoke_impl.h"

enum {
	JOBS = 1,
	ASK_MS = 40000, /* the server holds it for 20 s */
	HOLD_MS = 2000, /* where others may take its place: shorter, so that
			   one that has stopped is noticed sooner (SPOKE_SOON_MS) */
	LEAVE_MS = 2000,
	PAUSE_MS = 50,
	PAUSE_MAX_MS = 2000,
};

const char *spoke_url(const struct spoke *s)
{
	return s->opts.urls[s->at];
}

bool spoke_has_others(const struct spoke *s)
{
	return s->opts.nurls > 1;
}

const struct err *spoke_failed(const struct spoke *s)
{
	return s->failure.code ? &s->failure : NULL;
}

static void end(struct spoke *s)
{
	if (s->over)
		return;
	s->over = true;
	s->ended(s->ended_arg);
}

void spoke_fail(struct spoke *s, const struct err *err)
{
	if (s->failure.code || s->over)
		return;
	s->failure = *err;
	spoke_leave(s, err->msg);
}

/* --- asking ----------------------------------------------------------------
 */

static void ask_again(void *arg)
{
	spoke_ask(arg);
}

/* A server that does not want us now, rather than none. */
static bool is_there(enum err_code code)
{
	return code == ERR_FAILED_PRECONDITION || code == ERR_NOT_FOUND ||
	       code == ERR_RESOURCE_EXHAUSTED || code == ERR_UNAUTHENTICATED;
}

static bool is_given_up(struct spoke *s, const struct err *err)
{
	const int64_t limit_ms = s->opts.give_up_ms;

	if (is_there(err->code))
		s->away_ms = 0;
	else if (!s->away_ms)
		s->away_ms = clock_ms();
	return s->away_ms && limit_ms && history_me(s->history)->served &&
	       clock_ms() - s->away_ms >= limit_ms;
}

void spoke_later(struct spoke *s, const struct err *err, loop_fn *ask)
{
	struct err why;

	if (!is_given_up(s, err)) {
		timer_set(&s->again, s->loop, backoff_next(&s->pause, &s->rand),
			  ask, s);
		return;
	}
	err_set(&why, ERR_UNAVAILABLE, "no server has answered for %g s: %s",
		(double)s->opts.give_up_ms / 1000, err->msg);
	err_hint(&why, "start the server, then this again; with --give-up it "
		       "is asked for longer");
	spoke_fail(s, &why);
}

void spoke_lost(struct spoke *s, const struct err *err)
{
	client_cancel(s->asking);
	s->asking = NULL;
	s->adrift = spoke_has_others(s);
	if (!s->pause.now_ms)
		log_warn("server_away", "server=%s error=%s", spoke_url(s),
			 err->msg);
	s->at = (s->at + 1) % s->opts.nurls;
	spoke_later(s, err,
		    spoke_has_others(s) ? spoke_set_up_again : ask_again);
}

/* Whoever took our place may want it back, so that is not asked for at once. */
static void ask_failed(struct spoke *s, const struct err *err)
{
	if (err->code == ERR_NOT_FOUND) {
		log_info("set_up_anew", "server=%s reason=%s", spoke_url(s),
			 err->msg);
		spoke_set_up(s);
		return;
	}
	if (err->code == ERR_UNAUTHENTICATED) {
		log_warn("session_lost", "server=%s error=%s", spoke_url(s),
			 err->msg);
		spoke_later(s, err, spoke_set_up_again);
		return;
	}
	spoke_lost(s, err);
}

static void told(const struct err *err, const ProtobufCMessage *out, void *arg)
{
	const Gfl__V1__FlInstruction *in = (const Gfl__V1__FlInstruction *)out;
	struct spoke *s = arg;

	s->asking = NULL;
	if (s->leaving)
		return;
	if (err) {
		ask_failed(s, err);
		return;
	}
	s->pause.now_ms = s->away_ms = 0;
	if (in->code == GFL__V1__FL_CODE__EXIT) {
		log_info("exit", "server=%s reason=%s", spoke_url(s),
			 in->reason);
		spoke_leave(s, "told to exit");
		return;
	}
	if (in->code != GFL__V1__FL_CODE__PARAMETER_REQUEST)
		spoke_begin(s, in);
	spoke_ask(s);
}

void spoke_ask(struct spoke *s)
{
	const struct rpc_opts opts = {
		.timeout_ms = spoke_has_others(s) ? SPOKE_SOON_MS : ASK_MS};
	Gfl__V1__FlAwaitRequest in;

	if (s->asking || s->leaving || s->next.id ||
	    (s->opts.active && s->task.id))
		return;
	timer_stop(&s->again);
	gfl__v1__fl_await_request__init(&in);
	in.client_id = s->id;
	in.session = s->session;
	in.busy = s->task.id;
	in.hold_ms = spoke_has_others(s) ? HOLD_MS : 0;
	s->asking = client_call(s->client, spoke_url(s), RPC_FL_AWAIT, &in.base,
				&opts, told, s);
}

/* --- leaving ---------------------------------------------------------------
 */

static void left(const struct err *err, const ProtobufCMessage *out, void *arg)
{
	struct spoke *s = arg;

	(void)out;
	s->farewell = NULL;
	if (err)
		log_info("not_told", "server=%s error=%s", spoke_url(s),
			 err->msg);
	end(s);
}

static void end_later(void *arg)
{
	end(arg);
}

void spoke_leave(struct spoke *s, const char *why)
{
	const struct rpc_opts opts = {.timeout_ms = LEAVE_MS};
	Gfl__V1__FlLeaveRequest in;

	if (s->leaving)
		return;
	s->leaving = true;
	if (!s->id) {
		timer_set(&s->again, s->loop, 0, end_later, s);
		return;
	}
	gfl__v1__fl_leave_request__init(&in);
	in.client_id = s->id;
	in.session = s->session;
	in.reason = (char *)(uintptr_t)why;
	s->farewell = client_call(s->client, spoke_url(s), RPC_FL_LEAVE,
				  &in.base, &opts, left, s);
}

void spoke_stop(struct spoke *s)
{
	spoke_leave(s, "stopped");
}

/* --- life ------------------------------------------------------------------
 */

static void metrics(struct buf *b, void *arg)
{
	const struct spoke *s = arg;

	buf_putf(b, "gfl_trainer_updates_total %" PRId64 "\n", s->rounds);
	buf_putf(b, "gfl_trainer_evaluations_total %" PRId64 "\n", s->scores);
	buf_putf(b, "gfl_trainer_updates_refused_total %" PRId64 "\n",
		 s->refused);
	buf_putf(b, "gfl_trainer_sent_bytes_total %" PRId64 "\n",
		 s->bytes_sent);
	buf_putf(b, "gfl_trainer_received_bytes_total %" PRId64 "\n",
		 s->bytes_received);
}

static int open_all(struct spoke *s, struct err *err)
{
	int rc = history_open(&s->history, s->loop, s->opts.db, err);

	if (!rc)
		rc = client_open(&s->client, s->loop, s->opts.tls, err);
	if (!rc)
		rc = spoke_exec_open(s, err);
	if (!rc)
		rc = worker_open(&s->worker, s->loop, "learner", JOBS, err);
	if (!rc)
		worker_watch(s->worker, s->opts.stuck_ms);
	return rc;
}

int spoke_open(struct spoke **out, struct loop *loop, struct server *server,
	       const struct learner_data *data, const struct spoke_opts *opts,
	       loop_fn *ended, void *arg, struct err *err)
{
	struct spoke *s = mem_zero(1, sizeof(*s));

	s->loop = loop;
	s->server = server;
	s->data = *data;
	s->opts = *opts;
	s->data.index = &opts->indexes[0];
	s->read = mem_zero((size_t)opts->nclients, sizeof(*s->read));
	s->left = mem_zero((size_t)opts->nclients, sizeof(*s->left));
	s->own = mem_zero((size_t)opts->nclients, sizeof(*s->own));
	s->ended = ended;
	s->ended_arg = arg;
	s->rand.state = rand_id();
	s->pause = (struct backoff){PAUSE_MS, PAUSE_MAX_MS, 0};
	s->busy_pause = s->pause;
	if (open_all(s, err)) {
		spoke_close(s);
		return (int)err->code;
	}
	client_bind(s->client, opts->bind);
	server_metrics(server, metrics, s);
	spoke_set_up(s);
	*out = s;
	return 0;
}

void spoke_close(struct spoke *s)
{
	if (!s)
		return;
	s->leaving = s->over = true;
	timer_stop(&s->again);
	client_cancel(s->asking);
	client_cancel(s->farewell);
	spoke_task_close(s);
	client_close(s->client);
	if (s->learner)
		learner_cancel(s->learner);
	if (s->worker)
		worker_close(s->worker);
	learner_free(s->learner);
	exec_close(s->exec);
	for (int i = 0; i < s->opts.nclients; i++) {
		free(s->left[i]);
		free(s->own[i]);
	}
	free(s->left);
	free(s->read);
	free(s->own);
	history_close(s->history);
	free(s);
}
