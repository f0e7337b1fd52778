#include "fl/standby.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "fl/standby_impl.h"

enum {
	JOBS = 8,
	AGAIN_MS = 200,
	FOLLOW_MS = 6000, /* the active one holds it for 2 s */
	SURVEY_MS = 1000,
	UNLED_MS = 2000, /* and up to half of that by chance */
};

const struct err *standby_failed(const struct standby *s)
{
	return s->failure.code ? &s->failure : NULL;
}

void standby_fail(struct standby *s, const struct err *err)
{
	if (s->failure.code)
		return;
	s->failure = *err;
	s->opts.failed(s->opts.arg);
}

/* --- asking ----------------------------------------------------------------
 */

static struct succession_word word_of(const Gfl__V1__FlFollowResponse *r)
{
	return (struct succession_word){
		.there = true,
		.term = r->term,
		.version = r->version,
		.leads = r->leads,
		.knows = r->knows,
		.over = r->over,
		.leaves = r->leaves,
	};
}

static void answered(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	struct standby_peer *p = arg;
	struct standby *s = p->standby;
	struct succession_word word = {0};

	p->asking = NULL;
	if (!err)
		word = word_of((const Gfl__V1__FlFollowResponse *)out);
	succession_answered(&s->next, (int)(p - s->peers), &word);
	if (s->next.led && s->next.lead != s->lead) {
		s->lead = s->next.lead;
		log_info("follows", "server=%s term=%lld",
			 s->peers[s->next.active].url, (long long)s->lead);
	}
	standby_act(s);
}

static void ask(struct standby_peer *p, bool hold)
{
	struct standby *s = p->standby;
	const struct rpc_opts opts = {
		.timeout_ms = s->next.surveys ? SURVEY_MS : FOLLOW_MS};
	Gfl__V1__FlFollowRequest in;

	client_cancel(p->asking);
	timer_stop(&p->again);
	gfl__v1__fl_follow_request__init(&in);
	in.follower = s->id;
	in.term = s->next.term;
	in.version = s->next.version;
	in.hold = hold;
	p->asking = client_call(s->client, p->url, RPC_FL_FOLLOW, &in.base,
				&opts, answered, p);
}

static void waited(void *arg)
{
	struct standby_peer *p = arg;

	succession_waited(&p->standby->next, (int)(p - p->standby->peers));
	standby_act(p->standby);
}

/* --- what is to be done ----------------------------------------------------
 */

static void ready(void *arg)
{
	struct standby *s = arg;

	if (s->next.surveys)
		s->surveyed(s->surveyed_arg);
}

static void patience_ends(void *arg)
{
	struct standby *s = arg;

	timer_set(&s->patience, client_loop(s->client), UNLED_MS, patience_ends,
		  s);
	s->opts.unled(s->opts.arg);
}

static void act(struct standby *s, const struct succession_act *a)
{
	struct standby_peer *p = &s->peers[a->peer];
	struct loop *loop = client_loop(s->client);

	switch (a->what) {
	case SUCCESSION_ASK:
	case SUCCESSION_HOLD:
		ask(p, a->what == SUCCESSION_HOLD);
		break;
	case SUCCESSION_LATER:
		timer_set(&p->again, loop, AGAIN_MS, waited, p);
		break;
	case SUCCESSION_TAKE:
		standby_take(s, p->url);
		break;
	case SUCCESSION_READY:
		timer_set(&s->soon, loop, 0, ready, s);
		break;
	case SUCCESSION_OVER:
		s->opts.over(s->opts.arg);
		break;
	case SUCCESSION_CLAIM:
		s->opts.left(s->next.lead, s->opts.arg);
		break;
	case SUCCESSION_UNLED:
		timer_set(&s->patience, loop,
			  UNLED_MS + (int64_t)(rand_id() % (UNLED_MS / 2)),
			  patience_ends, s);
		break;
	case SUCCESSION_LED:
		timer_stop(&s->patience);
		break;
	case SUCCESSION_NOTHING:
		break;
	}
}

void standby_act(struct standby *s)
{
	struct succession_act a;

	while ((a = succession_next(&s->next)).what)
		act(s, &a);
}

void standby_survey(struct standby *s, int64_t term, loop_fn *done, void *arg)
{
	s->surveyed = done;
	s->surveyed_arg = arg;
	succession_survey(&s->next, term);
	standby_act(s);
}

int standby_peers_there(const struct standby *s)
{
	return succession_there(&s->next);
}

void standby_follow(struct standby *s)
{
	timer_stop(&s->soon);
	succession_follow(&s->next);
	standby_act(s);
}

/* --- who asks us ----------------------------------------------------------- */

static void serve_client(struct call *call, const ProtobufCMessage *in,
			 void *arg)
{
	const struct standby *s = arg;
	struct err err;

	(void)in;
	if (s->next.led)
		err_set(&err, ERR_FAILED_PRECONDITION,
			"this server stands by, the active one is %s",
			s->peers[s->next.active].url);
	else
		err_set(&err, ERR_FAILED_PRECONDITION,
			"this server stands by, and knows of no active one");
	call_fail(call, &err);
}

static void serve_status(struct call *call, const ProtobufCMessage *in,
			 void *arg)
{
	const struct standby *s = arg;
	Gfl__V1__FlStatus out = GFL__V1__FL_STATUS__INIT;

	(void)in;
	out.mode = (char *)"standby";
	out.state = (char *)"standing by";
	out.version = s->next.version;
	if (s->next.led)
		out.active = (char *)s->peers[s->next.active].url;
	call_reply(call, &out.base);
}

/* Its sender may have it taken by another one, so this is not about it. */
static void serve_update(struct call *call, const ProtobufCMessage *in,
			 void *arg)
{
	struct err err;

	(void)in;
	(void)arg;
	err_set(&err, ERR_UNAVAILABLE, "this server stands by");
	call_fail(call, &err);
}

static void serve_follow(struct call *call, const ProtobufCMessage *in,
			 void *arg)
{
	const struct standby *s = arg;
	Gfl__V1__FlFollowResponse out;

	(void)in;
	gfl__v1__fl_follow_response__init(&out);
	out.term = s->next.term;
	out.version = s->next.version;
	out.knows = succession_knows(&s->next);
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
	static const enum rpc_name of_clients[] = {RPC_FL_SET_UP, RPC_FL_AWAIT,
						   RPC_FL_PULL_MODEL,
						   RPC_FL_LEAVE, RPC_FL_END};

	for (size_t i = 0; i < sizeof(of_clients) / sizeof(*of_clients); i++)
		server_handle(s->server, of_clients[i], serve_client, s);
	server_handle(s->server, RPC_FL_GET_STATUS, serve_status, s);
	server_handle(s->server, RPC_FL_UPDATE, serve_update, s);
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
	if (!rc && s->newest) {
		s->next.term = s->newest->term;
		s->next.version = s->newest->version;
	}
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
			s->peers[s->next.n++] = (struct standby_peer){
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
	for (int i = 0; i < s->next.n; i++) {
		client_cancel(s->peers[i].asking);
		timer_stop(&s->peers[i].again);
	}
	timer_stop(&s->soon);
	timer_stop(&s->patience);
	standby_take_close(s);
	db_close(s->db);
	snapshot_drop(s->newest);
	free(s);
}
