/* What a worker says to its master, and asks of it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/task.pb-c.h"
#include "task/agent_impl.h"
#include "task/task_json.h"

enum {
	HOLD_MS = 20000,
	EMPTY_MS = 20, /* after an answer that held nothing, and came at once */
	AHEAD = 64,    /* tasks that it takes beyond its slots */
	SILENCE_MS = 30000, /* unless the master says */
};

struct remote *agent_call(struct agent *a, enum rpc_name name,
			  const ProtobufCMessage *in, int64_t timeout_ms,
			  rpc_done_fn *done, void *arg)
{
	return remote_call(&a->remotes, a->native, agent_master(a), name, in,
			   timeout_ms, done, arg);
}

static void again(void *arg)
{
	struct agent *a = arg;

	timer_stop(&a->again);
	if (!a->known)
		agent_register(a);
	else
		agent_ask(a);
}

/* The master did not answer. Another one may. */
static void pause_then(struct agent *a, const char *what, const struct err *err)
{
	if (!a->pause.now_ms)
		log_warn("master_lost", "doing=%s error=%s", what, err->msg);
	if (!a->known) { /* each in both ways */
		a->at += a->native;
		a->native = !a->native;
	}
	timer_set(&a->again, a->loop, backoff_next(&a->pause, &a->rand), again,
		  a);
	agent_look_elsewhere(a);
}

/* What runs for it is finished first; what has been, and was not brought, is
 * dropped once another master has us: this one has given it elsewhere by then,
 * if it lives at all. */
void agent_look_elsewhere(struct agent *a)
{
	int64_t silent_ms = clock_ms() - a->heard_ms;

	if (!a->known || a->running || a->stopping ||
	    a->config.n_masters < 2 || silent_ms < a->silence_ms)
		return;
	log_warn("master_left", "master=%s silent_ms=%" PRId64,
		 agent_master(a), silent_ms);
	remote_cancel(a->asking);
	remote_cancel(a->beating);
	remote_cancel(a->bringing);
	a->asking = a->beating = a->bringing = NULL;
	timer_stop(&a->bring_again);
	a->known = a->native = false;
	a->at++;
	timer_set(&a->again, a->loop, 0, again, a);
}

static void free_texts(char **all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(all[i]);
	free(all);
}

/* ---- to come ---- */

static void beat(void *arg);

static void refused(struct agent *a, const char *why)
{
	if (!a->gfl) { /* it may think otherwise later */
		struct err err;

		err_set(&err, ERR_FAILED_PRECONDITION, "it says: %s", why);
		pause_then(a, "register", &err);
		return;
	}
	err_set(&a->error, ERR_FAILED_PRECONDITION,
		"master %s refuses worker %s: %s", agent_master(a),
		a->config.id, why);
	agent_end(a);
}

/* So often that it does not take us for dead if one is lost. */
static int64_t beat_ms(const struct agent *a, int64_t silence_ms)
{
	int64_t most = silence_ms / 3;

	return most > 0 && most < a->config.beat_ms ? most : a->config.beat_ms;
}

static void registered(const struct err *err, const ProtobufCMessage *msg,
		       void *arg)
{
	const Morphml__Distributed__RegisterResponse *out =
		(const Morphml__Distributed__RegisterResponse *)msg;
	struct agent *a = arg;

	a->registering = NULL;
	if (err) {
		pause_then(a, "register", err);
		return;
	}
	a->gfl = out->gfl;
	a->native = !a->gfl;
	if (!out->success) {
		refused(a, out->message);
		return;
	}
	log_info("registered", "master=%s id=%s gfl=%d", agent_master(a),
		 out->master_id, out->gfl);
	agent_belong(a, out->master_id);
	a->known = true;
	a->heard_ms = clock_ms();
	a->silence_ms = out->silence_ms > 0 ? out->silence_ms : SILENCE_MS;
	a->pause.now_ms = 0;
	timer_every(&a->beat, a->loop, beat_ms(a, out->silence_ms), beat, a);
	beat(a);
	agent_go_on(a);
}

/* "http://HOST:PORT" or https, as a master of others wants it. */
static void put_address(Morphml__Distributed__RegisterRequest *in, char *url)
{
	char *host = strstr(url, "://"), *colon;

	host = host ? host + 3 : url;
	colon = strrchr(host, ':');
	if (!colon)
		return;
	*colon = '\0';
	in->port = atoi(colon + 1);
	if (*host == '[' && colon[-1] == ']') {
		host++;
		colon[-1] = '\0';
	}
	in->host = host;
}

void agent_register(struct agent *a)
{
	const struct machine_metrics *m = machine_look(a->machine);
	Morphml__Distributed__RegisterRequest in =
		MORPHML__DISTRIBUTED__REGISTER_REQUEST__INIT;
	Morphml__Distributed__RegisterRequest__MetadataEntry mode =
		MORPHML__DISTRIBUTED__REGISTER_REQUEST__METADATA_ENTRY__INIT;
	Morphml__Distributed__RegisterRequest__MetadataEntry *all[] = {&mode};
	char *url;

	if (a->registering || (a->stopping && TAILQ_EMPTY(&a->jobs)))
		return; /* what it has it can bring only to who knows it */
	url = mem_str(server_url(a->server));
	mode.key = (char *)"mode";
	mode.value = (char *)(a->config.push ? "push" : "pull");
	in.metadata = all;
	in.n_metadata = 1;
	in.worker_id = (char *)a->config.id;
	put_address(&in, url);
	in.num_gpus = m->n_gpus;
	in.gpu_ids = (int32_t *)m->gpus;
	in.n_gpu_ids = (size_t)m->n_gpus;
	in.instance = a->instance;
	in.slots = a->config.slots;
	in.push = a->config.push;
	in.url = (char *)server_url(a->server);
	a->registering = agent_call(a, RPC_MASTER_REGISTER_WORKER, &in.base,
				    AGENT_CALL_MS, registered, a);
	free(url);
}

/* Another one may speak for our name by now: it says so once we come again. */
static bool denied(const struct agent *a, const struct err *err)
{
	return a->known && err && err->code == ERR_PERMISSION_DENIED;
}

/* It does not know us any more: it has lost its memory, or took us for dead. */
static void forgotten(struct agent *a)
{
	a->known = false;
	timer_set(&a->again, a->loop, backoff_next(&a->pause, &a->rand), again,
		  a);
}

/* ---- to tell how it is ---- */

static void beaten(const struct err *err, const ProtobufCMessage *msg,
		   void *arg)
{
	const Morphml__Distributed__HeartbeatResponse *out =
		(const Morphml__Distributed__HeartbeatResponse *)msg;
	struct agent *a = arg;

	a->beating = NULL;
	if (err && !denied(a, err))
		agent_look_elsewhere(a);
	else
		a->heard_ms = clock_ms();
	if (a->stopping || (err && !denied(a, err)))
		return; /* the next one may come through */
	if (err || !out->acknowledged) {
		if (a->known)
			forgotten(a);
		return;
	}
	for (size_t i = 0; i < out->n_cancel; i++)
		agent_cancel(a, out->cancel[i]);
	if (!out->should_continue)
		agent_stop(a);
	else
		agent_go_on(a);
}

static void beat(void *arg)
{
	struct agent *a = arg;
	Morphml__Distributed__HeartbeatRequest in =
		MORPHML__DISTRIBUTED__HEARTBEAT_REQUEST__INIT;
	Morphml__Distributed__WorkerMetrics w;

	if (!a->known || a->beating)
		return;
	agent_metrics(a, &w);
	in.worker_id = (char *)a->config.id;
	in.status = (char *)agent_status(a);
	in.current_task_id = (char *)agent_current(a);
	in.metrics = &w;
	in.instance = a->instance;
	in.holding = agent_holding(a, &in.n_holding);
	a->beating = agent_call(a, RPC_MASTER_HEARTBEAT, &in.base,
				AGENT_CALL_MS, beaten, a);
	free_texts(in.holding, in.n_holding);
}

/* ---- to ask for tasks ---- */

static void take_all(struct agent *a,
		     const Morphml__Distributed__TaskResponse *out)
{
	struct err err;

	for (size_t i = 0; i < out->n_tasks; i++)
		if (agent_take(a, out->tasks[i], NULL, &err) &&
		    err.code != ERR_ALREADY_EXISTS)
			log_err("task_refused", &err);
	for (size_t i = 0; i < out->n_cancel; i++)
		agent_cancel(a, out->cancel[i]);
}

static void asked(const struct err *err, const ProtobufCMessage *msg, void *arg)
{
	const Morphml__Distributed__TaskResponse *out =
		(const Morphml__Distributed__TaskResponse *)msg;
	struct agent *a = arg;
	bool nothing;

	a->asking = NULL;
	if (denied(a, err)) {
		forgotten(a);
		return;
	}
	if (err) {
		pause_then(a, "request_task", err);
		return;
	}
	a->heard_ms = clock_ms();
	if (a->pause.now_ms)
		log_info("master_back", "master=%s", agent_master(a));
	a->pause.now_ms = 0;
	if (out->unknown) {
		forgotten(a);
		return;
	}
	nothing = !out->n_tasks && !out->n_cancel;
	take_all(a, out);
	if (nothing)
		timer_set(&a->again, a->loop,
			  a->gfl ? EMPTY_MS : a->config.poll_ms, again, a);
	agent_go_on(a);
}

void agent_ask(struct agent *a)
{
	int room = a->config.slots - a->queued - a->running - a->over;
	Morphml__Distributed__TaskRequest in =
		MORPHML__DISTRIBUTED__TASK_REQUEST__INIT;

	if (a->asking || !a->known || a->config.push || a->stopping ||
	    a->again.h || (!a->gfl && room < 1))
		return;
	in.worker_id = (char *)a->config.id;
	in.max_tasks = a->gfl ? a->config.slots + AHEAD : room;
	in.instance = a->instance;
	in.wait_ms = HOLD_MS;
	in.holding = agent_holding(a, &in.n_holding);
	a->asking = agent_call(a, RPC_MASTER_REQUEST_TASK, &in.base,
			       HOLD_MS + AGENT_CALL_MS, asked, a);
	free_texts(in.holding, in.n_holding);
}

/* ---- to leave ---- */

static void left(const struct err *err, const ProtobufCMessage *msg, void *arg)
{
	struct agent *a = arg;

	(void)err, (void)msg; /* then it will find out by our silence */
	a->leaving = NULL;
	agent_end(a);
}

void agent_leave(struct agent *a)
{
	Gfl__V1__LeaveMasterRequest in = GFL__V1__LEAVE_MASTER_REQUEST__INIT;

	if (a->leaving || a->ended)
		return;
	if (!a->known || !a->gfl) {
		agent_end(a);
		return;
	}
	in.worker_id = (char *)a->config.id;
	in.instance = a->instance;
	a->leaving =
		agent_call(a, RPC_TASK_LEAVE, &in.base, AGENT_CALL_MS, left, a);
}

void agent_release_master(struct agent *a)
{
	timer_stop(&a->again);
	timer_stop(&a->beat);
	timer_stop(&a->bring_again);
	remotes_close(&a->remotes);
}
