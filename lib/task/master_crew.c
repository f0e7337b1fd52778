/* The workers: they come, are heard of, leave, and are listed. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "task/master_impl.h"

/* ---- who speaks for a worker ---- */

/* Who has a certificate speaks for itself alone, or for all as an admin. A
 * worker that has gone may be anybody's. */
static int check_owner(struct crew *c, const struct peer *peer, struct err *err)
{
	char owner[PEER_NAME];

	peer_name(owner, peer);
	if (!c || c->dead || c->left || !strcmp(c->owner, owner) ||
	    (peer->identity && !strcmp(peer->identity->role, "admin")))
		return 0;
	if (!*c->owner) { /* since we were started */
		str_copy(c->owner, sizeof(c->owner), owner);
		return 0;
	}
	return err_set(err, ERR_PERMISSION_DENIED,
		       "worker %s is that of %s, not of %s", c->id, c->owner,
		       *owner ? owner : "whoever shows no certificate");
}

bool master_lets_speak(struct master *m, struct call *call, const char *worker)
{
	struct crew *c;
	struct err err;

	HASH_FIND_STR(m->farm.crew, worker, c);
	if (!check_owner(c, call_peer(call), &err))
		return true;
	call_fail(call, &err);
	return false;
}

/* ---- a worker comes ---- */

static const char *meta(const Morphml__Distributed__RegisterRequest *in,
			const char *key)
{
	for (size_t i = 0; i < in->n_metadata; i++)
		if (!strcmp(in->metadata[i]->key, key))
			return in->metadata[i]->value;
	return "";
}

/* Others have no word for how they are to be called: as they call us. */
static char *url_of(const Morphml__Distributed__RegisterRequest *in,
		    const struct peer *peer)
{
	const char *s = peer->trust >= PEER_UNVERIFIED ? "s" : "";
	bool v6 = strchr(in->host, ':') != NULL;

	if (*in->url)
		return mem_str(in->url);
	if (!*in->host || in->port < 1 || in->port > 65535)
		return mem_str("");
	return mem_fmt("http%s://%s%s%s:%d", s, v6 ? "[" : "", in->host,
		       v6 ? "]" : "", (int)in->port);
}

static bool wants_push(const struct master *m, const char *mode,
		       const Morphml__Distributed__RegisterRequest *in,
		       const char *url)
{
	if (!*url)
		return false;
	if (*in->instance)
		return in->push;
	return *mode ? !strcmp(mode, "push") : m->config.push;
}

int master_check_id(const char *id, struct err *err)
{
	if (!*id || strlen(id) > CREW_ID_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "worker_id has %zu bytes, not 1 to %d",
			       strlen(id), CREW_ID_MAX);
	return 0;
}

static int enter(struct master *m, const struct peer *peer,
		 const Morphml__Distributed__RegisterRequest *in,
		 struct err *err)
{
	char *url = url_of(in, peer);
	int32_t gpus[CREW_GPUS];
	struct crew *c;
	struct farm_worker who = {
		.id = in->worker_id,
		.url = url,
		.instance = in->instance,
		.gfl = *in->instance,
		.push = wants_push(m, meta(in, "mode"), in, url),
		.slots = in->slots,
		.gpus = gpus,
	};
	int rc = master_check_id(in->worker_id, err);

	if (!rc && strlen(url) > CREW_URL_MAX)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "an address of more than %d bytes", CREW_URL_MAX);
	if (!rc && *in->instance && !str_is_id(in->instance))
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "instance is not 32 hex digits");
	who.n_gpus = in->n_gpu_ids ? (int)in->n_gpu_ids : in->num_gpus;
	if (who.n_gpus < 0 || who.n_gpus > CREW_GPUS)
		who.n_gpus = CREW_GPUS;
	for (int i = 0; i < who.n_gpus; i++)
		gpus[i] = in->n_gpu_ids ? in->gpu_ids[i] : i;
	HASH_FIND_STR(m->farm.crew, in->worker_id, c);
	if (!rc)
		rc = check_owner(c, peer, err) ||
		     farm_register(&m->farm, &who, master_now(), err);
	if (!rc)
		log_info("worker",
			 "worker=%s url=%s mode=%s slots=%d gpus=%d gfl=%d",
			 who.id, who.url, who.push ? "push" : "pull",
			 who.slots ? who.slots : 1, who.n_gpus, who.gfl);
	free(url);
	return rc;
}

static void on_register(struct call *call, const ProtobufCMessage *msg,
			void *arg)
{
	const Morphml__Distributed__RegisterRequest *in =
		(const Morphml__Distributed__RegisterRequest *)msg;
	struct master *m = arg;
	Morphml__Distributed__RegisterResponse *out = mem_zero(1, sizeof(*out));
	struct err err;
	struct crew *c;

	morphml__distributed__register_response__init(out);
	out->success = !enter(m, call_peer(call), in, &err);
	out->message = mem_str(out->success ? "registered" : err.msg);
	out->master_id = mem_str(m->id);
	out->gfl = true;
	out->silence_ms = m->config.farm.silence_ms;
	if (out->success) {
		HASH_FIND_STR(m->farm.crew, in->worker_id, c);
		peer_name(c->owner, call_peer(call));
		master_keep(m, c, false);
	}
	master_answer(m, call, &out->base)->to_worker = true;
	master_step(m);
}

/* ---- it is heard of ---- */

static double percent(double v)
{
	return v >= 0 && v <= 1e6 ? v : 0; /* of so many CPUs, say; no NaN */
}

static void take_metrics(struct crew *c,
			 const Morphml__Distributed__HeartbeatRequest *in)
{
	const Morphml__Distributed__WorkerMetrics *w = in->metrics;

	str_copy(c->status, sizeof(c->status), in->status);
	if (w)
		c->metrics = (struct crew_metrics){
			percent(w->cpu_usage), percent(w->memory_usage),
			percent(w->gpu_usage), percent(w->gpu_memory)};
}

static void on_heartbeat(struct call *call, const ProtobufCMessage *msg,
			 void *arg)
{
	const Morphml__Distributed__HeartbeatRequest *in =
		(const Morphml__Distributed__HeartbeatRequest *)msg;
	Morphml__Distributed__HeartbeatResponse out =
		MORPHML__DISTRIBUTED__HEARTBEAT_RESPONSE__INIT;
	struct master *m = arg;
	struct instant now = master_now();
	struct crew *c;

	if (!master_lets_speak(m, call, in->worker_id))
		return;
	c = farm_hear(&m->farm, in->worker_id, in->instance, now);
	out.acknowledged = c != NULL;
	out.should_continue = true;
	if (c) {
		take_metrics(c, in);
		if (c->gfl)
			farm_holding(&m->farm, c, in->holding, in->n_holding,
				     false, now);
		master_keep(m, c, in->metrics != NULL);
		out.cancel = c->cancels;
		out.n_cancel = c->n_cancels;
	}
	call_reply(call, &out.base);
	master_step(m);
}

/* ---- it leaves ---- */

static void on_leave(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__LeaveMasterRequest *in =
		(const Gfl__V1__LeaveMasterRequest *)msg;
	Gfl__V1__LeaveMasterResponse *out = mem_zero(1, sizeof(*out));
	struct master *m = arg;
	struct instant now = master_now();
	struct crew *c;

	if (!master_lets_speak(m, call, in->worker_id)) {
		free(out);
		return;
	}
	c = farm_hear(&m->farm, in->worker_id, in->instance, now);
	gfl__v1__leave_master_response__init(out);
	if (c) {
		log_info("worker_left", "worker=%s", c->id);
		farm_leave(&m->farm, c, now);
		master_keep(m, c, false);
	}
	master_answer(m, call, &out->base)->to_worker = true;
	master_step(m);
}

/* ---- they are listed ---- */

static const char *status_of(const struct crew *c)
{
	if (c->dead)
		return "dead";
	if (c->left)
		return "left";
	if (!strcmp(c->status, "error"))
		return "error";
	return c->running ? "busy" : "idle";
}

static void describe(Gfl__V1__Worker *w, struct crew *c)
{
	gfl__v1__worker__init(w);
	w->id = c->id;
	w->url = c->url;
	w->mode = (char *)(c->push ? "push" : "pull");
	w->status = (char *)status_of(c);
	breaker_allows(&c->breaker, 1, clock_ms());
	w->breaker = (char *)breaker_name(c->breaker.state);
	w->slots = c->slots;
	w->running = c->running;
	w->seen_ms = c->seen_wall_ms;
	w->done = c->done;
	w->failed = c->failed;
	w->mean_s = c->mean_ms / 1000;
	w->cpu = c->metrics.cpu;
	w->memory = c->metrics.memory;
	w->gpu = c->metrics.gpu;
	w->gpu_memory = c->metrics.gpu_memory;
	w->gpus = c->n_gpus;
	w->gfl = c->gfl;
}

static void on_list_workers(struct call *call, const ProtobufCMessage *msg,
			    void *arg)
{
	struct master *m = arg;
	size_t n = HASH_COUNT(m->farm.crew);
	Gfl__V1__ListWorkersResponse out = GFL__V1__LIST_WORKERS_RESPONSE__INIT;
	Gfl__V1__Worker *all = mem_zero(n, sizeof(*all));

	(void)msg;
	out.workers = mem_zero(n, sizeof(*out.workers));
	for (struct crew *c = m->farm.crew; c; c = c->hh.next) {
		describe(&all[out.n_workers], c);
		out.workers[out.n_workers] = &all[out.n_workers];
		out.n_workers++;
	}
	call_reply(call, &out.base);
	free(out.workers);
	free(all);
}

void master_serve_crew(struct master *m)
{
	server_handle(m->server, RPC_MASTER_REGISTER_WORKER, on_register, m);
	server_handle(m->server, RPC_MASTER_HEARTBEAT, on_heartbeat, m);
	server_handle(m->server, RPC_TASK_LEAVE, on_leave, m);
	server_handle(m->server, RPC_TASK_LIST_WORKERS, on_list_workers, m);
}
