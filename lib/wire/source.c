#include "wire/engine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

static const char full[] = "HTTP/1.1 503 Service Unavailable\r\n"
			   "content-type: text/plain; charset=utf-8\r\n"
			   "retry-after: 1\r\n"
			   "connection: close\r\n\r\n"
			   "this address is at max-per-source connections\n";

static bool is_unbounded(const union address *from)
{
	if (from->sa.sa_family == AF_INET)
		return from->v4.sin_addr.s_addr == htonl(INADDR_LOOPBACK);
	return IN6_IS_ADDR_LOOPBACK(&from->v6.sin6_addr);
}

/* IPv4 as IPv6 has it, so that one host is the same by both. */
static void key_of(const union address *from, uint64_t key[2])
{
	const uint8_t *v6 = from->v6.sin6_addr.s6_addr;

	key[0] = key[1] = 0;
	if (from->sa.sa_family == AF_INET)
		memcpy(&key[1], &from->v4.sin_addr, 4);
	else if (IN6_IS_ADDR_V4MAPPED(&from->v6.sin6_addr))
		memcpy(&key[1], v6 + 12, 4);
	else
		memcpy(&key[0], v6, 8);
}

bool source_enter(struct server *s, const union address *from,
		  struct source **out)
{
	struct source *source;
	uint64_t key[2];

	*out = NULL;
	if (is_unbounded(from))
		return true;
	key_of(from, key);
	HASH_FIND(hh, s->sources, key, sizeof(key), source);
	if (!source) {
		source = mem_zero(1, sizeof(*source));
		memcpy(source->at, key, sizeof(key));
		HASH_ADD(hh, s->sources, at, sizeof(source->at), source);
	}
	if (source->n >= s->max_per_source)
		return false;
	source->n++;
	*out = source;
	return true;
}

void source_leave(struct server *s, struct source *source)
{
	if (!source || --source->n)
		return;
	HASH_DEL(s->sources, source);
	free(source);
}

/* Half-closed, so that the words arrive; and what has come is read, for closing
 * upon unread bytes would take them back. */
void source_refuse(struct server *s, int fd)
{
	s->turned_away++;
	if (!s->tls)
		(void)!send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	(void)!recv(fd, s->read, sizeof(s->read), 0);
	close(fd);
}
