/* raft_cluster.h - members of one cluster in one process, over real loopback
 * connections and real files, for tests and benchmarks of the driver. */
#ifndef RAFT_CLUSTER_H
#define RAFT_CLUSTER_H

#include "test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "raft/driver.h"
#include "raft/store.h"
#include "store/schema.h"

enum { MEMBERS = 3 };

#define CLUSTER_ID "0123456789abcdef0123456789abcdef"

struct cluster;

struct member {
	struct cluster *c;
	int64_t id;
	struct db *db, *reader;
	struct writer *writer;
	struct client *client;
	struct server *server;
	struct driver *driver; /* NULL: it is down */
	struct buf applied;    /* one letter or more per entry that counts */
	int64_t entries, skipped;
	int64_t leader, term;
	bool leads;
	struct err failed;
};

struct cluster {
	struct loop *loop;
	struct member m[MEMBERS + 1]; /* by id */
	bool (*until)(struct cluster *c);
	bool quiet; /* keep no text of what was applied */
	bool patient; /* a leader who is busy for seconds goes on leading */
	const char *cluster_id;
	const char *url[MEMBERS + 1]; /* of members in other processes */
};

static inline void cluster_check(struct cluster *c)
{
	if (c->until && c->until(c))
		loop_stop(c->loop);
}

/* Run the loop until that holds; each callback looks. */
static inline void cluster_run(struct cluster *c,
			       bool (*until)(struct cluster *))
{
	c->until = until;
	if (!until(c))
		loop_run(c->loop);
	c->until = NULL;
}

static inline void member_apply(const struct raft_entry *e, bool skip,
				struct driver_result *result, void *arg)
{
	struct member *m = arg;

	m->entries++;
	m->skipped += skip;
	if (e->type == RAFT_NORMAL && !skip) {
		if (!m->c->quiet)
			buf_put(&m->applied, e->data, e->len);
		result->id = (int64_t)m->applied.len;
		if (e->len && *(const char *)e->data == '!')
			err_set(&result->refused, ERR_INVALID_ARGUMENT, "no");
	}
	cluster_check(m->c);
}

static inline void member_leader(int64_t leader, int64_t term, bool we_lead,
				 void *arg)
{
	struct member *m = arg;

	m->leader = leader;
	m->term = term;
	m->leads = we_lead;
	cluster_check(m->c);
}

static inline void member_failed(const struct err *err, void *arg)
{
	struct member *m = arg;

	m->failed = *err;
	cluster_check(m->c);
}

static inline const char *member_url(int64_t id, void *arg)
{
	struct cluster *c = ((struct member *)arg)->c;

	return c->m[id].server ? server_url(c->m[id].server) : c->url[id];
}

static inline void must(int rc, const struct err *err)
{
	if (rc)
		test_fail(__FILE__, __LINE__, "%s", err->msg);
}

/* Start member id from its file, which is made if it is not there. */
static inline int member_start(struct cluster *c, int64_t id, struct err *err)
{
	static const char *const steps[] = {raft_store_schema};
	struct server_opts opts = {.listen = "127.0.0.1:0"};
	struct member *m = &c->m[id];
	char path[32];

	snprintf(path, sizeof(path), "%d.db", (int)id);
	*m = (struct member){.c = c, .id = id};
	must(db_open(&m->db, path, DB_NODE, err), err);
	must(schema_apply(m->db, steps, 1, err), err);
	must(db_open_to_read(&m->reader, path, DB_NODE, err), err);
	must(writer_open(&m->writer, c->loop, m->db, 64, err), err);
	must(client_open(&m->client, c->loop, NULL, err), err);
	must(server_open(&m->server, c->loop, &opts, err), err);
	return driver_open(&m->driver,
			   &(struct driver_config){
				   .loop = c->loop,
				   .reader = m->reader,
				   .writer = m->writer,
				   .client = m->client,
				   .server = m->server,
				   .node_id = id,
				   .cluster_id = c->cluster_id ? c->cluster_id
							       : CLUSTER_ID,
				   .election_min_ms = c->patient ? 3000 : 0,
				   .election_max_ms = c->patient ? 6000 : 0,
				   .on_apply = member_apply,
				   .on_leader = member_leader,
				   .on_failed = member_failed,
				   .url_of = member_url,
				   .arg = m,
			   },
			   err);
}

static inline void member_stop(struct member *m)
{
	if (!m->server)
		return;
	server_close(m->server, 0);
	m->server = NULL;
	driver_close(m->driver);
	m->driver = NULL;
	client_close(m->client);
	writer_close(m->writer);
	db_close(m->reader);
	db_close(m->db);
	buf_release(&m->applied);
}

static inline void cluster_open(struct cluster *c)
{
	struct err err;

	*c = (struct cluster){0};
	must(loop_open(&c->loop, &err), &err);
}

static inline void cluster_close(struct cluster *c)
{
	for (int i = 1; i <= MEMBERS; i++)
		member_stop(&c->m[i]);
	loop_close(c->loop);
}

/* The member that leads and knows it, or NULL. */
static inline struct member *cluster_leader(struct cluster *c)
{
	for (int i = 1; i <= MEMBERS; i++)
		if (c->m[i].driver && driver_leads(c->m[i].driver))
			return &c->m[i];
	return NULL;
}

static inline bool has_leader(struct cluster *c)
{
	return cluster_leader(c) != NULL;
}

struct answer {
	struct cluster *c;
	bool done;
	struct err err; /* code 0: well */
	struct driver_result result;
};

static inline void on_answer(const struct err *err,
			     const struct driver_result *result, void *arg)
{
	struct answer *a = arg;

	a->done = true;
	a->err.code = ERR_OK;
	if (err)
		a->err = *err;
	a->result = *result;
	cluster_check(a->c);
}

static inline struct driver_proposal text_of(const char *text)
{
	return (struct driver_proposal){.data = text, .len = strlen(text)};
}

#endif
