#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "proto/node.pb-c.h"
#include "proto/task.pb-c.h"
#include "registry/check_impl.h"
#include "registry/directory.h"
#include "registry/hedge.h"
#include "registry/survey.h"

void check_bounds(const struct check_opts *o, struct probe_figure *f)
{
	f->bounded = true;
	if (o->warn >= 0)
		f->warn = o->warn;
	if (o->crit >= 0)
		f->crit = o->crit;
}

void check_add(struct probe *p, const char *name, const char *help, double v)
{
	probe_add(p, &(struct probe_figure){
			     .name = name, .help = help, .value = v});
}

static void add_nodes(const struct check_opts *o, struct probe *p,
		      const struct survey *s, int64_t alive)
{
	struct probe_figure f = {
		.name = "nodes",
		.help = "Members that answer.",
		.value = (double)alive,
		.warn = (double)s->n,
		.crit = (double)(s->n / 2 + 1),
	};
	enum probe_status status;

	check_bounds(o, &f);
	status = probe_least(f.value, f.warn, f.crit);
	if (alive == (int64_t)s->n)
		probe_say(p, status, "%" PRId64 " node%s alive", alive,
			  alive == 1 ? "" : "s");
	else
		probe_say(p, status, "%" PRId64 " of %zu nodes alive", alive,
			  s->n);
	probe_add(p, &f);
}

/* False if nobody could be asked. */
static bool look_at_nodes(const struct check_opts *o, struct probe *p)
{
	struct survey_sum sum;
	struct survey s;
	struct err err;

	if (survey_take(&s, &o->client, &err)) {
		probe_fail(p, PROBE_CRITICAL, &err);
		return false;
	}
	sum = survey_sum(&s);
	add_nodes(o, p, &s, sum.alive);
	check_add(p, "known", "Members that there should be.", (double)s.n);
	if (!strcmp(p->name, "cluster")) {
		check_add(p, "lag",
			  "Log entries from the first member to the last.",
			  (double)sum.lag);
		check_add(p, "trainers", "Trainers that are live.",
			  (double)sum.trainers);
		check_add(p, "run", "The run under way, or 0.",
			  (double)sum.run);
		check_add(p, "round", "The least round of its trainers.",
			  (double)sum.round);
	}
	survey_release(&s);
	return true;
}

static void probe_nodes(const struct check_opts *o, struct probe *p)
{
	look_at_nodes(o, p);
}

/* Only a leader whom a majority has just confirmed tells of runs. */
static int ask_leader(const struct check_opts *o, int64_t *id, int64_t *term,
		      struct err *err)
{
	Gfl__V1__ListRunsRequest list = GFL__V1__LIST_RUNS_REQUEST__INIT;
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;
	Gfl__V1__NodeStatus *status;
	ProtobufCMessage *runs;

	if (directory_call(&o->client, RPC_NODE_LIST_RUNS, &list.base, &runs,
			   err))
		return (int)err->code;
	rpc_free(runs);
	if (directory_call(&o->client, RPC_NODE_GET_STATUS, &in.base,
			   (ProtobufCMessage **)&status, err))
		return (int)err->code;
	*id = status->leader_id;
	*term = status->term;
	rpc_free(&status->base);
	return 0;
}

static void probe_leader(const struct check_opts *o, struct probe *p)
{
	struct probe_figure f = {
		.name = "leader_time",
		.help = "Until a majority had confirmed the leader.",
		.unit = PROBE_SECONDS,
		.warn = 1,
		.crit = 5,
	};
	int64_t began_us = clock_us(), id = 0, term = 0;
	struct err err;

	if (ask_leader(o, &id, &term, &err)) {
		probe_fail(p, PROBE_CRITICAL, &err);
		check_add(p, "leader", "Who leads, or 0.", 0);
		return;
	}
	f.value = (double)(clock_us() - began_us) / 1e6;
	if (strcmp(p->name, "leader") != 0)
		f.bounded = true;
	else
		check_bounds(o, &f);
	if (id)
		probe_say(p, probe_most(f.value, f.warn, f.crit),
			  "node %" PRId64 " leads in term %" PRId64, id, term);
	else
		probe_say(p, PROBE_CRITICAL, "nobody leads any more");
	probe_add(p, &f);
	check_add(p, "leader", "Who leads, or 0.", (double)id);
	check_add(p, "term", "The leader's term.", (double)term);
}

/* Answers of gateways, on their way. */
struct answers {
	int64_t began_us;
	size_t n, all;
	double slowest_s;
};

static bool count_answer(const ProtobufCMessage *out, size_t i, void *arg)
{
	struct answers *a = arg;

	(void)out, (void)i;
	a->slowest_s = (double)(clock_us() - a->began_us) / 1e6;
	return ++a->n == a->all;
}

/* All at once: one that hangs costs its time only once. */
static void ask_gateways(const struct check_opts *o, struct answers *a,
			 struct err *err)
{
	const struct opt_list *urls = &o->client.gateways;
	HealthCheckRequest in = HEALTH_CHECK_REQUEST__INIT;
	const struct hedge_opts how = {
		.urls = urls->at,
		.n = urls->n,
		.together = urls->n,
		.name = RPC_GATEWAY_HEALTH_CHECK,
		.in = &in.base,
		.timeout_ms = o->client.timeout_ms,
		.any_failure = true,
		.tls = &o->client.tls,
	};

	*a = (struct answers){.began_us = clock_us(), .all = urls->n};
	if (hedge_now(&how, count_answer, a, err))
		a->n = 0;
}

static void probe_gateway(const struct check_opts *o, struct probe *p)
{
	bool alone = !strcmp(p->name, "gateway");
	size_t all = o->client.gateways.n, up;
	struct answers answers;
	struct probe_figure f = {
		.name = "gateway_time",
		.help = "Until the slowest gateway had answered.",
		.unit = PROBE_SECONDS,
		.warn = 1,
		.crit = 5,
	};
	enum probe_status status;
	struct err err;

	ask_gateways(o, &answers, &err);
	up = answers.n;
	f.value = answers.slowest_s;
	f.bounded = true;
	if (alone)
		check_bounds(o, &f);
	status = probe_most(f.value, f.warn, f.crit);
	if (up < all && status == PROBE_OK)
		status = PROBE_WARNING;
	if (!up && all > 1)
		err_wrap(&err, "none of %zu gateways answers", all);
	if (!up)
		probe_fail(p, alone ? PROBE_CRITICAL : PROBE_WARNING, &err);
	else if (all == 1)
		probe_say(p, status, "gateway %s answers",
			  o->client.gateways.at[0]);
	else
		probe_say(p, status, "%zu of %zu gateways answer", up, all);
	if (up)
		probe_add(p, &f);
	check_add(p, "gateways", "Gateways that answer.", (double)up);
}

static void probe_cluster(const struct check_opts *o, struct probe *p)
{
	if (!look_at_nodes(o, p)) { /* which says it all */
		check_add(p, "leader", "Who leads, or 0.", 0);
		check_add(p, "gateways", "Gateways that answer.", 0);
		return;
	}
	probe_leader(o, p);
	probe_gateway(o, p);
}

static void say_of_crew(struct probe *p, const Gfl__V1__MasterStatus *m)
{
	if (!m->workers && m->ready)
		probe_say(p, PROBE_CRITICAL, "no worker is there");
	else
		probe_say(p, PROBE_OK, "%d worker%s alive", m->workers,
			  m->workers == 1 ? "" : "s");
	if (m->dead)
		probe_say(p, PROBE_WARNING, "%d dead", m->dead);
}

static void probe_master(const struct check_opts *o, struct probe *p)
{
	Gfl__V1__MasterStatusRequest in = GFL__V1__MASTER_STATUS_REQUEST__INIT;
	struct probe_figure f = {
		.name = "next_task_age",
		.help = "Since the task that goes next was submitted.",
		.unit = PROBE_SECONDS,
		.warn = 600,
		.crit = 3600,
	};
	Gfl__V1__MasterStatus *m;
	struct err err;

	if (client_now(&o->client.tls, o->masters.at[0], RPC_TASK_GET_STATUS,
		       &in.base, o->client.timeout_ms, (ProtobufCMessage **)&m,
		       &err)) {
		probe_fail(p, PROBE_CRITICAL, &err);
		return;
	}
	check_bounds(o, &f);
	if (m->next_ms && m->now_ms > m->next_ms)
		f.value = (double)(m->now_ms - m->next_ms) / 1000;
	say_of_crew(p, m);
	if (m->ready)
		probe_say(p, probe_most(f.value, f.warn, f.crit),
			  "%" PRId64 " task%s ready, the next one for %.0f s",
			  m->ready, m->ready == 1 ? "" : "s", f.value);
	probe_add(p, &f);
	check_add(p, "workers", "Workers that are alive.", m->workers);
	check_add(p, "dead_workers",
		  "Workers that fell silent within the last hour.", m->dead);
	check_add(p, "ready", "Tasks that wait for a worker.",
		  (double)m->ready);
	check_add(p, "waiting",
		  "Tasks that wait for others, or for another try.",
		  (double)m->waiting);
	check_add(p, "running", "Tasks that a worker has.", (double)m->running);
	rpc_free(&m->base);
}

static const struct {
	const char *name;
	void (*fn)(const struct check_opts *o, struct probe *p);
	bool least; /* what is fewer than -w is bad, not what is more */
	const char *whose;
} probes[] = {
	{"nodes", probe_nodes, true, "gateways"},
	{"leader", probe_leader, false, "gateways"},
	{"gateway", probe_gateway, false, "gateways"},
	{"cluster", probe_cluster, true, "gateways"},
	{"master", probe_master, false, "master"},
	{"server", check_server, false, "server"},
};

static int find(const struct check_opts *o, const char *name, size_t *i,
		struct err *err)
{
	size_t all = sizeof(probes) / sizeof(probes[0]);

	for (*i = 0; *i < all && strcmp(probes[*i].name, name) != 0; (*i)++)
		;
	if (*i == all)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "cannot check \"%s\": nodes, leader, gateway, "
			       "cluster, master or server",
			       name);
	if (o->warn >= 0 && o->crit >= 0 &&
	    (probes[*i].least ? o->crit > o->warn : o->crit < o->warn))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "with -w %g and -c %g nothing of %s would be a "
			       "WARNING",
			       o->warn, o->crit, name);
	return strcmp(name, "master")
		       ? 0
		       : opt_single(&o->masters, "master", err);
}

/* Whom the probe is about. */
static void name_urls(struct probe *p, const struct check_opts *o)
{
	const struct opt_list *all =
		strcmp(p->whose, "server") ? &o->client.gateways : &o->servers;

	if (!strcmp(p->whose, "master"))
		buf_puts(&p->urls, o->masters.at[0]);
	else
		for (size_t k = 0; k < all->n; k++)
			buf_putf(&p->urls, "%s%s", k ? "," : "", all->at[k]);
}

int check_run(struct probe *out, const char *name, const struct check_opts *o,
	      struct err *err)
{
	size_t i;

	*out = (struct probe){0};
	if (find(o, name, &i, err))
		return (int)err->code;
	out->name = probes[i].name;
	out->whose = probes[i].whose;
	name_urls(out, o);
	probes[i].fn(o, out);
	return 0;
}
