/* Who is known. A client from whom an update was taken stays for ever; any other
 * is a guest, who makes way for others: whoever invents clients, by the hundred
 * thousand, drives out nobody but such. Of guests those go first who have asked
 * for nothing since they set up, then who is not there, then who came from where
 * most do. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/hub_impl.h"

enum { SWEEP_MS = 100 }; /* at most so often, since it goes through all */

/* --- where guests come from ------------------------------------------------
 */

/* Of IPv6 a network, since whoever has one has 2^64 addresses. */
static void source_of(char out[PEER_ADDR], const char *address)
{
	struct in6_addr a;

	str_copy(out, PEER_ADDR, address);
	if (inet_pton(AF_INET6, address, &a) != 1)
		return;
	memset(a.s6_addr + 8, 0, 8);
	inet_ntop(AF_INET6, &a, out, PEER_ADDR);
}

static struct hub_source *find_source(const struct hub *h, const char *address)
{
	struct hub_source *s;
	char at[PEER_ADDR];

	source_of(at, address);
	HASH_FIND_STR(h->sources, at, s);
	return s;
}

static void enter_source(struct hub_client *c)
{
	struct hub *h = c->hub;
	struct hub_source *s = find_source(h, c->address);

	if (!s) {
		s = mem_zero(1, sizeof(*s));
		source_of(s->at, c->address);
		HASH_ADD_STR(h->sources, at, s);
	}
	s->logical += c->nlogical;
	c->source = s;
}

static void leave_source(struct hub_client *c)
{
	struct hub_source *s = c->source;

	c->source = NULL;
	if (!s)
		return;
	s->logical -= c->nlogical;
	if (s->logical)
		return;
	HASH_DEL(c->hub->sources, s);
	free(s);
}

/* --- the table -------------------------------------------------------------
 */

static struct hub_client *by_instance(struct hub *h, const char *instance_id)
{
	struct hub_client *c;

	HASH_FIND(by_instance, h->by_instance, instance_id, STR_ID - 1, c);
	return c;
}

struct hub_client *hub_client_add(struct hub *h, int64_t id,
				  const char *instance_id)
{
	struct hub_client *c = mem_zero(1, sizeof(*c));

	c->hub = h;
	c->id = id;
	str_copy(c->instance_id, STR_ID, instance_id);
	if (id > h->last_client)
		h->last_client = id;
	HASH_ADD(hh, h->clients, id, sizeof(c->id), c);
	HASH_ADD(by_instance, h->by_instance, instance_id, STR_ID - 1, c);
	return c;
}

void hub_table_asked(struct hub_client *c)
{
	if (c->silent)
		DL_DELETE(c->hub->silent, c);
	c->silent = false;
}

/* In a time that tells nothing of where they differ. */
static bool is_session(const struct hub_client *c, const char *session)
{
	return strlen(session) == STR_ID - 1 &&
	       !CRYPTO_memcmp(session, c->session, STR_ID - 1);
}

struct hub_client *hub_client_of(struct hub *h, const struct call *call,
				 int64_t id, const char *session,
				 struct err *err)
{
	struct hub_client *c;

	HASH_FIND(hh, h->clients, &id, sizeof(id), c);
	if (!c || !c->nlogical) {
		err_set(err, ERR_NOT_FOUND,
			"client %lld is not known to this start of the server: "
			"set up first",
			(long long)id);
		return NULL;
	}
	if (is_session(c, session)) {
		hub_table_asked(c);
		return c;
	}
	h->strangers++;
	log_warn("session_refused", "client=%lld address=%s", (long long)id,
		 call_peer(call)->addr);
	err_set(err, ERR_UNAUTHENTICATED,
		"this is not the session of client %lld: set up first",
		(long long)id);
	return NULL;
}

void hub_table_know(struct hub_client *c)
{
	leave_source(c);
	c->known = true;
}

void hub_table_host(struct hub_client *c, size_t n, const struct peer *peer)
{
	struct hub *h = c->hub;

	leave_source(c);
	hub_table_asked(c);
	free(c->logical);
	c->logical = mem_zero(n, sizeof(*c->logical));
	h->hosted += n - c->nlogical;
	c->nlogical = n;
	str_copy(c->address, sizeof(c->address), peer->addr);
	peer_name(c->owner, peer);
	if (c->known)
		return;
	enter_source(c);
	c->silent = true;
	DL_APPEND(h->silent, c);
}

static void forget(struct hub_client *c)
{
	struct hub *h = c->hub;

	hub_table_asked(c);
	leave_source(c);
	h->hosted -= c->nlogical;
	HASH_DELETE(by_instance, h->by_instance, c);
	HASH_DELETE(hh, h->clients, c);
	free(c->given.parts);
	free(c->to_score);
	free(c->logical);
	free(c);
}

void hub_table_drop(struct hub_client *c, const char *why)
{
	struct err err;

	log_debug("client_forgotten", "client=%lld address=%s reason=%s",
		  (long long)c->id, c->address, why);
	err_set(&err, ERR_NOT_FOUND, "client %lld is forgotten: %s",
		(long long)c->id, why);
	hub_client_dismiss(c, &err);
	hub_forget_given(c);
	hub_client_here(c, false, "forgotten");
	c->hub->forgotten++;
	forget(c);
}

static bool is_guest(const struct hub_client *c)
{
	return !c->known && !c->jobs;
}

bool hub_table_expired(const struct hub_client *c, int64_t now_ms)
{
	return is_guest(c) && !c->here && now_ms - c->seen_ms >= HUB_GUEST_MS;
}

/* --- room ------------------------------------------------------------------
 */

static bool drop_absent(struct hub *h, const struct hub_client *spare)
{
	struct hub_client *c, *next;
	bool dropped = false;

	HASH_ITER (hh, h->clients, c, next)
		if (is_guest(c) && !c->here && c != spare) {
			hub_table_drop(c, "others need its place");
			dropped = true;
		}
	return dropped;
}

/* The guest, from where most are, who has been silent for longest; if that is a
 * place of more than the newcomer's would have. */
static bool drop_one_of_many(struct hub *h, const struct hub_client *spare,
			     size_t least)
{
	struct hub_source *s, *most = NULL;
	struct hub_client *c, *oldest = NULL;

	for (s = h->sources; s; s = s->hh.next)
		if (!most || s->logical > most->logical)
			most = s;
	if (!most || most->logical <= least)
		return false;
	for (c = h->clients; c; c = c->hh.next)
		if (c->source == most && !c->jobs && c != spare &&
		    (!oldest || c->seen_ms < oldest->seen_ms))
			oldest = c;
	if (oldest)
		hub_table_drop(oldest, "too many come from its address");
	return oldest;
}

static bool make_room(struct hub *h, const struct hub_client *spare,
		      const char *address, size_t n)
{
	const struct hub_source *own = find_source(h, address);
	int64_t now_ms = clock_ms();

	if (h->silent && h->silent != spare) {
		hub_table_drop(h->silent, "others need its place");
		return true;
	}
	if (now_ms < h->sweep_ms)
		return false;
	h->sweep_ms = now_ms + SWEEP_MS;
	return drop_absent(h, spare) ||
	       drop_one_of_many(h, spare, n + (own ? own->logical : 0));
}

/* Of a client that is there already, or NULL. */
static int check_room(const struct hub *h, const struct hub_client *c, size_t n,
		      struct err *err)
{
	const size_t others = h->hosted - (c ? c->nlogical : 0);

	if (!c && HASH_COUNT(h->clients) >= (size_t)h->opts.max_clients)
		return err_full(err,
				"max-clients %lld are known, and all of "
				"them are needed",
				(long long)h->opts.max_clients);
	if (others + n > HUB_HOSTED_MAX)
		return err_full(err,
				"%zu logical clients, where others host %zu "
				"and %d in all are taken",
				n, others, HUB_HOSTED_MAX);
	return 0;
}

/* An instance is of the certificate that it has shown first. */
static int check_owner(const struct hub_client *c, const struct peer *peer,
		       struct err *err)
{
	char owner[PEER_NAME];

	peer_name(owner, peer);
	if (!*c->owner || !strcmp(c->owner, owner))
		return 0;
	return err_set(err, ERR_PERMISSION_DENIED,
		       "this instance is that of %s, not of %s", c->owner,
		       *owner ? owner : "whoever shows no certificate");
}

int hub_table_admit(struct hub *h, struct hub_client **out,
		    const char *instance_id, size_t n, const struct peer *peer,
		    struct err *err)
{
	struct hub_client *c = by_instance(h, instance_id);

	if (c && check_owner(c, peer, err))
		return (int)err->code;
	while (check_room(h, c, n, err))
		if (!make_room(h, c, peer->addr, n))
			return (int)err->code;
	*out = c ? c : hub_client_add(h, h->last_client + 1, instance_id);
	return 0;
}

void hub_table_close(struct hub *h)
{
	struct hub_client *c, *next;

	HASH_ITER (hh, h->clients, c, next)
		forget(c);
}
