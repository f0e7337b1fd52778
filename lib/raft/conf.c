/* conf.c - a configuration as bytes and back. */
#include "core.h"

#include <stdlib.h>

enum { CONF_VERSION = 1, MEMBER_BYTES = 9 };

size_t raft_conf_encode(const struct raft_conf *conf, void **out)
{
	size_t len = 1 + (size_t)conf->n * MEMBER_BYTES;
	unsigned char *p = mem_zero(1, len);

	*out = p;
	*p++ = CONF_VERSION;
	for (int i = 0; i < conf->n; i++) {
		*p++ = (unsigned char)conf->member[i].role;
		for (int shift = 0; shift < 64; shift += 8)
			*p++ = (unsigned char)((uint64_t)conf->member[i].id >>
					       shift);
	}
	return len;
}

static int decode_member(struct raft_conf *conf, const unsigned char *p,
			 struct err *err)
{
	uint64_t id = 0;
	int64_t before = conf->n ? conf->member[conf->n - 1].id : 0;

	for (int i = 8; i >= 1; i--)
		id = id << 8 | p[i];
	if (p[0] < RAFT_VOTER || p[0] > RAFT_LEARNER)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "configuration: role %d is unknown", p[0]);
	if ((int64_t)id <= before)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "configuration: member %lld follows %lld",
			       (long long)id, (long long)before);
	conf->member[conf->n++] =
		(struct raft_member){(int64_t)id, (enum raft_member_role)p[0]};
	return 0;
}

int raft_conf_decode(struct raft_conf *conf, const void *p, size_t len,
		     struct err *err)
{
	const unsigned char *b = p;
	struct raft_conf got = {0};
	size_t n = len / MEMBER_BYTES;

	if (!len || b[0] != CONF_VERSION)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "configuration: version %d is unknown",
			       len ? b[0] : -1);
	if (len != 1 + n * MEMBER_BYTES || n > RAFT_MEMBERS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "configuration: %zu bytes are no list of "
			       "members",
			       len);
	got.member = mem_zero(n + 1, sizeof(*got.member));
	for (size_t i = 0; i < n; i++) {
		if (decode_member(&got, b + 1 + i * MEMBER_BYTES, err)) {
			free(got.member);
			return ERR_INVALID_ARGUMENT;
		}
	}
	*conf = got;
	return 0;
}

static int by_id(const void *key, const void *member)
{
	int64_t id = *(const int64_t *)key;
	int64_t other = ((const struct raft_member *)member)->id;

	return id < other ? -1 : id > other;
}

enum raft_member_role raft_conf_role(const struct raft_conf *conf, int64_t id)
{
	const struct raft_member *m = NULL;

	if (conf->n)
		m = bsearch(&id, conf->member, (size_t)conf->n, sizeof(*m),
			    by_id);
	return m ? m->role : RAFT_NONE;
}

void raft_conf_release(struct raft_conf *conf)
{
	free(conf->member);
	*conf = (struct raft_conf){0};
}
