#include "wire/engine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/daemon.h"
#include "base/mem.h"

enum {
	KEPT_FDS = DAEMON_KEPT_FDS,
	MAX_MESSAGE = 64 << 20,
	MAX_CONNS = 100000,
	SHARES = 4, /* of the connections, one for each address */
};

static size_t conns_by_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > MAX_CONNS)
		return MAX_CONNS;
	if (limit.rlim_cur < 2 * KEPT_FDS)
		return (size_t)limit.rlim_cur / 2;
	return (size_t)limit.rlim_cur - KEPT_FDS;
}

static struct route *route_of(struct server *s, const char *path)
{
	struct route *r;

	HASH_FIND_STR(s->routes, path, r);
	if (r)
		return r;
	r = mem_zero(1, sizeof(*r));
	r->path = mem_str(path);
	HASH_ADD_KEYPTR(hh, s->routes, r->path, strlen(r->path), r);
	return r;
}

size_t server_unread(const struct server *s)
{
	return s->unread;
}

size_t server_max_message(const struct server *s)
{
	return s->max_message;
}

void server_handle(struct server *s, enum rpc_name name, server_fn *fn,
		   void *arg)
{
	server_handle_method(s, &rpc_methods[name], fn, arg);
}

void server_handle_method(struct server *s, const struct rpc_method *method,
			  server_fn *fn, void *arg)
{
	struct route *r = route_of(s, method->path);

	r->method = method;
	r->fn = fn;
	r->arg = arg;
}

static void add_plain(struct server *s, const char *path, struct plain what)
{
	struct route *r = route_of(s, path);
	struct plain *p = mem_zero(1, sizeof(*p));

	*p = what;
	p->next = r->plain;
	r->plain = p;
}

void server_http(struct server *s, const char *verb, const char *path,
		 server_http_fn *fn, void *arg)
{
	add_plain(s, path, (struct plain){.verb = verb, .fn = fn, .arg = arg});
}

void server_alias(struct server *s, const char *verb, const char *path,
		  enum rpc_name name)
{
	struct route *method = route_of(s, rpc_methods[name].path);

	add_plain(s, path, (struct plain){.verb = verb, .method = method});
}

void server_metrics(struct server *s, server_metrics_fn *fn, void *arg)
{
	struct metrics_hook *m = mem_zero(1, sizeof(*m));

	*m = (struct metrics_hook){fn, arg, s->metrics};
	s->metrics = m;
}

void server_metrics_end(struct server *s, const void *arg)
{
	struct metrics_hook **at = &s->metrics, *m;

	while ((m = *at)) {
		if (m->arg != arg) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		free(m);
	}
}

void server_ready(struct server *s, bool ready)
{
	s->ready = ready;
}

const char *server_url(const struct server *s)
{
	return s->url;
}

int server_port(const struct server *s)
{
	return s->port;
}

static void server_free(struct server *s)
{
	struct route *r, *next;

	HASH_ITER (hh, s->routes, r, next) {
		HASH_DEL(s->routes, r);
		while (r->plain) {
			struct plain *p = r->plain;

			r->plain = p->next;
			free(p);
		}
		free(r->path);
		free(r);
	}
	while (s->metrics) {
		struct metrics_hook *m = s->metrics;

		s->metrics = m->next;
		free(m);
	}
	for (int i = 0; i < ENGINE_NAMES; i++)
		free(s->names[i]);
	free(s->url);
	gzip_free(s->gzip);
	buf_release(&s->spare_out);
	buf_release(&s->spare_body);
	dedupe_release(&s->dedupe);
	buf_release(&s->spare_sealed);
	free(s);
}

int server_open(struct server **out, struct loop *loop,
		const struct server_opts *opts, struct err *err)
{
	struct server *s = mem_zero(1, sizeof(*s));
	int rc;

	s->loop = loop;
	s->uv = loop_uv(loop);
	s->fd = -1;
	s->max_message = opts->max_message ? opts->max_message : MAX_MESSAGE;
	s->max_conns = opts->max_connections ? opts->max_connections
					     : conns_by_descriptors();
	s->trust_all = opts->insecure;
	s->tls = tls_has_cert(opts->tls) ? opts->tls : NULL;
	s->max_per_source = opts->max_per_source
				    ? opts->max_per_source
				    : (s->max_conns + SHARES - 1) / SHARES;
	s->unknown.path = (char *)"other";
	TAILQ_INIT(&s->conns);
	TAILQ_INIT(&s->todo);
	LIST_INIT(&s->alone);
	dedupe_init(&s->dedupe);
	s->gzip = gzip_new();
	rc = origin_open(s, opts->cors, err);
	if (!rc)
		rc = listen_open(s, opts, err);
	if (rc) {
		server_free(s);
		return rc;
	}
	wait_init(s, opts);
	uv_idle_init(s->uv, &s->idle);
	s->idle.data = s;
	s->handles++;
	plain_serve(s);
	*out = s;
	return 0;
}

static void on_handle_closed(uv_handle_t *h)
{
	*(int *)h->data -= 1;
}

static void close_handle(struct server *s, uv_handle_t *h)
{
	h->data = &s->handles;
	uv_close(h, on_handle_closed);
}

/* What is held is answered UNAVAILABLE; what is idle goes. */
static void drain_begin(struct server *s)
{
	struct conn *c, *next;

	for (c = TAILQ_FIRST(&s->conns); c; c = next) {
		next = TAILQ_NEXT(c, all);
		conn_drain(c);
	}
}

static bool all_sent(const struct server *s)
{
	const struct conn *c;

	TAILQ_FOREACH (c, &s->conns, all)
		if (conn_pending(c))
			return false;
	return true;
}

static void on_drain_over(uv_timer_t *t)
{
	*(bool *)t->data = true;
}

static void drain(struct server *s, int64_t drain_ms)
{
	bool over = drain_ms <= 0;
	uv_timer_t *t = &s->waits[WAIT_NONE].timer;

	t->data = &over;
	uv_timer_start(t, on_drain_over, (uint64_t)drain_ms, 0);
	while (!over && !all_sent(s))
		uv_run(s->uv, UV_RUN_ONCE);
	uv_timer_stop(t);
}

void server_close(struct server *s, int64_t drain_ms)
{
	struct conn *c;

	if (!s)
		return;
	s->closing = true;
	listen_stop(s);
	drain_begin(s);
	drain(s, drain_ms);
	while ((c = TAILQ_FIRST(&s->conns)))
		conn_close(c);
	once_close(s);
	for (int i = 0; i < WAIT_KINDS; i++)
		close_handle(s, (uv_handle_t *)&s->waits[i].timer);
	close_handle(s, (uv_handle_t *)&s->idle);
	while (s->handles)
		uv_run(s->uv, UV_RUN_ONCE);
	server_free(s);
}
