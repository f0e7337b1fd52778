#include "fl/clients.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/worker.h"
#include "proto/trainer.pb-c.h"
#include "wire/client.h"

enum { JOBS = 4 }; /* of each client: of a run, its ends, and the next one */

/* A method, and how a request names one of the trainers. */
struct route {
	struct clients *clients;
	server_fn *fn;
	int64_t (*to)(const ProtobufCMessage *in, const char **cluster);
};

enum { ROUTES = 5 };

struct client_files {
	char *db, *model_out, *index;
};

struct clients {
	struct loop *loop;
	struct server *server;
	struct client *client;
	struct worker **workers;
	struct client_files *files;
	struct trainer **trainers;
	int n, nworkers, running;
	bool ready;
	struct route routes[ROUTES];
	loop_fn *failed, *stopped;
	void *failed_arg, *stopped_arg;
};

/* --- names ---------------------------------------------------------------- */

static int part_of_list(char **out, const char *text, int i, int n,
			struct err *err)
{
	const char *from = text, *end = strchr(text, ',');
	int parts = 1;

	for (const char *p = end; p; p = strchr(p + 1, ','))
		parts++;
	if (parts != n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s: %d names for %d clients, and no %%d", text,
			       parts, n);
	for (; i > 1; i--) {
		from = end + 1;
		end = strchr(from, ',');
	}
	*out = end ? mem_fmt("%.*s", (int)(end - from), from) : mem_str(from);
	return 0;
}

int clients_name(char **out, const char *text, int i, int n, struct err *err)
{
	const char *at = strstr(text, "%d");

	if (n == 1) {
		*out = mem_str(text);
		return 0;
	}
	if (!at)
		return part_of_list(out, text, i, n, err);
	*out = mem_fmt("%.*s%d%s", (int)(at - text), text, i, at + 2);
	return 0;
}

static int open_index(struct index *out, const char *spec, int i, int n,
		      size_t count, struct err *err)
{
	char *path;
	int rc;

	if (!spec) {
		index_all(out, count);
		return 0;
	}
	if (clients_name(&path, spec, i, n, err))
		return (int)err->code;
	rc = index_read(out, path, count, err);
	free(path);
	return rc;
}

int clients_indexes(struct index **out, const char *spec, int n, size_t count,
		    struct err *err)
{
	struct index *all = mem_zero((size_t)n, sizeof(*all));

	for (int i = 0; i < n; i++) {
		if (!open_index(&all[i], spec, i + 1, n, count, err))
			continue;
		while (i-- > 0)
			index_release(&all[i]);
		free(all);
		return (int)err->code;
	}
	*out = all;
	return 0;
}

static char *db_of(const char *db, int i, int n)
{
	return n == 1 ? mem_str(db)
		      : mem_fmt("%.*s-%d.db", str_stem(db), db, i);
}

/* --- requests ------------------------------------------------------------- */

/* A request's trainer; or, where the ids are another cluster's, whoever bridges
 * it. */
static struct trainer *trainer_for(const struct clients *c, int64_t to,
				   const char *cluster, struct err *err)
{
	bool ours =
		!*cluster || !strcmp(cluster, trainer_cluster(c->trainers[0]));
	bool attaching = false;

	if (ours && !to)
		return c->trainers[0];
	for (int i = 0; i < c->n; i++) {
		struct trainer *t = c->trainers[i];

		if (ours ? trainer_id(t) == to : trainer_bridges(t, cluster))
			return t;
		attaching |= !trainer_id(t);
	}
	if (!ours)
		return c->trainers[0]; /* who says that he does not */
	err_set(err, attaching ? ERR_UNAVAILABLE : ERR_FAILED_PRECONDITION,
		"trainer %lld is not here", (long long)to);
	return NULL;
}

static void serve(struct call *call, const ProtobufCMessage *in, void *arg)
{
	const struct route *r = arg;
	const char *cluster = "";
	int64_t to = r->to(in, &cluster);
	struct err err;
	struct trainer *t = trainer_for(r->clients, to, cluster, &err);

	if (t)
		r->fn(call, in, t);
	else
		call_fail(call, &err);
}

static int64_t to_exchange(const ProtobufCMessage *in, const char **cluster)
{
	const Gfl__V1__ExchangeRequest *r =
		(const Gfl__V1__ExchangeRequest *)in;

	*cluster = r->cluster_id;
	return r->to;
}

static int64_t to_pull(const ProtobufCMessage *in, const char **cluster)
{
	(void)cluster;
	return ((const Gfl__V1__PullModelRequest *)in)->to;
}

static int64_t to_probe(const ProtobufCMessage *in, const char **cluster)
{
	(void)cluster;
	return ((const Gfl__V1__ProbeRequest *)in)->to;
}

static int64_t to_status(const ProtobufCMessage *in, const char **cluster)
{
	const Gfl__V1__TrainerStatusRequest *r =
		(const Gfl__V1__TrainerStatusRequest *)in;

	*cluster = r->cluster_id;
	return r->to;
}

static int64_t to_history(const ProtobufCMessage *in, const char **cluster)
{
	const Gfl__V1__HistoryRequest *r = (const Gfl__V1__HistoryRequest *)in;

	*cluster = r->cluster_id;
	return r->to;
}

static void metrics(struct buf *text, void *arg)
{
	const struct clients *c = arg;

	trainer_metrics(c->trainers, c->n, text);
}

static void serve_all(struct clients *c)
{
	static const enum rpc_name names[ROUTES] = {
		RPC_TRAINER_EXCHANGE, RPC_TRAINER_PULL_MODEL, RPC_TRAINER_PROBE,
		RPC_TRAINER_GET_STATUS, RPC_TRAINER_GET_HISTORY};
	const struct route routes[ROUTES] = {
		{c, trainer_on_exchange, to_exchange},
		{c, trainer_on_pull, to_pull},
		{c, trainer_on_probe, to_probe},
		{c, trainer_on_status, to_status},
		{c, trainer_on_history, to_history}};

	memcpy(c->routes, routes, sizeof(routes));
	for (int i = 0; i < ROUTES; i++)
		server_handle(c->server, names[i], serve, &c->routes[i]);
	server_metrics(c->server, metrics, c);
}

/* --- life ----------------------------------------------------------------- */

static void attached(void *arg)
{
	struct clients *c = arg;

	for (int i = 0; i < c->n; i++)
		if (!c->trainers[i] || !trainer_id(c->trainers[i]))
			return;
	for (int i = 0; !c->ready && c->n > 1 && i < c->n; i++)
		log_info("client", "client=%d trainer=%lld db=%s", i + 1,
			 (long long)trainer_id(c->trainers[i]), c->files[i].db);
	c->ready = true;
	server_ready(c->server, true);
}

static void failed(void *arg)
{
	struct clients *c = arg;

	c->failed(c->failed_arg);
}

static int open_trainer(struct clients *c, int i,
			const struct learner_data *data,
			const struct clients_opts *opts, struct err *err)
{
	const struct trainer_host host = {
		.loop = c->loop,
		.client = c->client,
		.worker = c->workers[i % c->nworkers],
		.url = server_url(c->server),
		.attached = attached,
		.failed = failed,
		.arg = c,
	};
	struct trainer_opts own = opts->each;
	struct client_files *files = &c->files[i];

	files->db = db_of(own.db, i + 1, c->n);
	if (own.model_out &&
	    clients_name(&files->model_out, own.model_out, i + 1, c->n, err))
		return (int)err->code;
	if (files->model_out && file_replaceable(files->model_out, err))
		return err_wrap(err, "--model-out");
	if (own.exec.index &&
	    clients_name(&files->index, own.exec.index, i + 1, c->n, err))
		return (int)err->code;
	own.exec.index = files->index;
	own.exec.threads = data->threads ? data->threads : 1;
	own.db = files->db;
	own.model_out = files->model_out;
	own.trainer_id += own.trainer_id ? i : 0;
	return trainer_open(&c->trainers[i], &host, data, &own, err);
}

static int open_workers(struct clients *c, const struct clients_opts *opts,
			struct err *err)
{
	const bool waits = opts->each.exec.command; /* for processes */
	const int n =
		opts->n > opts->threads && !waits ? opts->threads : opts->n;
	const size_t jobs = (size_t)(JOBS * ((opts->n + n - 1) / n));

	for (; c->nworkers < n; c->nworkers++) {
		if (worker_open(&c->workers[c->nworkers], c->loop, "learner",
				jobs, err))
			return (int)err->code;
		worker_watch(c->workers[c->nworkers], opts->each.stuck_ms);
	}
	return 0;
}

int clients_open(struct clients **out, struct loop *loop, struct server *s,
		 const struct learner_data *data, const struct index *indexes,
		 const struct clients_opts *opts, loop_fn *fn, void *arg,
		 struct err *err)
{
	struct clients *c = mem_zero(1, sizeof(*c));
	struct learner_data own = *data;
	int rc;

	c->loop = loop;
	c->server = s;
	c->n = opts->n;
	c->failed = fn;
	c->failed_arg = arg;
	c->trainers = mem_zero((size_t)c->n, sizeof(*c->trainers));
	c->files = mem_zero((size_t)c->n, sizeof(*c->files));
	c->workers = mem_zero((size_t)c->n, sizeof(*c->workers));
	own.threads = opts->threads / opts->n;
	rc = client_open(&c->client, loop, opts->tls, err);
	if (!rc)
		client_bind(c->client, opts->bind);
	if (!rc)
		rc = open_workers(c, opts, err);
	for (int i = 0; !rc && i < c->n; i++) {
		own.index = &indexes[i];
		rc = open_trainer(c, i, &own, opts, err);
	}
	if (rc) {
		clients_close(c);
		return rc;
	}
	serve_all(c);
	*out = c;
	return 0;
}

const struct err *clients_failed(const struct clients *c)
{
	for (int i = 0; i < c->n; i++)
		if (trainer_failed(c->trainers[i]))
			return trainer_failed(c->trainers[i]);
	return NULL;
}

static void one_stopped(void *arg)
{
	struct clients *c = arg;

	if (!--c->running)
		c->stopped(c->stopped_arg);
}

void clients_stop(struct clients *c, loop_fn *done, void *arg)
{
	if (c->stopped)
		return;
	c->stopped = done;
	c->stopped_arg = arg;
	c->running = c->n;
	for (int i = 0; i < c->n; i++)
		trainer_stop(c->trainers[i], one_stopped, c);
}

void clients_close(struct clients *c)
{
	if (!c)
		return;
	for (int i = 0; i < c->n; i++)
		trainer_quiet(c->trainers[i]);
	client_close(c->client);
	for (int i = 0; i < c->nworkers; i++)
		worker_close(c->workers[i]);
	for (int i = 0; i < c->n; i++) {
		trainer_free(c->trainers[i]);
		free(c->files[i].db);
		free(c->files[i].model_out);
		free(c->files[i].index);
	}
	free(c->trainers);
	free(c->files);
	free(c->workers);
	free(c);
}
