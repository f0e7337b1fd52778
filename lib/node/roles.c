#include "node/roles.h"

#include <stdlib.h>

#include "base/mem.h"

#define ACTION(name) GFL__V1__MEMBERSHIP__ACTION__##name

static const struct {
	Gfl__V1__Membership__Action action;
	enum raft_member_role role;
} meaning[] = {
	{ACTION(PROMOTE), RAFT_VOTER},
	{ACTION(DEMOTE), RAFT_STANDBY},
	{ACTION(REMOVE), RAFT_NONE},
};

enum { MEANINGS = sizeof(meaning) / sizeof(meaning[0]) };

/* ---- what is asked for ---- */

bool roles_asked(const Gfl__V1__Entry *e)
{
	if (e->kind_case == GFL__V1__ENTRY__KIND_MEMBERSHIP)
		return true;
	return e->kind_case == GFL__V1__ENTRY__KIND_BATCH &&
	       e->batch->n_entries && roles_asked(e->batch->entries[0]);
}

static int read_one(struct raft_member *to, const Gfl__V1__Entry *e,
		    struct err *err)
{
	const Gfl__V1__Membership *c = e->membership;

	if (e->kind_case != GFL__V1__ENTRY__KIND_MEMBERSHIP)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "membership goes in a batch of its own");
	if (!c->member || c->member->id < 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a membership entry that names no member");
	for (int i = 0; i < MEANINGS; i++) {
		if (meaning[i].action != c->action)
			continue;
		*to = (struct raft_member){.id = c->member->id,
					   .role = meaning[i].role};
		return 0;
	}
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "by hand a member can be promoted, demoted or removed, "
		       "nothing else");
}

int roles_read(struct raft_member **to, size_t *n, const Gfl__V1__Entry *e,
	       struct err *err)
{
	bool many = e->kind_case == GFL__V1__ENTRY__KIND_BATCH;
	size_t count = many ? e->batch->n_entries : 1;
	int rc = 0;

	*n = 0;
	*to = mem_zero(count, sizeof(**to));
	for (size_t i = 0; i < count && !rc; i++, ++*n)
		rc = read_one(*to + i, many ? e->batch->entries[i] : e, err);
	if (rc)
		free(*to);
	return rc;
}

int roles_check(const Gfl__V1__Entry *e, struct err *err)
{
	struct raft_member *to;
	size_t n;
	int rc = roles_read(&to, &n, e, err);

	if (!rc)
		free(to);
	return rc;
}

/* ---- the account of it ---- */

struct line {
	Gfl__V1__Member member;
	Gfl__V1__Membership change;
	Gfl__V1__Entry entry;
};

static void write_line(struct line *l, const struct raft_member *to)
{
	gfl__v1__member__init(&l->member);
	gfl__v1__membership__init(&l->change);
	gfl__v1__entry__init(&l->entry);
	l->member.id = to->id;
	l->change.member = &l->member;
	for (int i = 0; i < MEANINGS; i++)
		if (meaning[i].role == to->role)
			l->change.action = meaning[i].action;
	l->entry.kind_case = GFL__V1__ENTRY__KIND_MEMBERSHIP;
	l->entry.membership = &l->change;
}

void *roles_pack(const struct raft_member *to, size_t n, size_t *len)
{
	struct line *line = mem_zero(n, sizeof(*line));
	Gfl__V1__Entry **list = mem_zero(n, sizeof(*list));
	Gfl__V1__Batch batch = GFL__V1__BATCH__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;
	uint8_t *bytes;

	for (size_t i = 0; i < n; i++) {
		write_line(&line[i], &to[i]);
		list[i] = &line[i].entry;
	}
	batch.n_entries = n;
	batch.entries = list;
	e.kind_case = GFL__V1__ENTRY__KIND_BATCH;
	e.batch = &batch;
	if (n == 1)
		e = line->entry;
	bytes = mem_zero(1, gfl__v1__entry__get_packed_size(&e) + 1);
	*len = gfl__v1__entry__pack(&e, bytes);
	free(list);
	free(line);
	return bytes;
}
