#include "fl/trainer_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"

const struct err *trainer_failed(const struct trainer *t)
{
	return t->failure.code ? &t->failure : NULL;
}

void trainer_fail(struct trainer *t, const struct err *err)
{
	if (t->failure.code)
		return;
	t->failure = *err;
	t->host.failed(t->host.arg);
}

int64_t trainer_id(const struct trainer *t)
{
	return t->id;
}

const char *trainer_cluster(const struct trainer *t)
{
	return history_me(t->history)->cluster_id;
}

int64_t trainer_epoch(const struct trainer *t)
{
	const struct state *s = trainer_state(t);
	int64_t planned = plans_epoch(&s->plans, t->run.id);

	return planned > s->epoch ? planned : s->epoch;
}

const struct state *trainer_state(const struct trainer *t)
{
	return t->link ? link_state(t->link) : NULL;
}

/* --- what the link says --------------------------------------------------- */

static void attached(int64_t id, const char *cluster_id, const char *node_url,
		     void *arg)
{
	struct trainer *t = arg;

	if (!t->talk.exchange) {
		t->id = id;
		trainer_talk_open(&t->talk, t, &trainer_peers,
				  exchange_new(id));
	}
	history_attached(t->history, id, cluster_id);
	history_node(t->history, node_url);
	t->host.attached(t->host.arg);
}

static void changed(unsigned what, void *arg)
{
	struct trainer *t = arg;
	const struct state *s = trainer_state(t);

	if (!s)
		return;
	if (what == STATE_ALL || what & STATE_MEMBER)
		for (size_t i = 0; i < s->nmembers; i++)
			if (*s->members[i]->url)
				history_node(t->history, s->members[i]->url);
	trainer_look(t);
}

static void refused(const struct err *err, void *arg)
{
	struct err why = *err;

	err_wrap(&why, "attach to a node");
	trainer_fail(arg, &why);
}

/* --- life ----------------------------------------------------------------- */

struct urls {
	char *at[128];
	size_t n;
};

static void add_url(const char *url, void *arg)
{
	struct urls *u = arg;

	for (size_t i = 0; i < u->n; i++)
		if (!strcmp(u->at[i], url))
			return;
	if (u->n < sizeof(u->at) / sizeof(u->at[0]))
		u->at[u->n++] = mem_str(url);
}

/* Those that were named, then those known from before. */
static int open_link(struct trainer *t, struct err *err)
{
	const struct history_me *me = history_me(t->history);
	struct link_hooks hooks = {.attached = attached,
				   .changed = changed,
				   .fill = trainer_fill,
				   .reported = trainer_reported,
				   .refused = refused,
				   .arg = t};
	struct urls u = {.n = 0};
	struct link_opts opts = {
		.nodes = (const char *const *)u.at,
		.gateways = t->opts.gateways,
		.url = t->host.url,
		.instance_id = me->instance_id,
		.cluster_id = me->cluster_id,
		.trainer_id = t->opts.trainer_id ? t->opts.trainer_id
						 : me->trainer_id,
		.examples = (int64_t)t->data.index->n,
		.no_runs = t->opts.no_runs,
	};
	int rc;

	for (size_t i = 0; i < t->opts.nnodes; i++)
		add_url(t->opts.nodes[i], &u);
	rc = history_nodes(t->history, add_url, &u, err);
	opts.nnodes = u.n;
	if (!rc)
		t->link = link_open(t->loop, t->client, &opts, &hooks);
	for (size_t i = 0; i < u.n; i++)
		free(u.at[i]);
	return rc;
}

static int open_all(struct trainer *t, struct err *err)
{
	const struct history_me *me;
	int rc = history_open(&t->history, t->loop, t->opts.db, err);

	if (rc)
		return rc;
	me = history_me(t->history);
	if (t->opts.trainer_id && me->trainer_id &&
	    me->trainer_id != t->opts.trainer_id)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "%s is of trainer %lld, not of %lld", t->opts.db,
			       (long long)me->trainer_id,
			       (long long)t->opts.trainer_id);
	rc = trainer_exec_open(t, err);
	return rc ? rc : open_link(t, err);
}

int trainer_open(struct trainer **out, const struct trainer_host *host,
		 const struct learner_data *data,
		 const struct trainer_opts *opts, struct err *err)
{
	struct trainer *t = mem_zero(1, sizeof(*t));

	t->host = *host;
	t->loop = host->loop;
	t->client = host->client;
	t->data = *data;
	t->opts = *opts;
	t->chance.state = rand_id();
	if (open_all(t, err)) {
		trainer_quiet(t);
		trainer_free(t);
		return (int)err->code;
	}
	*out = t;
	return 0;
}

void trainer_stop(struct trainer *t, loop_fn *done, void *arg)
{
	if (t->stopped)
		return;
	t->stopped = done;
	t->stopped_arg = arg;
	trainer_halt(t);
}

void trainer_quiet(struct trainer *t)
{
	if (!t)
		return;
	t->quiet = true;
	timer_stop(&t->again);
	link_close(t->link);
	t->link = NULL;
	client_cancel(t->probe);
	trainer_give_close(t, true);
	trainer_fetch_close(t);
	trainer_forget_calls(t);
	trainer_bridge_close(t);
}

void trainer_free(struct trainer *t)
{
	if (!t)
		return;
	exchange_free(t->talk.exchange);
	learner_free(t->run.learner);
	exec_close(t->exec);
	trainer_meet_close(t);
	free(t->run.model_path);
	free(t->run.reason);
	free(t->why_out);
	free(t->last_model);
	history_close(t->history);
	trainer_report_close(t);
	free(t->links);
	free(t->misses);
	free(t->peers);
	free(t);
}
