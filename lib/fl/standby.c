#include "fl/standby.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"
#include "base/timer.h"
#include "fl/snapshot.h"
#include "proto/server.pb-c.h"
#include "store/writer.h"

enum {
	JOBS = 8,
	AGAIN_MS = 200,
	FOLLOW_MS = 6000, /* the active one holds it for 2 s */
	SURVEY_MS = 2000,
	UNLED_MS = 2000, /* and up to half of that by chance */
	PULL_MS = 600000,
	PULL_PATIENCE_MS = 4000,
};

struct peer_watch {
	struct standby *standby;
	const char *url;
	struct rpc *asking;
	struct timer again;
	bool answered;         /* the survey; or it cannot be reached */
	int64_t term, version; /* of its state */
	int64_t leads, knows;
	bool leaves;
};

struct standby {
	struct client *client;
	struct server *server;
	struct standby_opts opts;
	char id[STR_ID];
	struct db *db;
	struct writer *writer;
	struct snapshot *newest; /* ours, durable; NULL: none */
	struct snapshot *next;   /* being written */
	int64_t lead;            /* the highest term of an active one */
	const char *active;      /* its URL, or NULL */

	struct peer_watch peers[OPT_LIST_MAX];
	size_t npeers;
	struct peer_watch *from; /* whose state comes */
	struct tensor_pull *pull;
	Gfl__V1__FlStateRequest pull_ask;
	struct tensor_info info;
	char *bytes;

	loop_fn *surveyed; /* NULL: it follows */
	void *surveyed_arg;
	int64_t term; /* for which it surveys */
	struct timer soon;
	bool unled; /* as far as we know nobody leads, … */
	struct timer patience;
	struct err failure; /* code 0: none */
};

static void ask(void *arg);
static void survey_look(struct standby *s);

const struct err *standby_failed(const struct standby *s)
{
	return s->failure.code ? &s->failure : NULL;
}

static void fail(struct standby *s, const struct err *err)
{
	if (s->failure.code)
		return;
	s->failure = *err;
	s->opts.failed(s->opts.arg);
}

/* --- a state comes ---------------------------------------------------------
 */

static void go_on(struct standby *s)
{
	struct peer_watch *w = s->from;

	s->from = NULL;
	if (s->surveyed)
		survey_look(s);
	else if (w)
		ask(w);
}

static void given_up(struct standby *s, const struct err *err)
{
	struct peer_watch *w = s->from;

	log_warn("state_not_taken", "server=%s error=%s", w->url, err->msg);
	w->term = w->version = 0;
	s->from = NULL;
	if (s->surveyed)
		survey_look(s);
	else
		timer_set(&w->again, client_loop(s->client), AGAIN_MS, ask, w);
}

static int write_state(struct db *db, void *arg, struct err *err)
{
	return snapshot_write(db, ((struct standby *)arg)->next, err);
}

static void state_written(const struct err *err, void *arg)
{
	struct standby *s = arg;

	if (err) {
		snapshot_drop(s->next);
		s->next = NULL;
		fail(s, err);
		return;
	}
	snapshot_drop(s->newest);
	s->newest = s->next;
	s->next = NULL;
	log_info("state", "term=%lld round=%lld server=%s",
		 (long long)s->newest->term, (long long)s->newest->version,
		 s->from ? s->from->url : "");
	go_on(s);
}

static int pull_begin(const struct tensor_info *info, void *arg,
		      struct err *err)
{
	struct standby *s = arg;

	if (strcmp(info->layout, s->opts.layout) != 0)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "it is of another model");
	if (info->size > s->opts.max_bytes)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "%llu bytes, expected %zu at most",
			       (unsigned long long)info->size,
			       s->opts.max_bytes);
	if (!s->bytes)
		s->bytes = mem_zero(1, info->size + 1);
	s->info = *info;
	return 0;
}

static int pull_bytes(uint64_t offset, const void *p, size_t len, void *arg,
		      struct err *err)
{
	(void)err;
	memcpy(((struct standby *)arg)->bytes + offset, p, len);
	return 0;
}

static const ProtobufCMessage *pull_ask(uint64_t offset, const char *sha256,
					void *arg)
{
	struct standby *s = arg;
	Gfl__V1__FlStateRequest *in = &s->pull_ask;

	gfl__v1__fl_state_request__init(in);
	in->follower = s->id;
	in->offset = offset;
	in->sha256 = (char *)(uintptr_t)sha256;
	return &in->base;
}

static struct snapshot *take_bytes(struct standby *s)
{
	struct snapshot *n = mem_zero(1, sizeof(*n));

	n->users = 1;
	n->info = s->info;
	n->bytes = s->bytes;
	s->bytes = NULL;
	return n;
}

static void pulled(const struct err *err, void *arg)
{
	struct standby *s = arg;
	struct snapshot *n;
	struct err why;

	s->pull = NULL;
	if (err) {
		free(s->bytes);
		s->bytes = NULL;
		given_up(s, err);
		return;
	}
	n = take_bytes(s);
	if (snapshot_check(n, s->from->url, &why)) {
		snapshot_drop(n);
		given_up(s, &why);
		return;
	}
	s->next = n;
	if (writer_post(s->writer, write_state, state_written, s, &why))
		state_written(&why, s);
}

static void pull(struct peer_watch *w)
{
	static const struct tensor_sink sink = {pull_begin, pull_bytes};
	const struct rpc_opts opts = {.timeout_ms = PULL_MS,
				      .try_ms = PULL_PATIENCE_MS};
	struct standby *s = w->standby;

	s->from = w;
	s->pull =
		tensor_pull(s->client, w->url, &rpc_methods[RPC_FL_PULL_STATE],
			    &opts, pull_ask, &sink, pulled, s);
}

/* --- peers -----------------------------------------------------------------
 */

/* What the active one has is right, also where it is an older one: a round
 * that nobody had when it took over is lost. */
static bool is_wanted(const struct peer_watch *w)
{
	const struct standby *s = w->standby;

	if (!w->version)
		return false;
	if (w->leads && w->leads == s->lead && !s->surveyed)
		return !snapshot_is(s->newest, w->term, w->version);
	return s->surveyed && snapshot_older(s->newest, w->term, w->version);
}

static void note_active(struct peer_watch *w)
{
	struct standby *s = w->standby;

	if (w->leads && w->leads >= s->lead) {
		if (s->active != w->url)
			log_info("follows", "server=%s term=%lld", w->url,
				 (long long)w->leads);
		s->lead = w->leads;
		s->active = w->url;
	} else if (s->active == w->url) {
		s->active = NULL;
	}
}

/* Directly, or as a peer has it directly: never by way of two. */
static bool is_led(const struct standby *s)
{
	bool led = s->active || s->surveyed || s->from;

	for (size_t i = 0; i < s->npeers; i++)
		led = led || s->peers[i].knows;
	return led;
}

static void be_patient(struct standby *s);

static void patience_ends(void *arg)
{
	struct standby *s = arg;

	be_patient(s);
	s->opts.unled(s->opts.arg);
}

static void be_patient(struct standby *s)
{
	timer_set(&s->patience, client_loop(s->client),
		  UNLED_MS + (int64_t)(rand_id() % (UNLED_MS / 2)),
		  patience_ends, s);
}

static void look_for_lead(struct standby *s)
{
	bool unled = !is_led(s);

	if (unled == s->unled)
		return;
	s->unled = unled;
	if (unled)
		be_patient(s);
	else
		timer_stop(&s->patience);
}

static void followed(struct peer_watch *w)
{
	struct standby *s = w->standby;

	if (is_wanted(w) && !s->from && !s->next)
		pull(w);
	else if (w->leads && w->leads == s->lead && !is_wanted(w) && !w->leaves)
		ask(w); /* which it holds */
	else
		timer_set(&w->again, client_loop(s->client), AGAIN_MS, ask, w);
}

static void answered(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	const Gfl__V1__FlFollowResponse *r =
		(const Gfl__V1__FlFollowResponse *)out;
	struct peer_watch *w = arg;
	struct standby *s = w->standby;

	w->asking = NULL;
	w->answered = true;
	w->term = err ? 0 : r->term;
	w->version = err ? 0 : r->version;
	w->leads = err ? 0 : r->leads;
	w->knows = err ? 0 : r->knows;
	w->leaves = !err && r->leaves;
	note_active(w);
	look_for_lead(s);
	if (s->surveyed)
		survey_look(s);
	else if (!err && r->over && w->leads == s->lead)
		s->opts.over(s->opts.arg);
	else
		followed(w);
	if (w->leaves && w->leads == s->lead && !s->surveyed)
		s->opts.left(s->opts.arg);
}

static void ask(void *arg)
{
	struct peer_watch *w = arg;
	struct standby *s = w->standby;
	const struct rpc_opts opts = {.timeout_ms = s->surveyed ? SURVEY_MS
								: FOLLOW_MS};
	Gfl__V1__FlFollowRequest in;

	gfl__v1__fl_follow_request__init(&in);
	in.follower = s->id;
	in.term = s->newest ? s->newest->term : 0;
	in.version = s->newest ? s->newest->version : 0;
	in.hold = !s->surveyed && w->leads; /* first of all: who are you? */
	w->asking = client_call(s->client, w->url, RPC_FL_FOLLOW, &in.base,
				&opts, answered, w);
}

static void ask_all(struct standby *s)
{
	for (size_t i = 0; i < s->npeers; i++) {
		struct peer_watch *w = &s->peers[i];

		client_cancel(w->asking);
		timer_stop(&w->again);
		w->answered = false;
		w->asking = NULL;
		if (w != s->from || s->surveyed)
			ask(w);
	}
}

/* --- the survey ------------------------------------------------------------
 */

static void survey_done(void *arg)
{
	struct standby *s = arg;

	if (s->surveyed)
		s->surveyed(s->surveyed_arg);
}

static void survey_look(struct standby *s)
{
	struct peer_watch *best = NULL;

	for (size_t i = 0; i < s->npeers; i++) {
		struct peer_watch *w = &s->peers[i];

		if (!w->answered)
			return;
		if (is_wanted(w) &&
		    (!best || w->term > best->term ||
		     (w->term == best->term && w->version > best->version)))
			best = w;
	}
	if (s->from || s->next)
		return; /* looks again after that */
	if (best)
		pull(best);
	else
		timer_set(&s->soon, client_loop(s->client), 0, survey_done, s);
}

void standby_survey(struct standby *s, int64_t term, loop_fn *done, void *arg)
{
	s->surveyed = done;
	s->surveyed_arg = arg;
	s->term = term;
	look_for_lead(s);
	ask_all(s);
	survey_look(s);
}

void standby_follow(struct standby *s)
{
	s->surveyed = NULL;
	timer_stop(&s->soon);
	look_for_lead(s);
	ask_all(s);
}

/* --- who asks us ----------------------------------------------------------- */

static void serve_client(struct call *call, const ProtobufCMessage *in,
			 void *arg)
{
	const struct standby *s = arg;
	struct err err;

	(void)in;
	if (s->active)
		err_set(&err, ERR_FAILED_PRECONDITION,
			"this server stands by, the active one is %s",
			s->active);
	else
		err_set(&err, ERR_FAILED_PRECONDITION,
			"this server stands by, and knows of no active one");
	call_fail(call, &err);
}

static void serve_follow(struct call *call, const ProtobufCMessage *in,
			 void *arg)
{
	const struct standby *s = arg;
	Gfl__V1__FlFollowResponse out;

	(void)in;
	gfl__v1__fl_follow_response__init(&out);
	out.term = s->newest ? s->newest->term : 0;
	out.version = s->newest ? s->newest->version : 0;
	out.knows = s->surveyed ? s->term : s->active ? s->lead : 0;
	call_reply(call, &out.base);
}

static void serve_pull(struct call *call, const ProtobufCMessage *in, void *arg)
{
	const Gfl__V1__FlStateRequest *r = (const Gfl__V1__FlStateRequest *)in;
	struct standby *s = arg;
	struct err err;

	if (s->newest) {
		snapshot_give(s->newest, call, r->offset, r->sha256, NULL,
			      NULL);
		return;
	}
	err_set(&err, ERR_NOT_FOUND, "no round has ended yet");
	call_fail(call, &err);
}

static void serve(struct standby *s)
{
	static const enum rpc_name of_clients[] = {
		RPC_FL_SET_UP, RPC_FL_AWAIT, RPC_FL_PULL_MODEL,
		RPC_FL_UPDATE, RPC_FL_LEAVE, RPC_FL_GET_STATUS};

	for (size_t i = 0; i < sizeof(of_clients) / sizeof(*of_clients); i++)
		server_handle(s->server, of_clients[i], serve_client, s);
	server_handle(s->server, RPC_FL_FOLLOW, serve_follow, s);
	server_handle(s->server, RPC_FL_PULL_STATE, serve_pull, s);
}

/* --- life ------------------------------------------------------------------
 */

static int open_file(struct standby *s, struct err *err)
{
	int rc = db_open(&s->db, s->opts.db, DB_SERVER, err);

	if (!rc)
		rc = snapshot_schema(s->db, err);
	if (!rc)
		rc = snapshot_read(&s->newest, s->db, s->opts.layout, err);
	if (!rc)
		rc = writer_open(&s->writer, client_loop(s->client), s->db,
				 JOBS, err);
	return rc;
}

int standby_open(struct standby **out, struct client *client,
		 struct server *srv, const struct standby_opts *opts,
		 struct err *err)
{
	struct standby *s = mem_zero(1, sizeof(*s));

	s->client = client;
	s->server = srv;
	s->opts = *opts;
	str_new_id(s->id);
	for (size_t i = 0; i < opts->peers->n; i++)
		if (strcmp(opts->peers->at[i], server_url(srv)) != 0)
			s->peers[s->npeers++] = (struct peer_watch){
				.standby = s, .url = opts->peers->at[i]};
	if (open_file(s, err)) {
		standby_close(s);
		return (int)err->code;
	}
	serve(s);
	standby_follow(s);
	*out = s;
	return 0;
}

void standby_close(struct standby *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->npeers; i++) {
		client_cancel(s->peers[i].asking);
		timer_stop(&s->peers[i].again);
	}
	timer_stop(&s->soon);
	timer_stop(&s->patience);
	tensor_pull_cancel(s->pull);
	s->from = NULL;
	s->surveyed = NULL;
	writer_close(s->writer);
	db_close(s->db);
	snapshot_drop(s->newest);
	free(s->bytes);
	free(s);
}
