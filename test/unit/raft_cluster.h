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
	int64_t entries, skipped, restored;
	int64_t leader, term;
	bool leads;
	struct err failed;
};

struct cluster {
	struct loop *loop;
	struct member m[MEMBERS + 1]; /* by id */
	bool (*until)(struct cluster *c);
	bool quiet;   /* keep no text of what was applied */
	bool patient; /* a leader who is busy for seconds goes on leading */
	bool picky;   /* no member takes another's state */
	int64_t snapshot_bytes; /* 0: as the driver has it */
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

/* The text is the state. */
static inline void member_save(struct buf *b, void *arg)
{
	const struct member *m = arg;

	buf_put(b, m->applied.p, m->applied.len);
}

static inline int member_restore(const void *p, size_t len, void *arg,
				 struct err *err)
{
	struct member *m = arg;

	if (m->c->picky)
		return err_set(err, ERR_INVALID_ARGUMENT, "not to our taste");
	buf_reset(&m->applied);
	buf_put(&m->applied, p, len);
	m->restored++;
	cluster_check(m->c);
	return 0;
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
	static const char *const steps[] = {
		raft_store_schema, raft_snapshot_schema, raft_tail_schema,
		raft_conf_schema};
	struct server_opts opts = {.listen = "127.0.0.1:0"};
	struct member *m = &c->m[id];
	char path[32];

	snprintf(path, sizeof(path), "%d.db", (int)id);
	*m = (struct member){.c = c, .id = id};
	must(db_open(&m->db, path, DB_NODE, err), err);
	must(schema_apply(m->db, steps, 4, err), err);
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
				   .snapshot_bytes = c->snapshot_bytes,
				   .on_apply = member_apply,
				   .on_save = member_save,
				   .on_restore = member_restore,
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

/* ---- what is asked of it, one or a few at a time ---- */

static struct answer answers[8];

static inline bool all_answered(struct cluster *c)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (answers[i].c == c && !answers[i].done)
			return false;
	return true;
}

static inline void run_answers(struct cluster *c)
{
	cluster_run(c, all_answered);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		answers[i].c = NULL;
}

static inline struct answer *next_answer(struct cluster *c)
{
	struct answer *a = answers;

	while (a->c)
		a++;
	*a = (struct answer){.c = c};
	return a;
}

/* Propose on the leader and wait for the answer. */
static inline struct answer propose(struct cluster *c, int64_t client,
				    int64_t seq, const char *text)
{
	struct driver_proposal p = text_of(text);
	struct answer *a = next_answer(c);
	struct err err;

	p.client = client;
	p.seq = seq;
	cluster_run(c, has_leader);
	must(driver_propose(cluster_leader(c)->driver, &p, on_answer, a, &err),
	     &err);
	run_answers(c);
	return *a;
}

static inline struct answer change(struct cluster *c, int64_t id,
				   enum raft_member_role role)
{
	struct driver_proposal p = text_of("");
	struct answer *a = next_answer(c);
	struct err err;

	cluster_run(c, has_leader);
	must(driver_change(cluster_leader(c)->driver, id, role, &p, on_answer,
			   a, &err),
	     &err);
	run_answers(c);
	return *a;
}

static inline void found(struct cluster *c)
{
	struct err err;

	must(member_start(c, 1, &err), &err);
	must(driver_bootstrap(c->m[1].driver, "first", 5, &err), &err);
	cluster_run(c, has_leader);
}

static inline void start_one(struct cluster *c)
{
	cluster_open(c);
	found(c);
}

/* Whether all members that are up have applied as much as the leader. */
static inline bool all_equal(struct cluster *c)
{
	struct member *l = cluster_leader(c);

	for (int i = 1; l && i <= MEMBERS; i++)
		if (c->m[i].driver && c->m[i].entries != l->entries)
			return false;
	return l != NULL;
}

static inline bool caught_up(struct cluster *c, int64_t id)
{
	struct member *l = cluster_leader(c);
	struct raft_peer p;
	struct raft_status s;

	if (!l || raft_peer(driver_raft(l->driver), id, &p, NULL))
		return false;
	raft_status(driver_raft(l->driver), &s);
	return p.match == s.last;
}

static inline bool all_caught_up(struct cluster *c)
{
	return caught_up(c, 2) && caught_up(c, 3);
}

/* What a member has is known with its answer to an entry, of which no callback
 * tells. */
static inline void catch_up(struct cluster *c)
{
	while (!all_caught_up(c))
		propose(c, 0, 0, "");
}

static inline void grow_to_three(struct cluster *c)
{
	struct err err;

	for (int64_t id = 2; id <= MEMBERS; id++) {
		must(member_start(c, id, &err), &err);
		CHECK_INT(change(c, id, RAFT_LEARNER).err.code, 0);
	}
	catch_up(c);
	for (int64_t id = 2; id <= MEMBERS; id++)
		CHECK_INT(change(c, id, RAFT_VOTER).err.code, 0);
	cluster_run(c, all_equal);
}

static inline void start_three(struct cluster *c)
{
	start_one(c);
	grow_to_three(c);
}

#endif
