#include "wire/engine.h"

#include <inttypes.h>
#include <string.h>

static const char text_plain[] = "text/plain; charset=utf-8";

static void healthz(struct call *call, const char *query, const char *body,
		    size_t len, void *arg)
{
	(void)query, (void)body, (void)len, (void)arg;
	call_http(call, 200, text_plain, "ok\n", 3);
}

static void readyz(struct call *call, const char *query, const char *body,
		   size_t len, void *arg)
{
	const struct server *s = arg;

	(void)query, (void)body, (void)len;
	if (s->ready)
		call_http(call, 200, text_plain, "ready\n", 6);
	else
		call_http(call, 503, text_plain, "not ready\n", 10);
}

static void put_route(struct buf *out, const struct route *r)
{
	for (int code = 0; code < ENGINE_CODES; code++)
		if (r->by_code[code])
			buf_putf(out,
				 "gfl_server_requests_total{path=\"%s\","
				 "code=\"%s\"} %" PRIu64 "\n",
				 r->path, err_name((enum err_code)code),
				 r->by_code[code]);
}

static void put_row(struct buf *out, const char *name, const char *type,
		    uint64_t value)
{
	buf_putf(out, "# TYPE gfl_server_%s %s\ngfl_server_%s %" PRIu64 "\n",
		 name, type, name, value);
}

static void put_counters(struct buf *out, const struct server *s)
{
	buf_puts(out, "# TYPE gfl_server_requests_total counter\n");
	for (const struct route *r = s->routes; r; r = r->hh.next)
		put_route(out, r);
	put_route(out, &s->unknown);
	put_row(out, "connections", "gauge", s->n_conns);
	put_row(out, "connections_max", "gauge", s->max_conns);
	put_row(out, "held_calls", "gauge", s->n_held);
	put_row(out, "streams", "gauge", s->n_streams);
	put_row(out, "http2_streams", "gauge", s->n_many);
	put_row(out, "connections_total", "counter", s->accepted);
	put_row(out, "accept_pauses_total", "counter", s->pauses);
	put_row(out, "connections_refused_total", "counter", s->turned_away);
	put_row(out, "tls_handshakes_failed_total", "counter",
		s->handshakes_failed);
	put_row(out, "connections_cut_total", "counter", s->cut);
	put_row(out, "received_bytes_total", "counter", s->bytes_in);
	put_row(out, "sent_bytes_total", "counter", s->bytes_out);
}

static void metrics(struct call *call, const char *query, const char *body,
		    size_t len, void *arg)
{
	struct server *s = arg;
	struct buf text = BUF_INIT(0);

	(void)query, (void)body, (void)len;
	put_counters(&text, s);
	for (struct metrics_hook *m = s->metrics; m; m = m->next)
		m->fn(&text, m->arg);
	call_http(call, 200, "text/plain; version=0.0.4; charset=utf-8", text.p,
		  text.len);
	buf_release(&text);
}

void plain_serve(struct server *s)
{
	server_http(s, "GET", "/healthz", healthz, s);
	server_http(s, "GET", "/readyz", readyz, s);
	server_http(s, "GET", "/metrics", metrics, s);
}
