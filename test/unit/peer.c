#include "peer.h"

#include <stdlib.h>

#include "base/mem.h"
#include "test.h"
#include "wire/frames.h"

static void on_conn_closed(uv_handle_t *h)
{
	struct peer_conn *c = h->data;

	buf_release(&c->in);
	free(c);
}

void peer_hang_up(struct peer_conn *c)
{
	LIST_REMOVE(c, all);
	uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
}

static size_t request_size(const struct buf *in)
{
	const char *end = in->p ? strstr(in->p, "\r\n\r\n") : NULL;
	const char *length =
		in->p ? strcasestr(in->p, "content-length:") : NULL;

	if (!end || !length)
		return 0;
	return (size_t)(end + 4 - in->p) +
	       strtoul(length + strlen("content-length:"), NULL, 10);
}

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	struct peer_conn *c = h->data;

	b->base = buf_room(&c->in, want);
	b->len = want;
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct peer_conn *c = s->data;
	size_t size;

	(void)b;
	if (n < 0) {
		c->peer->closed++;
		peer_hang_up(c);
		return;
	}
	c->in.len += (size_t)n;
	c->in.p[c->in.len] = '\0';
	size = request_size(&c->in);
	if (!size || c->in.len < size)
		return;
	c->peer->on_request(c, c->peer->requests++);
	if (!uv_is_closing((uv_handle_t *)&c->tcp))
		buf_drop(&c->in, size);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct peer *p = listener->data;
	struct peer_conn *c = mem_zero(1, sizeof(*c));

	CHECK_INT(status, 0);
	c->peer = p;
	c->tcp.data = c;
	uv_tcp_init(loop_uv(p->loop), &c->tcp);
	CHECK(!uv_accept(listener, (uv_stream_t *)&c->tcp));
	LIST_INSERT_HEAD(&p->conns, c, all);
	p->accepted++;
	uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

void peer_open(struct peer *p, struct loop *loop, peer_fn *on_request)
{
	struct sockaddr_in at = {0};
	int len = sizeof(at);

	*p = (struct peer){.loop = loop, .on_request = on_request};
	uv_ip4_addr("127.0.0.1", 0, &at);
	uv_tcp_init(loop_uv(loop), &p->listener);
	p->listener.data = p;
	CHECK(!uv_tcp_bind(&p->listener, (struct sockaddr *)&at, 0));
	CHECK(!uv_listen((uv_stream_t *)&p->listener, 256, on_connection));
	uv_tcp_getsockname(&p->listener, (struct sockaddr *)&at, &len);
	snprintf(p->url, sizeof(p->url), "http://127.0.0.1:%d",
		 ntohs(at.sin_port));
}

void peer_close(struct peer *p)
{
	while (!LIST_EMPTY(&p->conns))
		peer_hang_up(LIST_FIRST(&p->conns));
	uv_close((uv_handle_t *)&p->listener, NULL);
}

struct sent {
	uv_write_t req;
	char *bytes;
};

static void on_sent(uv_write_t *req, int status)
{
	struct sent *s = (struct sent *)req;

	(void)status;
	free(s->bytes);
	free(s);
}

void peer_send(struct peer_conn *c, const void *bytes, size_t len)
{
	struct sent *s = mem_zero(1, sizeof(*s));
	uv_buf_t b;

	s->bytes = mem_dup(bytes, len);
	b = uv_buf_init(s->bytes, (unsigned)len);
	uv_write(&s->req, (uv_stream_t *)&c->tcp, &b, 1, on_sent);
}

void peer_text(struct peer_conn *c, const char *text)
{
	peer_send(c, text, strlen(text));
}

void peer_frame(struct buf *out, const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	uint8_t head[FRAMES_HEAD];

	frames_head(head, 0, (uint32_t)len);
	buf_put(out, head, sizeof(head));
	protobuf_c_message_pack(msg, (uint8_t *)buf_room(out, len));
	out->len += len;
}

void peer_trailers(struct buf *out, const char *lines)
{
	uint8_t head[FRAMES_HEAD];

	frames_head(head, 0x80, (uint32_t)strlen(lines));
	buf_put(out, head, sizeof(head));
	buf_puts(out, lines);
}

#define PEER_OK \
	"HTTP/1.1 200 OK\r\ncontent-type: application/grpc-web+proto\r\n"

void peer_answer(struct peer_conn *c, const struct buf *body)
{
	struct buf b = BUF_INIT(0);

	buf_putf(&b, PEER_OK "content-length: %zu\r\n\r\n", body->len);
	buf_put(&b, body->p, body->len);
	peer_send(c, b.p, b.len);
	buf_release(&b);
}

void peer_begin(struct peer_conn *c)
{
	peer_text(c, PEER_OK "transfer-encoding: chunked\r\n\r\n");
}

void peer_chunk(struct peer_conn *c, const void *bytes, size_t len)
{
	struct buf b = BUF_INIT(0);

	buf_putf(&b, "%zx\r\n", len);
	buf_put(&b, bytes, len);
	buf_puts(&b, "\r\n");
	peer_send(c, b.p, b.len);
	buf_release(&b);
}
