#include "fl/participant_exec.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "fl/theta.h"
#include "wire/rpc.h"
#include "wire/utf8.h"

enum { GRACE_MS = 5000, MAX_BYTES = 64 << 20 };

struct participant_exec {
	struct loop *loop;
	struct participant_exec_opts opts;
	char *url;
	struct participant *p;
	struct process *process;
	CoordinatorMessage *next; /* came while an old command was ending */
	bool stale;               /* nobody waits for what it prints */
	participant_over_fn *over;
	void *arg;
	struct timer soon;
	struct err err; /* of over; code 0: none */
};

static void on_over(void *arg)
{
	struct participant_exec *x = arg;

	x->over(x->err.code ? &x->err : NULL, x->arg);
}

/* ---- answers ---- */

static void say_failed(struct participant_exec *x, const char *why)
{
	ParticipantMessage m = PARTICIPANT_MESSAGE__INIT;
	struct buf text = BUF_INIT(0);

	log_warn("failed", "error=%s", why);
	utf8_put(&text, why, strlen(why));
	m.message_case = PARTICIPANT_MESSAGE__MESSAGE_FAILED;
	m.failed = text.p;
	participant_dispatch(x->p, &m);
	buf_release(&text);
}

static void say_result(struct participant_exec *x, const char *out, size_t len)
{
	ParticipantMessage m = PARTICIPANT_MESSAGE__INIT;
	TrainResult r = TRAIN_RESULT__INIT;
	struct theta theta;
	struct err err;

	if (theta_parse(&theta, out, len, x->opts.max_bytes,
			command_path(x->opts.command), &err)) {
		say_failed(x, err.msg);
		return;
	}
	m.message_case = PARTICIPANT_MESSAGE__MESSAGE_TRAIN_RESULT;
	m.train_result = &r;
	r.n_theta = theta.n;
	r.theta = theta.at;
	participant_dispatch(x->p, &m);
	log_info("answered", "arrays=%zu", theta.n);
	theta_release(&theta);
}

/* ---- the command ---- */

static void start(struct participant_exec *x, const CoordinatorMessage *in);

static void on_end(const struct err *err, const char *out, size_t len,
		   void *arg)
{
	struct participant_exec *x = arg;
	CoordinatorMessage *next = x->next;

	x->process = NULL;
	if (!x->p) {
		timer_set(&x->soon, x->loop, 0, on_over, x);
	} else if (x->stale) {
		x->stale = false;
		x->next = NULL;
		if (next)
			start(x, next);
		rpc_free(next ? &next->base : NULL);
	} else if (err) {
		say_failed(x, err->msg);
	} else {
		say_result(x, out, len);
	}
}

static int run(struct participant_exec *x, const TrainConfig *t,
	       struct err *err)
{
	struct facts facts = {0};
	struct buf npz = BUF_INIT(0);
	struct process_opts opts = {
		.facts = &facts,
		.timeout_ms = x->opts.timeout_ms,
		.grace_ms = x->opts.grace_ms,
		.out_max = x->opts.max_bytes,
		.works = true,
		.logged = true,
	};
	int rc = theta_pack(&npz, t->theta, t->n_theta, err);

	opts.input = npz.p;
	opts.len = npz.len;
	facts_add(&facts, "GFL_ARRAYS", "%zu", t->n_theta);
	facts_add(&facts, "GFL_COORDINATOR", "%s", x->url);
	if (!rc)
		rc = process_start(&x->process, x->loop, x->opts.command, &opts,
				   on_end, x, err);
	facts_release(&facts);
	buf_release(&npz);
	return rc;
}

static void start(struct participant_exec *x, const CoordinatorMessage *in)
{
	struct err err;

	log_info("instruction", "arrays=%zu", in->train_config->n_theta);
	if (run(x, in->train_config, &err))
		say_failed(x, err.msg);
}

/* ---- the stream ---- */

static void consume(const CoordinatorMessage *in, void *arg)
{
	struct participant_exec *x = arg;

	if (x->process)
		x->next = (CoordinatorMessage *)rpc_copy(&in->base);
	else
		start(x, in);
}

/* What it works on another one does by now. */
static void give_up(struct participant_exec *x)
{
	rpc_free(x->next ? &x->next->base : NULL);
	x->next = NULL;
	if (!x->process || x->stale)
		return;
	x->stale = true;
	process_stop(x->process);
}

static void lost(const struct err *err, int64_t after_ms, void *arg)
{
	struct participant_exec *x = arg;
	double after_s = (double)after_ms / 1000;

	if (err)
		log_warn("lost", "coordinator=%s error=%s again_in_s=%.1f",
			 x->url, err->msg, after_s);
	else
		log_info("sent_away", "coordinator=%s again_in_s=%.1f", x->url,
			 after_s);
	give_up(x);
}

static void leave(struct participant_exec *x)
{
	participant_close(x->p);
	x->p = NULL;
	give_up(x);
	if (!x->process)
		timer_set(&x->soon, x->loop, 0, on_over, x);
}

static void over(const struct err *err, void *arg)
{
	struct participant_exec *x = arg;

	if (err)
		x->err = *err;
	leave(x);
}

struct participant_exec *
participant_exec_open(struct loop *loop,
		      const struct participant_exec_opts *opts,
		      participant_over_fn *on_end_of_all, void *arg)
{
	static const struct participant_hooks hooks = {consume, lost, over};
	struct participant_exec *x = mem_zero(1, sizeof(*x));

	x->loop = loop;
	x->opts = *opts;
	x->opts.grace_ms = opts->grace_ms ? opts->grace_ms : GRACE_MS;
	x->opts.max_bytes = opts->max_bytes ? opts->max_bytes : MAX_BYTES;
	x->url = mem_str(opts->participant.url);
	x->over = on_end_of_all;
	x->arg = arg;
	x->p = participant_open(loop, &opts->participant, &hooks, x);
	return x;
}

void participant_exec_stop(struct participant_exec *x)
{
	if (x->p)
		participant_finish(x->p);
}

void participant_exec_close(struct participant_exec *x)
{
	if (!x)
		return;
	participant_close(x->p);
	process_drop(x->process);
	timer_stop(&x->soon);
	rpc_free(x->next ? &x->next->base : NULL);
	free(x->url);
	free(x);
}
