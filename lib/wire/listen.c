#include "wire/engine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "wire/transfer.h"

enum {
	BACKLOG = 1024,
	AT_ONCE = 64,          /* connections accepted per turn */
	ACCEPT_AGAIN_MS = 500, /* after the descriptors ran out */
};

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void resume(struct server *s)
{
	if (s->accepting || s->fd < 0 || s->n_conns >= s->max_conns)
		return;
	s->accepting = true;
	uv_poll_start(&s->poll, UV_READABLE, on_acceptable);
}

static void on_accept_again(uv_timer_t *t)
{
	resume(t->data);
}

/* Newcomers wait in the kernel's queue until a connection closes. */
static void pause_accepting(struct server *s)
{
	s->accepting = false;
	s->pauses++;
	uv_poll_stop(&s->poll);
}

static void accept_failed(struct server *s, int number)
{
	if (number == EAGAIN || number == ECONNABORTED || number == EINTR)
		return;
	log_warn("accept", "error=%s connections=%zu", strerror(number),
		 s->n_conns);
	pause_accepting(s);
	uv_timer_start(&s->accept_again, on_accept_again, ACCEPT_AGAIN_MS, 0);
}

/* Returns whether there may be more to accept. */
static bool accept_one(struct server *s)
{
	union address from = {0};
	socklen_t len = sizeof(from);
	struct source *source;
	int fd = accept4(s->fd, &from.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		accept_failed(s, errno);
	else if (source_enter(s, &from, &source))
		conn_open(s, fd, &from, source);
	else
		source_refuse(s, fd);
	return fd >= 0;
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
	struct server *s = poll->data;

	(void)status, (void)events;
	for (int i = 0; i < AT_ONCE; i++) {
		if (s->n_conns >= s->max_conns) {
			pause_accepting(s);
			return;
		}
		if (!accept_one(s))
			return;
	}
}

void listen_one_less(struct server *s)
{
	resume(s);
}

/* On a socket of IPv6 an address of IPv4 comes as ::ffff:a.b.c.d. */
static bool is_mapped(const union address *a)
{
	return a->sa.sa_family == AF_INET6 &&
	       IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr);
}

bool listen_is_loopback(const union address *a)
{
	if (a->sa.sa_family == AF_INET)
		return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
	if (is_mapped(a))
		return a->v6.sin6_addr.s6_addr[12] == 127;
	return a->sa.sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

void listen_numeric(const union address *a, char text[PEER_ADDR])
{
	*text = '\0';
	if (a->sa.sa_family == AF_INET)
		inet_ntop(AF_INET, &a->v4.sin_addr, text, PEER_ADDR);
	else if (is_mapped(a))
		inet_ntop(AF_INET, &a->v6.sin6_addr.s6_addr[12], text,
			  PEER_ADDR);
	else if (a->sa.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &a->v6.sin6_addr, text, PEER_ADDR);
}

static bool is_wildcard(const struct sockaddr *sa)
{
	const union address *p = (const union address *)sa;

	if (sa->sa_family == AF_INET)
		return p->v4.sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&p->v6.sin6_addr);
}

/* HOST:PORT, [V6]:PORT or :PORT into host (no brackets) and the port. */
static const char *split(const char *listen, char *host, size_t room)
{
	const char *colon = strrchr(listen, ':');
	size_t len = colon ? (size_t)(colon - listen) : 0;

	if (!colon || len >= room)
		return NULL;
	if (len >= 2 && listen[0] == '[' && listen[len - 1] == ']')
		snprintf(host, room, "%.*s", (int)len - 2, listen + 1);
	else
		snprintf(host, room, "%.*s", (int)len, listen);
	return colon + 1;
}

static int resolve(struct addrinfo **out, const char *listen, struct err *err)
{
	const struct addrinfo want = {
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	char host[256];
	const char *port = split(listen, host, sizeof(host));
	int rc;

	if (!port)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "listen on %s: not HOST:PORT", listen);
	rc = getaddrinfo(host[0] ? host : NULL, port, &want, out);
	if (rc)
		return err_set(err, ERR_INVALID_ARGUMENT, "listen on %s: %s",
			       listen, gai_strerror(rc));
	return 0;
}

static int bind_to(struct server *s, const struct addrinfo *ai,
		   const char *listen_at, struct err *err)
{
	int on = 1;
	int rc;

	s->fd = socket(ai->ai_family,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return err_sys(err, "listen on %s", listen_at);
	setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!bind(s->fd, ai->ai_addr, ai->ai_addrlen) &&
	    !listen(s->fd, BACKLOG))
		return 0;
	rc = err_sys(err, "listen on %s", listen_at);
	if (err && errno == EADDRINUSE)
		err_hint(err, "choose another address with --listen");
	close(s->fd);
	s->fd = -1;
	return rc;
}

/* The first address of this machine that others may reach. */
static void outer_address(char *text, size_t room)
{
	uv_interface_address_t *all;
	int n;

	snprintf(text, room, "127.0.0.1");
	if (uv_interface_addresses(&all, &n))
		return;
	for (int i = 0; i < n; i++) {
		if (all[i].is_internal ||
		    all[i].address.address4.sin_family != AF_INET)
			continue;
		uv_ip4_name(&all[i].address.address4, text, room);
		break;
	}
	uv_free_interface_addresses(all, n);
}

/* An address in numbers, with brackets if it needs them. */
static void numeric(const struct sockaddr *sa, char *text, size_t room)
{
	const union address *p = (const union address *)sa;
	char name[INET6_ADDRSTRLEN];

	if (sa->sa_family == AF_INET) {
		uv_ip4_name(&p->v4, text, room);
		return;
	}
	uv_ip6_name(&p->v6, name, sizeof(name));
	snprintf(text, room, "[%s]", name);
}

static void add_name(struct server *s, const char *host, int port)
{
	int i = 0;

	while (s->names[i])
		i++;
	s->names[i] = mem_fmt("%s:%d", host, port);
}

/* "host" or "host:port" of a URL, the port made explicit. */
static void add_url(struct server *s, const char *url)
{
	const char *host = strstr(url, "://");
	int port = strncmp(url, "https", 5) ? 80 : 443;
	char *name, *end;

	host = host ? host + 3 : url;
	name = mem_dup(host, strcspn(host, "/?#"));
	end = strrchr(name, ':');
	if (end && !strchr(end, ']')) {
		port = atoi(end + 1);
		*end = '\0';
	}
	add_name(s, name, port);
	free(name);
}

/* Learn the port that was given, and what we are called. */
static void name_us(struct server *s, const struct server_opts *opts)
{
	union address at;
	socklen_t len = sizeof(at);
	char host[INET6_ADDRSTRLEN + 2], given[256];

	getsockname(s->fd, &at.sa, &len);
	s->port = ntohs(at.v4.sin_port);
	s->any_address = is_wildcard(&at.sa);
	if (s->any_address)
		outer_address(host, sizeof(host));
	else
		numeric(&at.sa, host, sizeof(host));
	s->url = opts->advertise ? mem_str(opts->advertise)
				 : mem_fmt("http%s://%s:%d", s->tls ? "s" : "",
					   host, s->port);
	while (s->url[0] && s->url[strlen(s->url) - 1] == '/')
		s->url[strlen(s->url) - 1] = '\0';
	add_url(s, s->url);
	add_name(s, "127.0.0.1", s->port);
	add_name(s, "localhost", s->port);
	add_name(s, "[::1]", s->port);
	add_name(s, host, s->port);
	if (split(opts->listen, given, sizeof(given)) && given[0])
		add_name(s, given, s->port);
}

/* A literal address cannot be re-bound by its owner's DNS, so on a wildcard
 * every one of our port is us. */
static bool is_our_address(const struct server *s, const char *name)
{
	char host[256], in[sizeof(struct in6_addr)];
	const char *port = split(name, host, sizeof(host));

	return s->any_address && port && atoi(port) == s->port &&
	       (inet_pton(AF_INET, host, in) == 1 ||
		inet_pton(AF_INET6, host, in) == 1);
}

/* A browser lets no page call us by another name than the certificate's. */
static bool is_certified(const struct server *s, const char *name)
{
	char host[256];
	const char *port = split(name, host, sizeof(host));

	return s->tls && port && atoi(port) == s->port &&
	       tls_is_for(s->tls, host);
}

static bool is_name(const struct server *s, const char *name)
{
	for (int i = 0; i < ENGINE_NAMES && s->names[i]; i++)
		if (!strcasecmp(s->names[i], name))
			return true;
	return is_our_address(s, name) || is_certified(s, name);
}

bool listen_is_us(const struct server *s, const char *host)
{
	const char *colon = strrchr(host, ':');
	char name[300];

	if (strlen(host) > 255)
		return false;
	if (colon && !strchr(colon, ']'))
		return is_name(s, host);
	snprintf(name, sizeof(name), "%s:%d", host, s->tls ? 443 : 80);
	return is_name(s, name);
}

/* localhost is ::1 first, where a client that was told 127.0.0.1 finds nobody:
 * IPv4 where there is a choice. */
static const struct addrinfo *choose(const struct addrinfo *all)
{
	for (const struct addrinfo *ai = all; ai; ai = ai->ai_next)
		if (ai->ai_family == AF_INET)
			return ai;
	return all;
}

static int check_insecure(const struct server *s, const struct addrinfo *ai,
			  const struct server_opts *opts, struct err *err)
{
	const union address *a = (const union address *)ai->ai_addr;

	if (opts->insecure && !listen_is_loopback(a))
		log_warn("insecure", "listen=%s means=%s", opts->listen,
			 "everyone who can reach the port may change "
			 "everything");
	if (s->tls && !tls_has_ca(s->tls) && !opts->insecure)
		log_warn("no_authority", "means=%s",
			 "without --tls-ca all are strangers, who only read");
	if (opts->insecure || s->tls || listen_is_loopback(a))
		return 0;
	err_set(err, ERR_INVALID_ARGUMENT,
		"listen on %s: others could read and forge everything",
		opts->listen);
	return err_hint(err, "give --tls-cert and --tls-key, listen on "
			     "127.0.0.1, or say --insecure on a network that "
			     "you trust");
}

int listen_open(struct server *s, const struct server_opts *opts,
		struct err *err)
{
	const struct addrinfo *at;
	struct addrinfo *ai;
	int rc;

	if (opts->advertise && transfer_check_url(opts->advertise, err))
		return err_wrap(err, "advertise");
	rc = resolve(&ai, opts->listen, err);
	if (rc)
		return rc;
	at = choose(ai);
	rc = check_insecure(s, at, opts, err);
	if (!rc)
		rc = bind_to(s, at, opts->listen, err);
	freeaddrinfo(ai);
	if (rc)
		return rc;
	name_us(s, opts);
	uv_poll_init(s->uv, &s->poll, s->fd);
	s->poll.data = s;
	uv_timer_init(s->uv, &s->accept_again);
	s->accept_again.data = s;
	s->handles += 2;
	resume(s);
	return 0;
}

static void on_poll_closed(uv_handle_t *h)
{
	struct server *s = h->data;

	s->handles--;
}

void listen_stop(struct server *s)
{
	if (s->fd < 0)
		return;
	uv_close((uv_handle_t *)&s->poll, on_poll_closed);
	uv_close((uv_handle_t *)&s->accept_again, on_poll_closed);
	close(s->fd);
	s->fd = -1;
}
