/* A server of rounds (hub.h) and what its clients may send: of the input byte 0
 * names one of the servers, each of which takes updates of another form; then
 * come requests, as how[2] length[2] message. The first byte of how is the
 * method; bits of the second say what is put right of the message, since no
 * input can guess a session or a checksum. Whatever it is, the server goes on:
 * its model stays finite, what it counts adds up, and nothing is left of who
 * has gone. */
#include "fuzz.h"

#include <glob.h>
#include <math.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/hub_impl.h"
#include "wire/engine.h"

enum { REQUESTS = 12, CLIENTS = 8, TURNS = 4 };

enum fix {
	FIX_CLIENT = 1, /* its id and session; and which one, by two bits */
	FIX_TASK = 2,   /* what it was asked */
	FIX_FORM = 4,   /* what all updates have in common */
	FIX_CRC = 8,
};

static const struct form {
	const char *rule;
	bool async;
	Gfl__V1__Scheme scheme;
	Gfl__V1__Dtype dtype;
	Gfl__V1__Codec codec;
	int64_t evaluate, term;
} forms[] = {
	{.rule = "fedavg", .evaluate = 1},
	{.rule = "scaffold"},
	{.rule = "feddyn"},
	{.rule = "feddyn",
	 .scheme = GFL__V1__SCHEME__INDEXED,
	 .dtype = GFL__V1__DTYPE__INT8,
	 .codec = GFL__V1__CODEC__ZSTD},
	{.rule = "fedbuff",
	 .async = true,
	 .scheme = GFL__V1__SCHEME__STRAT,
	 .dtype = GFL__V1__DTYPE__BF16},
	{.rule = "fedasync", .async = true},
	{.rule = "fedadam", .term = 1},
};

enum { HUBS = sizeof(forms) / sizeof(forms[0]) };

static struct place {
	struct server *server;
	struct hub *hub;
	char *db;
} places[HUBS];

static struct loop *loop;
static char folder[] = "/tmp/gfl-fuzz-hub-XXXXXX";

/* --- the servers ----------------------------------------------------------- */

static void ended(void *arg)
{
	const struct hub *h = ((struct place *)arg)->hub;

	fprintf(stderr, "it ended: %s\n",
		h && hub_failed(h) ? hub_failed(h)->msg : "");
	abort();
}

static void confirm(void *arg)
{
	hub_confirmed(((struct place *)arg)->hub);
}

static void open_one(struct place *p, const struct form *f)
{
	const struct server_opts serve = {.listen = "127.0.0.1:0",
					  .advertise = "http://a",
					  .max_message = 1 << 16};
	struct hub_opts o = {
		.model = "input 1 2 2; dense 2",
		.seed = 1,
		.async = f->async,
		.target = (double)NAN,
		.max_clients = CLIENTS,
		.min_participants = 1,
		.fraction = 1,
		.sample = 1,
		.choices = INT64_MAX,
		.deadline_ms = 60000,
		.rule = f->rule,
		.aggregate = AGGREGATE_OPTS,
		.ending_ms = 1000,
		.eval_every = 1,
		.clients_eval_every = f->evaluate,
		.eval_sample = 1,
		.eval_deadline_ms = 60000,
		.db = p->db,
		.model_out = p->db,
		.term = f->term,
		.confirm = confirm,
		.confirm_arg = p,
	};
	struct err err;

	gfl__v1__fl_training__init(&o.training);
	o.training.epochs = 1;
	o.training.batch = 1;
	o.training.lr = 0.1;
	o.training.lr_decay = 1;
	o.training.scheme = f->scheme;
	o.training.dtype = f->dtype;
	o.training.codec = f->codec;
	o.training.c = 2;
	o.aggregate.buffer = 2;
	FUZZ_CHECK(!server_open(&p->server, loop, &serve, &err));
	if (hub_open(&p->hub, loop, p->server, &o, ended, p, &err)) {
		fprintf(stderr, "%s: %s\n", f->rule, err.msg);
		abort();
	}
}

static void clean_up(void)
{
	char *all = mem_fmt("%s/*", folder);
	glob_t found;

	for (int i = 0; i < HUBS; i++) {
		hub_close(places[i].hub);
		server_close(places[i].server, 0);
		free(places[i].db);
	}
	loop_close(loop);
	if (!glob(all, 0, NULL, &found))
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
	globfree(&found);
	free(all);
	rmdir(folder);
}

static void open_all(void)
{
	struct err err;

	log_setup("fuzz", LEVEL_ERROR, false);
	FUZZ_CHECK(mkdtemp(folder));
	FUZZ_CHECK(!loop_open(&loop, &err));
	for (int i = 0; i < HUBS; i++) {
		places[i].db = mem_fmt("%s/%d.db", folder, i);
		open_one(&places[i], &forms[i]);
	}
	atexit(clean_up);
}

/* --- requests -------------------------------------------------------------- */

static void turn(int fd, int turns)
{
	static char part[1 << 16];

	for (int i = 0; i < turns; i++) {
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
		while (fd >= 0 &&
		       recv(fd, part, sizeof(part), MSG_DONTWAIT) > 0)
			;
	}
}

/* The worker and the writer have nothing more to do. */
static void settle(const struct hub *h)
{
	while (h->admitting || h->ahead || h->state == HUB_CLOSING ||
	       h->scoring.writing)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
	turn(-1, TURNS);
}

static int ask(struct place *p, const char *path, const void *body, size_t len)
{
	const union address from = {
		.v4 = {.sin_family = AF_INET,
		       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	const uint8_t frame[5] = {0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len};
	struct buf b = BUF_INIT(0);
	int fds[2];

	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds));
	buf_putf(&b,
		 "POST %s HTTP/1.1\r\nHost: a\r\n"
		 "Content-Type: application/grpc-web+proto\r\n"
		 "Content-Length: %zu\r\n\r\n",
		 path, len + sizeof(frame));
	buf_put(&b, frame, sizeof(frame));
	buf_put(&b, body, len);
	conn_open(p->server, fds[0], &from, NULL);
	FUZZ_CHECK(send(fds[1], b.p, b.len, MSG_NOSIGNAL) == (ssize_t)b.len);
	buf_release(&b);
	turn(fds[1], TURNS);
	settle(p->hub);
	return fds[1];
}

static struct hub_client *client_of(const struct hub *h, uint8_t fixes)
{
	struct hub_client *c = h->clients;

	for (int i = fixes >> 6; c && i > 0; i--)
		c = c->hh.next ? c->hh.next : c;
	return c;
}

/* That it owes still, or else the first. */
static int32_t logical_of(const struct hub_activation *g)
{
	size_t i = 0;

	while (i < g->n && g->parts[i].state != HUB_OPEN)
		i++;
	return g->n ? g->parts[i < g->n ? i : 0].logical : 0;
}

static void fix_update(const struct hub *h, const struct hub_client *c,
		       Gfl__V1__FlUpdateRequest *u, uint8_t fixes)
{
	const struct hub_activation *g = &c->given;

	if (fixes & FIX_CLIENT) {
		u->client_id = c->id;
		u->session = (char *)(uintptr_t)c->session;
	}
	if (fixes & FIX_TASK) {
		u->activation = g->id;
		u->round = g->round;
		u->base_version = g->version;
		u->logical = logical_of(g);
		u->code = u->score ? g->code : h->opts.training.code;
	}
	if (fixes & FIX_FORM) {
		u->layout_hash = (char *)(uintptr_t)h->layout;
		u->parameters = h->model->len;
		u->dtype = h->opts.training.dtype;
	}
	if (fixes & FIX_CRC)
		u->crc32c = crc32c_of(0, u->values.data, u->values.len);
}

/* What all requests of a client but SetUp begin with. */
#define FIX_ID(type, m, c)                                     \
	do {                                                   \
		type *r_ = (type *)(m);                        \
		r_->client_id = (c)->id;                       \
		r_->session = (char *)(uintptr_t)(c)->session; \
	} while (0)

static void fix(const struct hub *h, enum rpc_name name, ProtobufCMessage *m,
		uint8_t fixes)
{
	const struct hub_client *c = client_of(h, fixes);

	if (c && name == RPC_FL_UPDATE)
		fix_update(h, c, (Gfl__V1__FlUpdateRequest *)m, fixes);
	if (!c || !(fixes & FIX_CLIENT))
		return;
	if (name == RPC_FL_AWAIT)
		FIX_ID(Gfl__V1__FlAwaitRequest, m, c);
	if (name == RPC_FL_PULL_MODEL)
		FIX_ID(Gfl__V1__FlPullRequest, m, c);
	if (name == RPC_FL_LEAVE)
		FIX_ID(Gfl__V1__FlLeaveRequest, m, c);
}

/* All but End: the next input needs a server. In the order of corpus.py. */
static const enum rpc_name asked[] = {
	RPC_FL_SET_UP, RPC_FL_AWAIT,      RPC_FL_PULL_MODEL, RPC_FL_UPDATE,
	RPC_FL_LEAVE,  RPC_FL_GET_STATUS, RPC_FL_FOLLOW,     RPC_FL_PULL_STATE,
};

/* Only the pointers to what is not the message's own are changed in a copy; all
 * of it is packed, and then put back, before it is freed. */
static int ask_fixed(struct place *p, uint8_t how, uint8_t fixes,
		     const uint8_t *body, size_t len)
{
	const enum rpc_name name =
		asked[how % (sizeof(asked) / sizeof(*asked))];
	const struct rpc_method *method = &rpc_methods[name];
	ProtobufCMessage *m =
		protobuf_c_message_unpack(method->in, NULL, len, body);
	uint8_t *packed, *copy;
	int fd;

	if (!m)
		return ask(p, method->path, body, len);
	copy = mem_dup(m, method->in->sizeof_message);
	fix(p->hub, name, (ProtobufCMessage *)(void *)copy, fixes);
	len = protobuf_c_message_get_packed_size((void *)copy);
	packed = mem_zero(len + 1, 1);
	protobuf_c_message_pack((void *)copy, packed);
	fd = len < 1 << 16 ? ask(p, method->path, packed, len) : -1;
	free(packed);
	free(copy);
	protobuf_c_message_free_unpacked(m, NULL);
	return fd;
}

/* A first client, of two logical ones. */
static int begin(struct place *p)
{
	int64_t examples[] = {10, 20};
	Gfl__V1__FlSetUpRequest in = GFL__V1__FL_SET_UP_REQUEST__INIT;
	uint8_t packed[128];
	size_t len;

	in.instance_id = "00000000000000000000000000000001";
	in.examples = in.test_examples = examples;
	in.n_examples = in.n_test_examples = 2;
	in.active = true;
	len = gfl__v1__fl_set_up_request__pack(&in, packed);
	return ask(p, rpc_methods[RPC_FL_SET_UP].path, packed, len);
}

/* --- what holds ------------------------------------------------------------ */

static void check(const struct hub *h)
{
	size_t hosted = 0, guests = 0, silent = 0, of_sources = 0;
	int64_t present = 0, here = 0;
	const struct hub_source *s;
	const struct hub_client *c;

	for (c = h->clients; c; c = c->hh.next) {
		FUZZ_CHECK(!c->jobs && !c->held);
		FUZZ_CHECK(c->known == !c->source);
		hosted += c->nlogical;
		guests += c->known ? 0 : c->nlogical;
		silent += c->silent;
		present += c->here;
		here += c->here ? (int64_t)c->nlogical : 0;
	}
	for (s = h->sources; s; s = s->hh.next)
		of_sources += s->logical;
	for (c = h->silent; c; c = c->next)
		silent--;
	FUZZ_CHECK(HASH_COUNT(h->clients) <= CLIENTS);
	FUZZ_CHECK(hosted == h->hosted && guests == of_sources && !silent);
	FUZZ_CHECK(present == h->present && here == h->here);
	FUZZ_CHECK(aggregate_is_finite(h->params, h->model->len));
	FUZZ_CHECK(!hub_failed(h) && h->state < HUB_ENDING);
}

static int delete_rows(struct db *db, void *arg, struct err *err)
{
	(void)arg;
	return db_exec(db, "DELETE FROM client; DELETE FROM refused", err);
}

static void deleted(const struct err *err, void *arg)
{
	FUZZ_CHECK(!err);
	*(bool *)arg = true;
}

static void forget_rows(struct hub *h)
{
	bool done = false;
	struct err err;

	FUZZ_CHECK(!writer_post(h->writer, delete_rows, deleted, &done, &err));
	while (!done)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
}

/* All go, so that each input begins like the first; also those who had sent an
 * update, whom a server never forgets, and their rows. */
static void end(struct place *p, const int *fds, int n)
{
	struct hub *h = p->hub;
	struct hub_client *c, *next;
	bool rows = false;

	for (int i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (int i = 0; i < 1000 && p->server->n_conns; i++)
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	FUZZ_CHECK(!p->server->n_conns && !p->server->n_held);
	check(h);
	HASH_ITER (hh, h->clients, c, next) {
		rows |= c->known;
		hub_table_drop(c, "the input ends");
	}
	hub_scoring_drop(h);
	hub_look(h);
	settle(h);
	if (rows)
		forget_rows(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int fds[REQUESTS + 1], n = 0;
	struct place *p;

	if (!loop)
		open_all();
	if (!len)
		return 0;
	p = &places[data[0] % HUBS];
	data++, len--;
	fds[n++] = begin(p);
	while (len >= 4 && n <= REQUESTS) {
		size_t body = data[2] | (size_t)data[3] << 8;

		body = body < len - 4 ? body : len - 4;
		fds[n++] = ask_fixed(p, data[0], data[1], data + 4, body);
		data += 4 + body;
		len -= 4 + body;
	}
	end(p, fds, n);
	return 0;
}
