#include "registry/lease.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

void lease_init(struct lease *l, const struct lease_config *config)
{
	*l = (struct lease){.config = *config};
}

static void member_free(struct member *m)
{
	free(m->url);
	free(m->ip);
	free(m->capabilities);
	free(m->metadata);
	free(m);
}

static void detach(struct lease *l, struct member *m)
{
	HASH_DEL(l->members, m);
	l->version++;
	if (l->leader == m->id)
		l->leader = 0;
}

static void drop(struct lease *l, struct member *m)
{
	detach(l, m);
	member_free(m);
}

void lease_release(struct lease *l)
{
	struct member *m, *next;

	HASH_ITER (hh, l->members, m, next) {
		HASH_DEL(l->members, m);
		member_free(m);
	}
}

struct member *lease_find(const struct lease *l, int64_t id)
{
	struct member *m;

	HASH_FIND(hh, l->members, &id, sizeof(id), m);
	return m;
}

static void enter(struct lease *l, struct member *m)
{
	HASH_ADD(hh, l->members, id, sizeof(m->id), m);
}

int64_t lease_beat_ms(int64_t lease_ms)
{
	return lease_ms / 3 < LEASE_BEAT_MS ? lease_ms / 3 : LEASE_BEAT_MS;
}

void lease_restore(struct lease *l, const struct member *who, int64_t now_ms)
{
	struct member *m = mem_zero(1, sizeof(*m));
	int64_t lease_ms = l->config.lease_ms;

	*m = *who;
	if (!m->alive)
		m->expires_ms = now_ms + l->config.forget_ms;
	else if (*m->instance)
		m->expires_ms = now_ms + 2 * lease_beat_ms(lease_ms);
	else
		m->expires_ms = now_ms + lease_ms;
	enter(l, m);
}

/* ---- our own pauses ---- */

int64_t lease_tick_ms(const struct lease *l)
{
	int64_t ms = l->config.lease_ms / 8;

	return ms < 10 ? 10 : ms > 500 ? 500 : ms;
}

void lease_awake(struct lease *l, int64_t now_ms)
{
	int64_t slept_ms = now_ms - l->awake_ms - lease_tick_ms(l);
	struct member *m, *next;

	if (l->awake_ms && slept_ms > lease_tick_ms(l)) {
		HASH_ITER (hh, l->members, m, next)
			m->expires_ms += slept_ms;
		l->grant_until_ms += slept_ms;
	}
	l->awake_ms = now_ms;
}

/* The same before what was just heard, where somebody keeps the time. */
static void notice_pause(struct lease *l, int64_t now_ms)
{
	if (l->awake_ms)
		lease_awake(l, now_ms);
}

static struct member *find_instance(const struct lease *l, const char *instance)
{
	struct member *m, *next;

	if (!*instance)
		return NULL;
	HASH_ITER (hh, l->members, m, next)
		if (!strcmp(m->instance, instance))
			return m;
	return NULL;
}

static int64_t next_free_id(const struct lease *l)
{
	int64_t id = 1;

	while (lease_find(l, id))
		id++;
	return id;
}

static int check_cluster(const struct lease *l, const char *theirs,
			 struct err *err)
{
	if (!*theirs || !*l->cluster || !strcmp(l->cluster, theirs))
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION,
		       "this gateway serves cluster %s, not cluster %s",
		       l->cluster, theirs);
}

/* The first cluster presented to a gateway that knows none becomes its own,
 * which spends the grant. */
static void adopt_cluster(struct lease *l, const char *theirs)
{
	if (!*theirs || *l->cluster)
		return;
	str_copy(l->cluster, sizeof(l->cluster), theirs);
	l->grantee = 0;
}

/* Exactly one instance at a time may found the cluster; the grant passes to
 * the next registrant once its lease is over. */
static void decide_bootstrap(struct lease *l, const struct member *who,
			     int64_t now_ms, struct lease_admission *out)
{
	if (*l->cluster || *who->cluster || !l->config.grants)
		return;
	if (!*who->instance) {
		/* information only: the old kind of client */
		out->bootstrap = !l->grantee && lease_count(l, true) <= 1;
		return;
	}
	if (l->grantee && now_ms < l->grant_until_ms &&
	    strcmp(l->grant_instance, who->instance) != 0)
		return;
	l->grantee = who->id;
	str_copy(l->grant_instance, sizeof(l->grant_instance), who->instance);
	l->grant_until_ms = now_ms + l->config.grant_ms;
	out->bootstrap = true;
	out->grant_ms = l->config.grant_ms;
}

static void replace(char **to, const char *from)
{
	free(*to);
	*to = mem_str(from ? from : "");
}

static void fill(struct member *m, const struct member *who)
{
	replace(&m->url, who->url);
	replace(&m->ip, who->ip);
	m->port = who->port;
	replace(&m->capabilities, who->capabilities ? who->capabilities : "[]");
	replace(&m->metadata, who->metadata ? who->metadata : "{}");
	str_copy(m->instance, sizeof(m->instance), who->instance);
	str_copy(m->cluster, sizeof(m->cluster), who->cluster);
	str_copy(m->role, sizeof(m->role), who->role);
}

static int check_holder(const struct member *holder, const struct member *who,
			struct err *err)
{
	if (!holder || !holder->alive ||
	    !strcmp(holder->instance, who->instance))
		return 0;
	if (!*who->instance || !*holder->instance)
		return 0; /* the old kind of client has no identity to check */
	if (*holder->url && !strcmp(holder->url, who->url))
		return 0; /* two cannot listen there: the holder is gone */
	return err_set(err, ERR_ALREADY_EXISTS,
		       "node %" PRId64 " is alive at %s under another instance",
		       holder->id, holder->url);
}

int lease_register(struct lease *l, const struct member *who, int64_t now_ms,
		   int64_t wall_ms, struct lease_admission *out,
		   struct err *err)
{
	struct member *m = NULL, *same = find_instance(l, who->instance);
	int64_t id = who->id;

	*out = (struct lease_admission){0};
	notice_pause(l, now_ms);
	if (id < 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "node id %" PRId64 " is below 1", id);
	if (!id)
		id = same ? same->id : next_free_id(l);
	m = lease_find(l, id);
	if (check_cluster(l, who->cluster, err) || check_holder(m, who, err))
		return (int)err->code;
	if (!m && HASH_COUNT(l->members) >= LEASE_MEMBERS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "the registry is full: %d nodes",
			       LEASE_MEMBERS_MAX);
	adopt_cluster(l, who->cluster);
	if (same && same->id != id) { /* one instance, one row */
		out->dropped = same->id;
		drop(l, same);
	}
	if (!m) {
		m = mem_zero(1, sizeof(*m));
		m->id = id;
		m->joined_wall_ms = wall_ms;
		enter(l, m);
		out->is_new = true;
	}
	fill(m, who);
	m->alive = true;
	m->seen_wall_ms = wall_ms;
	m->expires_ms = now_ms + l->config.lease_ms;
	l->version++;
	out->member = m;
	decide_bootstrap(l, m, now_ms, out);
	return 0;
}

/* Is what was said, if anything, another than what is known, if anything? */
static bool differs(const char *said, const char *known)
{
	return said && *said && *known && strcmp(said, known) != 0;
}

bool lease_heartbeat(struct lease *l, const struct lease_beat *beat,
		     int64_t now_ms, int64_t wall_ms, bool *changed)
{
	struct member *m = lease_find(l, beat->id);
	const char *role = beat->role;

	*changed = false;
	notice_pause(l, now_ms);
	if (!m || differs(beat->instance, m->instance) ||
	    differs(beat->url, m->url))
		return false;
	m->seen_wall_ms = wall_ms;
	m->expires_ms = now_ms + l->config.lease_ms;
	if (!m->alive)
		*changed = m->alive = true;
	if (role && *role && strcmp(role, m->role) != 0) {
		str_copy(m->role, sizeof(m->role), role);
		*changed = true;
	}
	if (*changed)
		l->version++;
	return true;
}

int lease_confirm(struct lease *l, int64_t id, const char *instance,
		  const char *cluster, int64_t now_ms, struct err *err)
{
	struct member *m = lease_find(l, id);

	if (!str_is_id(cluster))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a cluster id is 32 hex digits, not \"%s\"",
			       cluster);
	if (*l->cluster && !strcmp(l->cluster, cluster))
		return 0;
	if (*l->cluster)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "cluster %s exists already: join it",
			       l->cluster);
	if (l->grantee != id || strcmp(l->grant_instance, instance) != 0)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "node %" PRId64 " holds no grant to bootstrap",
			       id);
	if (now_ms >= l->grant_until_ms)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "the grant of node %" PRId64
			       " ended before it was confirmed",
			       id);
	str_copy(l->cluster, sizeof(l->cluster), cluster);
	l->grantee = 0;
	if (m)
		str_copy(m->cluster, sizeof(m->cluster), cluster);
	l->version++;
	return 0;
}

/* Who has lost the lead may be dead, and never say so itself. */
static void demote(struct member *old)
{
	if (old && !strcmp(old->role, "leader"))
		str_copy(old->role, sizeof(old->role), "voter");
}

int lease_lead(struct lease *l, int64_t id, int64_t term)
{
	if (id && !lease_find(l, id))
		return -1;
	if (term < l->term ||
	    (term == l->term && term && l->leader && l->leader != id))
		return 0;
	if (l->leader != id || l->term != term)
		l->version++;
	if (l->leader != id)
		demote(lease_find(l, l->leader));
	l->leader = id;
	l->term = term;
	return 1;
}

bool lease_remove(struct lease *l, int64_t id, const char *instance)
{
	struct member *m = lease_find(l, id);

	if (!m || differs(instance, m->instance))
		return false;
	drop(l, m);
	return true;
}

void lease_expire(struct lease *l, int64_t now_ms, lease_fn *fn, void *arg)
{
	struct member *m, *next;

	HASH_ITER (hh, l->members, m, next) {
		if (now_ms < m->expires_ms)
			continue;
		if (m->alive) {
			m->alive = false;
			m->expires_ms = now_ms + l->config.forget_ms;
			l->version++;
			fn(m, false, arg);
		} else {
			detach(l, m);
			fn(m, true, arg);
			member_free(m);
		}
	}
}

int64_t lease_deadline(const struct lease *l)
{
	int64_t first = INT64_MAX;
	struct member *m, *next;

	HASH_ITER (hh, l->members, m, next)
		if (m->expires_ms < first)
			first = m->expires_ms;
	return first;
}

size_t lease_count(const struct lease *l, bool alive_only)
{
	struct member *m, *next;
	size_t n = 0;

	HASH_ITER (hh, l->members, m, next)
		n += m->alive || !alive_only;
	return n;
}

static int by_id(const void *a, const void *b)
{
	const struct member *x = *(struct member *const *)a,
			    *y = *(struct member *const *)b;

	return (x->id > y->id) - (x->id < y->id);
}

struct member **lease_sorted(const struct lease *l, size_t *n)
{
	struct member **all = mem_zero(HASH_COUNT(l->members), sizeof(*all));
	struct member *m, *next;
	size_t i = 0;

	HASH_ITER (hh, l->members, m, next)
		all[i++] = m;
	qsort(all, i, sizeof(*all), by_id);
	*n = i;
	return all;
}
