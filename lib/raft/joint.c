/* joint.c - several servers at once, by way of a configuration that needs the
 * majorities of both the old and the new one (Raft 6, Diss. 4.3). */
#include "core.h"

#include <string.h>

static void set_role(struct raft_conf *conf, const struct raft_member *to)
{
	int at = 0;

	while (at < conf->n && conf->member[at].id < to->id)
		at++;
	if (at == conf->n || conf->member[at].id != to->id) {
		memmove(conf->member + at + 1, conf->member + at,
			(size_t)(conf->n - at) * sizeof(*to));
		conf->n++;
	}
	conf->member[at] = (struct raft_member){.id = to->id, .role = to->role};
}

/* How many servers get or lose a vote. */
static int votes_moved(const struct raft_conf *now,
		       const struct raft_member *to, size_t n)
{
	int moved = 0;

	for (size_t i = 0; i < n; i++)
		moved += (raft_conf_role(now, to[i].id) == RAFT_VOTER) !=
			 (to[i].role == RAFT_VOTER);
	return moved;
}

/* Who has no role is no member, unless it has a vote in C_old. */
static void drop_removed(struct raft_conf *conf)
{
	int kept = 0;

	for (int i = 0; i < conf->n; i++)
		if (conf->member[i].role != RAFT_NONE || conf->member[i].old)
			conf->member[kept++] = conf->member[i];
	conf->n = kept;
}

/* What to append for these changes: the new configuration if its majorities
 * meet those of the present one anyhow, C_old,new otherwise. */
struct raft_conf raft_conf_changed(const struct raft_conf *now,
				   const struct raft_member *to, size_t n)
{
	struct raft_conf conf = {.n = now->n};
	bool joint = votes_moved(now, to, n) > 1 &&
		     !RAFT_BUG(RAFT_BUG_MANY_WITHOUT_JOINT);

	conf.member = mem_zero((size_t)now->n + n, sizeof(*conf.member));
	memcpy(conf.member, now->member, (size_t)now->n * sizeof(*now->member));
	for (size_t i = 0; i < n; i++)
		set_role(&conf, &to[i]);
	for (int i = 0; i < conf.n; i++)
		conf.member[i].old =
			joint &&
			raft_conf_role(now, conf.member[i].id) == RAFT_VOTER;
	drop_removed(&conf);
	return conf;
}

/* C_old,new is committed, so no majority of C_old alone can decide anything
 * any more: C_new follows. */
void raft_joint_leave(struct raft *r)
{
	const struct raft_conf *joint = raft_conf(r);
	const struct raft_entry none = {0};
	struct raft_conf conf = {.n = joint->n};

	conf.member = mem_dup(joint->member,
			      (size_t)joint->n * sizeof(*joint->member));
	for (int i = 0; i < conf.n; i++)
		conf.member[i].old = false;
	drop_removed(&conf);
	raft_conf_append(r, &conf, &none);
	raft_conf_release(&conf);
}
