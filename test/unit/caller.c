#include "caller.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/gateway.pb-c.h"
#include "test.h"

struct reply *caller_reply(struct caller *c, int32_t id)
{
	CHECK(id > 0 && id / 2 < CALLER_MAX);
	return &c->replies[id / 2];
}

static ssize_t on_send(nghttp2_session *s, const uint8_t *p, size_t len,
		       int flags, void *arg)
{
	struct caller *c = arg;
	ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)s, (void)flags;
	if (n >= 0)
		return n;
	return errno == EAGAIN ? NGHTTP2_ERR_WOULDBLOCK
			       : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static void keep(char *to, size_t room, const uint8_t *p, size_t len)
{
	snprintf(to, room, "%.*s", (int)len, (const char *)p);
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f,
		     const uint8_t *name, size_t name_len, const uint8_t *value,
		     size_t len, uint8_t flags, void *arg)
{
	struct reply *r = caller_reply(arg, f->hd.stream_id);
	const char *n = (const char *)name;

	(void)s, (void)name_len, (void)flags;
	if (!strcmp(n, ":status"))
		r->status = atoi((const char *)value);
	else if (!strcmp(n, "content-type"))
		keep(r->type, sizeof(r->type), value, len);
	else if (!strcmp(n, "grpc-encoding"))
		keep(r->encoding, sizeof(r->encoding), value, len);
	else if (!strcmp(n, "grpc-accept-encoding"))
		keep(r->accept_encoding, sizeof(r->accept_encoding), value,
		     len);
	else if (!strcmp(n, "grpc-message"))
		keep(r->message, sizeof(r->message), value, len);
	else if (!strcmp(n, "grpc-status"))
		keep(r->grpc_status, sizeof(r->grpc_status), value, len);
	if (!strcmp(n, "grpc-status"))
		r->headless = f->headers.cat == NGHTTP2_HCAT_RESPONSE;
	return 0;
}

static int on_chunk(nghttp2_session *s, uint8_t flags, int32_t id,
		    const uint8_t *p, size_t len, void *arg)
{
	(void)s, (void)flags;
	buf_put(&caller_reply(arg, id)->body, p, len);
	return 0;
}

static int on_stream_close(nghttp2_session *s, int32_t id, uint32_t code,
			   void *arg)
{
	struct reply *r = caller_reply(arg, id);

	(void)s;
	((struct caller *)arg)->closed++;
	r->closed = true;
	r->code = code;
	return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
	struct caller *c = arg;

	(void)s;
	if (f->hd.type != NGHTTP2_GOAWAY)
		return 0;
	c->goaway = true;
	c->goaway_code = f->goaway.error_code;
	return 0;
}

static nghttp2_session *session(struct caller *c, bool held)
{
	nghttp2_session_callbacks *cb;
	nghttp2_session *s;
	nghttp2_option *o;

	CHECK(!nghttp2_session_callbacks_new(&cb));
	nghttp2_session_callbacks_set_send_callback(cb, on_send);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb,
							       on_stream_close);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	CHECK(!nghttp2_option_new(&o));
	nghttp2_option_set_no_auto_window_update(o, held);
	nghttp2_option_set_peer_max_concurrent_streams(o, CALLER_MAX);
	CHECK(!nghttp2_session_client_new2(&s, cb, c, o));
	nghttp2_option_del(o);
	nghttp2_session_callbacks_del(cb);
	return s;
}

void caller_open(struct caller *c, struct world *w, uint32_t window, bool held)
{
	nghttp2_settings_entry set[] = {
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window},
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
	};

	int on = 1;

	memset(c, 0, sizeof(*c));
	c->w = w;
	c->fd = dial(w);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->session = session(c, held);
	CHECK(!nghttp2_submit_settings(c->session, 0, set, 2));
	CHECK(!nghttp2_session_set_local_window_size(c->session, 0, 0,
						     1 << 30));
}

void caller_close(struct caller *c)
{
	nghttp2_session_del(c->session);
	for (int i = 0; i < CALLER_MAX; i++)
		buf_release(&c->replies[i].body);
	while (c->n_sent)
		buf_release(&c->sent[--c->n_sent].b);
	close(c->fd);
}

void caller_open_window(struct caller *c, int32_t id, uint32_t more)
{
	CHECK(!nghttp2_submit_window_update(c->session, 0, id, (int32_t)more));
}

void caller_turn(struct caller *c)
{
	static uint8_t part[65536];
	struct pollfd p = {c->fd, POLLIN, 0};
	ssize_t n;

	if (!c->gone && nghttp2_session_send(c->session))
		c->gone = true;
	world_turn(c->w);
	n = recv(c->fd, part, sizeof(part), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN) {
		poll(&p, 1, 1);
		return;
	}
	if (n <= 0)
		c->gone = true;
	else
		CHECK_INT(nghttp2_session_mem_recv(c->session, part, (size_t)n),
			  n);
}

static ssize_t on_body(nghttp2_session *s, int32_t id, uint8_t *to, size_t room,
		       uint32_t *flags, nghttp2_data_source *from, void *arg)
{
	struct sent *b = from->ptr;
	size_t n = b->b.len - b->at < room ? b->b.len - b->at : room;

	(void)s, (void)id, (void)arg;
	if (!n && b->open)
		return NGHTTP2_ERR_DEFERRED;
	memcpy(to, b->b.p + b->at, n);
	b->at += n;
	if (b->at == b->b.len && !b->open)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static ssize_t on_nothing(nghttp2_session *s, int32_t id, uint8_t *to,
			  size_t room, uint32_t *flags,
			  nghttp2_data_source *from, void *arg)
{
	(void)s, (void)id, (void)to, (void)room, (void)flags, (void)from;
	(void)arg;
	return NGHTTP2_ERR_DEFERRED;
}

static nghttp2_nv field(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name),
			    strlen(value), 0};
}

static int32_t submit(struct caller *c, const char *verb, const char *path,
		      const char *type, const char *const *more,
		      nghttp2_data_provider *from)
{
	char *us = mem_fmt("127.0.0.1:%d", server_port(c->w->server));
	nghttp2_nv nv[200];
	size_t n = 0;
	int32_t id;

	nv[n++] = field(":method", verb);
	nv[n++] = field(":scheme", "http");
	nv[n++] = field(":path", path);
	if (more && !strcmp(*more, ":authority")) {
		nv[n++] = field(more[0], more[1]);
		more += 2;
	} else {
		nv[n++] = field(":authority", us);
	}
	if (type)
		nv[n++] = field("content-type", type);
	for (; more && *more; more += 2)
		nv[n++] = field(more[0], more[1]);
	id = nghttp2_submit_request(c->session, NULL, nv, n, from, NULL);
	free(us);
	return id;
}

int32_t caller_post(struct caller *c, const char *path, const char *type,
		    const char *body, size_t len, const char *const *more)
{
	nghttp2_data_provider from = {.read_callback = on_nothing};
	struct sent *b;

	if (len != SIZE_MAX) {
		CHECK(c->n_sent < CALLER_MAX);
		b = &c->sent[c->n_sent++];
		*b = (struct sent){0};
		buf_put(&b->b, body, len);
		from = (nghttp2_data_provider){{.ptr = b}, on_body};
	}
	return submit(c, "POST", path, type, more, &from);
}

int32_t caller_begin(struct caller *c, const char *path, const char *type,
		     const char *const *more)
{
	struct sent *b = &c->sent[c->n_sent++];
	nghttp2_data_provider from = {{.ptr = b}, on_body};
	int32_t id = submit(c, "POST", path, type, more, &from);

	*b = (struct sent){.open = true};
	CHECK(!nghttp2_session_send(c->session));
	nghttp2_session_set_stream_user_data(c->session, id, b);
	return id;
}

void caller_say(struct caller *c, int32_t id, const void *p, size_t len)
{
	struct sent *b = nghttp2_session_get_stream_user_data(c->session, id);

	buf_put(&b->b, p, len);
	nghttp2_session_resume_data(c->session, id);
}

void caller_finish(struct caller *c, int32_t id)
{
	struct sent *b = nghttp2_session_get_stream_user_data(c->session, id);

	b->open = false;
	nghttp2_session_resume_data(c->session, id);
}

size_t caller_unsent(const struct caller *c, int32_t id)
{
	const struct sent *b =
		nghttp2_session_get_stream_user_data(c->session, id);

	return b->b.len - b->at;
}

int32_t caller_get(struct caller *c, const char *verb, const char *path,
		   const char *const *more)
{
	return submit(c, verb, path, NULL, more, NULL);
}

int32_t caller_beat(struct caller *c, int node, const char *const *more)
{
	HeartbeatRequest in = HEARTBEAT_REQUEST__INIT;
	uint8_t body[32] = {0};

	in.node_id = node;
	body[4] = (uint8_t)heartbeat_request__pack(&in, body + 5);
	return caller_post(c, HEARTBEAT, GRPC, (char *)body, 5U + body[4],
			   more);
}

struct reply *caller_wait(struct caller *c, int32_t id)
{
	struct reply *r = caller_reply(c, id);

	CALLER_UNTIL(c, r->closed || c->gone);
	return r;
}
