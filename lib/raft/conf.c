/* conf.c - a configuration as bytes and back. */
#include "core.h"

#include <stdlib.h>

enum { SIMPLE = 1, JOINT = 2 }; /* versions */
enum { MEMBER_BYTES = 9, OLD_BIT = 0x80 };

bool raft_conf_joint(const struct raft_conf *conf)
{
	for (int i = 0; i < conf->n; i++)
		if (conf->member[i].old)
			return true;
	return false;
}

size_t raft_conf_size(const struct raft_conf *conf)
{
	return 1 + (size_t)conf->n * MEMBER_BYTES;
}

size_t raft_conf_encode(const struct raft_conf *conf, void **out)
{
	size_t len = raft_conf_size(conf);
	unsigned char *p = mem_zero(1, len);

	*out = p;
	*p++ = raft_conf_joint(conf) ? JOINT : SIMPLE;
	for (int i = 0; i < conf->n; i++) {
		*p++ = (unsigned char)((int)conf->member[i].role |
				       (conf->member[i].old ? OLD_BIT : 0));
		for (int shift = 0; shift < 64; shift += 8)
			*p++ = (unsigned char)((uint64_t)conf->member[i].id >>
					       shift);
	}
	return len;
}

static int decode_member(struct raft_conf *conf, const unsigned char *p,
			 bool joint, struct err *err)
{
	uint64_t id = 0;
	int64_t before = conf->n ? conf->member[conf->n - 1].id : 0;
	bool old = joint && p[0] & OLD_BIT;
	int role = old ? p[0] & ~OLD_BIT : p[0];

	for (int i = 8; i >= 1; i--)
		id = id << 8 | p[i];
	if (role > RAFT_LEARNER || (role == RAFT_NONE && !old))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "configuration: role %d is unknown", p[0]);
	if ((int64_t)id <= before)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "configuration: member %lld follows %lld",
			       (long long)id, (long long)before);
	conf->member[conf->n++] = (struct raft_member){
		.id = (int64_t)id,
		.role = (enum raft_member_role)role,
		.old = old,
	};
	return 0;
}

static int decode_members(struct raft_conf *conf, const unsigned char *p,
			  size_t n, bool joint, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (decode_member(conf, p + i * MEMBER_BYTES, joint, err))
			return ERR_INVALID_ARGUMENT;
	if (joint && (!raft_conf_joint(conf) || !raft_conf_voters(conf)))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "configuration: joint, without voters");
	return 0;
}

int raft_conf_decode(struct raft_conf *conf, const void *p, size_t len,
		     struct err *err)
{
	const unsigned char *b = p;
	struct raft_conf got = {0};
	size_t n = len / MEMBER_BYTES;

	if (!len || (b[0] != SIMPLE && b[0] != JOINT))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "configuration: version %d is unknown",
			       len ? b[0] : -1);
	if (len != 1 + n * MEMBER_BYTES || n > RAFT_MEMBERS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "configuration: %zu bytes are no list of "
			       "members",
			       len);
	got.member = mem_zero(n + 1, sizeof(*got.member));
	if (decode_members(&got, b + 1, n, b[0] == JOINT, err)) {
		free(got.member);
		return ERR_INVALID_ARGUMENT;
	}
	*conf = got;
	return 0;
}

bool raft_entry_joint(const struct raft_entry *e)
{
	return e->type == RAFT_CONFIG && e->conf_len &&
	       *(const unsigned char *)e->conf == JOINT;
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
	if (!m)
		return RAFT_NONE;
	return m->old ? RAFT_VOTER : m->role;
}

/* When joint: of C_new. */
int raft_conf_voters(const struct raft_conf *conf)
{
	int n = 0;

	for (int i = 0; i < conf->n; i++)
		n += conf->member[i].role == RAFT_VOTER;
	return n;
}

void raft_conf_release(struct raft_conf *conf)
{
	free(conf->member);
	*conf = (struct raft_conf){0};
}
