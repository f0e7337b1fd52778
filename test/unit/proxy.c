#include "proxy.h"

#include <stdlib.h>

#include "base/mem.h"
#include "test.h"

struct side {
	uv_tcp_t tcp;
	uv_connect_t connect;
	struct proxy_pair *pair;
	struct side *other;
	struct piece *late; /* held back */
	bool is_client;
};

struct proxy_pair {
	LIST_ENTRY(proxy_pair) all;
	struct proxy *proxy;
	struct side client, server;
	int open;
};

struct piece {
	uv_write_t req;
	struct side *from;
	struct timer timer;
	size_t len;
	char bytes[64 << 10];
};

static void on_closed(uv_handle_t *h)
{
	struct side *s = h->data;

	if (!--s->pair->open)
		free(s->pair);
}

static void drop(struct side *s)
{
	if (!s->late)
		return;
	timer_stop(&s->late->timer);
	free(s->late);
	s->late = NULL;
}

static void cut(struct proxy_pair *pair)
{
	if (uv_is_closing((uv_handle_t *)&pair->client.tcp))
		return;
	LIST_REMOVE(pair, all);
	drop(&pair->client);
	drop(&pair->server);
	uv_close((uv_handle_t *)&pair->client.tcp, on_closed);
	uv_close((uv_handle_t *)&pair->server.tcp, on_closed);
}

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	struct piece *p = mem_zero(1, sizeof(*p));

	(void)want;
	p->from = h->data;
	*b = uv_buf_init(p->bytes, sizeof(p->bytes));
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b);

/* What one side does not take, the other may not send. */
static void on_written(uv_write_t *req, int status)
{
	struct piece *p = (struct piece *)req;

	if (!status && !uv_is_closing((uv_handle_t *)&p->from->tcp))
		uv_read_start((uv_stream_t *)&p->from->tcp, on_alloc, on_read);
	free(p);
}

static void pass(void *arg)
{
	struct piece *p = arg;
	struct side *s = p->from;
	uv_buf_t part = uv_buf_init(p->bytes, (unsigned)p->len);

	timer_stop(&p->timer);
	s->late = NULL;
	uv_write(&p->req, (uv_stream_t *)&s->other->tcp, &part, 1, on_written);
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
	struct side *s = h->data;
	struct proxy *proxy = s->pair->proxy;
	struct piece *p = NULL;

	if (b->base)
		p = (struct piece *)(b->base - offsetof(struct piece, bytes));
	if (n <= 0) {
		free(p);
		if (n)
			cut(s->pair);
		return;
	}
	if (!s->is_client)
		proxy->to_client += (size_t)n;
	p->len = (size_t)n;
	uv_read_stop(h);
	s->late = p;
	if (proxy->late)
		timer_set(&p->timer, proxy->loop, proxy->late(proxy->arg), pass,
			  p);
	else
		pass(p);
	if (proxy->cut_at && proxy->to_client >= proxy->cut_at) {
		proxy->cut_at = 0;
		proxy_cut(proxy);
	}
}

static void on_connected(uv_connect_t *req, int status)
{
	struct proxy_pair *pair = req->data;

	if (status == UV_ECANCELED)
		return;
	if (status) {
		cut(pair);
		return;
	}
	uv_read_start((uv_stream_t *)&pair->client.tcp, on_alloc, on_read);
	uv_read_start((uv_stream_t *)&pair->server.tcp, on_alloc, on_read);
}

static void begin(struct proxy_pair *pair, struct side *s, struct side *other)
{
	uv_tcp_init(loop_uv(pair->proxy->loop), &s->tcp);
	s->tcp.data = s;
	s->pair = pair;
	s->other = other;
	s->is_client = s == &pair->client;
	pair->open++;
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct proxy *p = listener->data;
	struct proxy_pair *pair = mem_zero(1, sizeof(*pair));
	struct sockaddr_in to;

	CHECK_INT(status, 0);
	p->accepted++;
	pair->proxy = p;
	begin(pair, &pair->client, &pair->server);
	begin(pair, &pair->server, &pair->client);
	LIST_INSERT_HEAD(&p->pairs, pair, all);
	CHECK(!uv_accept(listener, (uv_stream_t *)&pair->client.tcp));
	if (p->refusing) {
		cut(pair);
		return;
	}
	uv_ip4_addr(p->to_host ? p->to_host : "127.0.0.1", p->to_port, &to);
	pair->server.connect.data = pair;
	CHECK(!uv_tcp_connect(&pair->server.connect, &pair->server.tcp,
			      (struct sockaddr *)&to, on_connected));
}

void proxy_open(struct proxy *p, struct loop *loop)
{
	proxy_open_at(p, loop, "127.0.0.1");
}

void proxy_open_at(struct proxy *p, struct loop *loop, const char *host)
{
	struct sockaddr_in at;
	int len = sizeof(at);

	*p = (struct proxy){.loop = loop};
	uv_ip4_addr(host, 0, &at);
	uv_tcp_init(loop_uv(loop), &p->listener);
	p->listener.data = p;
	CHECK(!uv_tcp_bind(&p->listener, (struct sockaddr *)&at, 0));
	CHECK(!uv_listen((uv_stream_t *)&p->listener, 16, on_connection));
	uv_tcp_getsockname(&p->listener, (struct sockaddr *)&at, &len);
	snprintf(p->url, sizeof(p->url), "http://%s:%d", host,
		 ntohs(at.sin_port));
}

void proxy_cut(struct proxy *p)
{
	while (!LIST_EMPTY(&p->pairs))
		cut(LIST_FIRST(&p->pairs));
}

void proxy_close(struct proxy *p)
{
	proxy_cut(p);
	uv_close((uv_handle_t *)&p->listener, NULL);
}
