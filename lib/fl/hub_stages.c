/* Stages of a server's life that are handled by a command, or by a function of
 * the program. */
#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "fl/hub_impl.h"
#include "nn/checkpoint.h"

enum { GRACE_MS = 2000 };

struct hub_call {
	struct hub *hub;
	struct process *process;
	hub_stage_done_fn *done;
	void *arg;
	struct hub_call *prev, *next;
};

bool hub_stage_has(const struct hub *h, enum hub_stage stage)
{
	return h->opts.stages[stage].command || h->opts.stages[stage].fn;
}

static void finish(struct hub_call *c, const struct err *err, const char *out,
		   size_t len)
{
	struct hub_call call = *c;

	DL_DELETE(c->hub->calls, c);
	free(c);
	call.done(err, err ? NULL : out, err ? 0 : len, call.arg);
}

static void exited(const struct err *err, const char *out, size_t len,
		   void *arg)
{
	finish(arg, err, out, len);
}

static void call_function(struct hub_call *c, enum hub_stage stage,
			  const struct facts *facts, const struct buf *in)
{
	const struct hub_stage_opts *o = &c->hub->opts.stages[stage];
	struct buf out = BUF_INIT(0);
	struct err err;
	int rc = o->fn(stage, facts, in->p, in->len, &out, o->arg, &err);

	finish(c, rc ? &err : NULL, out.p, out.len);
	buf_release(&out);
}

static void call_command(struct hub_call *c, enum hub_stage stage,
			 const struct facts *facts, const struct buf *in)
{
	struct hub *h = c->hub;
	const struct process_opts how = {
		.facts = facts,
		.input = in->p,
		.len = in->len,
		.timeout_ms = h->opts.handler_ms,
		.grace_ms = GRACE_MS,
		.out_max = h->model->len * 8 + (64 << 20),
		.logged = true,
	};
	struct err err;

	if (process_start(&c->process, h->loop, h->opts.stages[stage].command,
			  &how, exited, c, &err))
		finish(c, &err, NULL, 0);
}

void hub_stage_call(struct hub *h, enum hub_stage stage, struct facts *facts,
		    const struct buf *in, hub_stage_done_fn *done, void *arg)
{
	static const char *const names[] = {"setup", "round", "receive",
					    "shutdown"};
	struct hub_call *c = mem_zero(1, sizeof(*c));

	*c = (struct hub_call){.hub = h, .done = done, .arg = arg};
	DL_APPEND(h->calls, c);
	facts_add(facts, "GFL_STAGE", "%s", names[stage]);
	facts_add(facts, "GFL_ROUND", "%" PRId64, h->round);
	facts_add(facts, "GFL_MODEL", "%s", hub_model_name(h));
	if (h->opts.stages[stage].command)
		call_command(c, stage, facts, in);
	else
		call_function(c, stage, facts, in);
	facts_release(facts);
}

/* The commands end with us; whoever waits for one is told. */
void hub_stages_close(struct hub *h)
{
	struct err err;

	err_set(&err, ERR_UNAVAILABLE, "the server ends");
	while (h->calls) {
		process_drop(h->calls->process);
		finish(h->calls, &err, NULL, 0);
	}
}

void hub_stage_pack(const struct hub *h, const float *values, struct buf *out)
{
	struct tensors ts = {0};

	checkpoint_put(&ts, h->model, "", values);
	tensors_encode(&ts, out);
	tensors_release(&ts);
}

int hub_stage_unpack(const struct hub *h, const char *p, size_t len,
		     const char *what, float *values, struct err *err)
{
	struct tensors ts = {0};
	int rc = tensors_decode(&ts, p, len, what, err);

	if (!rc)
		rc = checkpoint_get(&ts, h->model, "", what, values, err);
	tensors_release(&ts);
	return rc;
}

/* --- the first and the last ------------------------------------------------ */

static void set_up_done(const struct err *err, const char *out, size_t len,
			void *arg)
{
	struct hub *h = arg;
	struct err why;

	if (h->state != HUB_SETTING_UP)
		return;
	if (err) {
		why = *err;
		err_wrap(&why, "setup");
		hub_fail(h, &why);
		return;
	}
	if (len && hub_stage_unpack(h, out, len, "what setup put out",
				    h->params, &why)) {
		hub_fail(h, &why);
		return;
	}
	hub_model_use(h, hub_model_make(h, h->version));
	h->state = HUB_WAITING;
	hub_look(h);
}

/* The worker has nothing to do yet, so params are ours. */
void hub_set_up(struct hub *h)
{
	const struct buf none = BUF_INIT(0);
	struct facts facts = {0};

	if (h->round || !hub_stage_has(h, HUB_ON_SETUP)) {
		h->state = HUB_WAITING;
		return;
	}
	facts_add(&facts, "GFL_SEED", "%" PRIu64, h->opts.seed);
	hub_stage_call(h, HUB_ON_SETUP, &facts, &none, set_up_done, h);
}

static void shut_down_done(const struct err *err, const char *out, size_t len,
			   void *arg)
{
	struct hub *h = arg;
	struct err why;

	(void)out;
	(void)len;
	h->shut_down = true;
	if (err) {
		why = *err;
		err_wrap(&why, "shutdown");
		hub_fail(h, &why);
	}
	hub_look(h);
}

void hub_shut_down(struct hub *h)
{
	const struct buf none = BUF_INIT(0);
	struct facts facts = {0};

	if (!hub_stage_has(h, HUB_ON_SHUTDOWN)) {
		h->shut_down = true;
		return;
	}
	facts_add(&facts, "GFL_MODEL_OUT", "%s", h->opts.model_out);
	facts_add(&facts, "GFL_ACCURACY", "%.6f", h->accuracy);
	facts_add(&facts, "GFL_REASON", "%s", h->why_ended);
	hub_stage_call(h, HUB_ON_SHUTDOWN, &facts, &none, shut_down_done, h);
}
