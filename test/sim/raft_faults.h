/* raft_faults.h - what goes wrong. A seed has some of these faults, and then
 * not others that would hide what these do (swarm testing: Groce and others,
 * 2012). */
#ifndef RAFT_FAULTS_H
#define RAFT_FAULTS_H

#include "raft_host.h"

static void heal(struct world *w)
{
	memset(w->cut, 0, sizeof(w->cut));
	memset(w->starved, 0, sizeof(w->starved));
	w->drop = w->dup = w->late = 0;
	w->delay_us = 1000;
}

static struct server *some_server(struct world *w)
{
	return &w->server[1 + chance(w, SERVERS)];
}

static struct server *some_leader(struct world *w)
{
	size_t first = chance(w, SERVERS);

	for (size_t i = 0; i < SERVERS; i++) {
		struct server *s = &w->server[1 + (first + i) % SERVERS];
		struct raft_status st;

		if (!s->r || s->woken)
			continue;
		raft_status(s->r, &st);
		if (st.role == RAFT_LEADER)
			return s;
	}
	return NULL;
}

/* A leader if there is one, half of the time. */
static struct server *victim(struct world *w)
{
	struct server *s = chance(w, 2) ? some_leader(w) : NULL;

	return s ? s : some_server(w);
}

static int64_t some_while(struct world *w)
{
	return (1 + (int64_t)chance(w, chance(w, 2) ? 20 : 600)) * MS;
}

/* ---- servers ---- */

static void fault_crash(struct world *w)
{
	server_crash(w, victim(w), w->now + some_while(w));
}

/* All at once. */
static void fault_power(struct world *w)
{
	for (int i = 1; i <= SERVERS; i++)
		server_crash(w, &w->server[i], w->now + some_while(w));
}

/* The rarer ones come in their time, and not to leaders. */
static void fault_point(struct world *w)
{
	enum point at = (enum point)(1 + chance(w, POINTS - 1));
	bool rare = at == POINT_PIECE || at == POINT_WHOLE;
	struct server *s = rare ? some_server(w) : victim(w);

	if (s->dies_at && chance(w, 6))
		return;
	s->dies_at = at;
	s->in = (unsigned)chance(w, rare ? 1 : at < POINT_TAKEN ? 30 : 3);
}

/* SIGSTOP: it does nothing, and its clock goes on. */
static void fault_pause(struct world *w)
{
	struct server *s = victim(w);

	if (!s->r || s->woken)
		return;
	s->woken = w->now +
		   (1 + (int64_t)chance(w, chance(w, 2) ? 300 : 3000)) * MS;
	w->t.pauses++;
}

static void fault_clock(struct world *w)
{
	struct server *s = some_server(w);
	int64_t jump = chance(w, 3) ? 0 : (int64_t)chance(w, 3000) - 500;

	clock_set(w, s, 700 + 100 * (int64_t)chance(w, 7), jump);
}

static void fault_disk(struct world *w)
{
	struct server *s = victim(w);

	s->write_us = 1000 + (int64_t)chance(w, chance(w, 2) ? 5000 : 300000);
	if (chance(w, 4) == 0)
		s->write_fails = true;
}

/* How many votes in the newest configuration on this disk, in the smaller half
 * of a joint one. */
static int disk_voters(const struct disk *d)
{
	const void *p = d->snap.conf;
	size_t len = d->snap.conf_len;
	struct raft_conf conf = {0};
	int now = 0, old = 0;

	for (size_t i = 0; i < d->n; i++)
		if (d->e[i].type == RAFT_CONFIG) {
			p = d->e[i].conf;
			len = d->e[i].conf_len;
		}
	if (!len || raft_conf_decode(&conf, p, len, NULL))
		return 0;
	for (int i = 0; i < conf.n; i++) {
		now += conf.member[i].role == RAFT_VOTER;
		old += conf.member[i].old;
	}
	if (raft_conf_joint(&conf) && old < now)
		now = old;
	raft_conf_release(&conf);
	return now;
}

/* A disk loses entries of any age, or all, one server's at a time. Of two
 * voters the other might be stuck for good: what it lacks, this one may have
 * acknowledged. */
static void fault_rot(struct world *w)
{
	struct server *s = victim(w);
	struct disk *d = &s->disk;
	int64_t after;

	for (int i = 1; i <= SERVERS; i++)
		if (w->server[i].disk.floor_index)
			return;
	server_crash(w, s, w->now + some_while(w));
	if (disk_voters(d) < 3)
		return;
	after = disk_last(d) - d->snap.index;
	disk_rot(d,
		 after > 0 && chance(w, 4)
			 ? d->snap.index + (int64_t)chance(w, (uint64_t)after)
			 : 0);
	w->t.rots++;
}

/* ---- the network ---- */

static void fault_partition(struct world *w)
{
	unsigned side = (unsigned)chance(w, 1 << (SERVERS + 1));
	bool both = chance(w, 2);

	memset(w->cut, 0, sizeof(w->cut));
	for (int a = 1; a <= SERVERS; a++)
		for (int b = 1; b <= SERVERS; b++)
			w->cut[a][b] = (side >> a & 1) != (side >> b & 1) &&
				       (both || (side >> a & 1));
}

/* Each link by itself, one way: some servers hear each other over a third. */
static void fault_link(struct world *w)
{
	for (int i = 0; i < SERVERS; i++)
		w->cut[1 + chance(w, SERVERS)][1 + chance(w, SERVERS)] =
			chance(w, 3) > 0;
}

static void fault_loss(struct world *w)
{
	w->drop = (unsigned)(chance(w, 3) ? chance(w, 50) : chance(w, 400));
	w->dup = (unsigned)chance(w, 200);
	w->late = (unsigned)chance(w, 30);
	w->delay_us = 500 + (int64_t)chance(w, chance(w, 3) ? 5000 : 100000);
}

/* Bulk takes another way than what is small. */
static void fault_starve(struct world *w)
{
	w->starved[some_server(w)->id] = true;
}

static void fault_heal(struct world *w)
{
	heal(w);
}

/* ---- what people do ---- */

/* A voter goes or becomes a standby; who is new gets no vote at first. */
static enum raft_member_role other_role(struct world *w,
					enum raft_member_role was)
{
	if (was == RAFT_VOTER)
		return (enum raft_member_role)(chance(w, 2) * 2);
	if (was == RAFT_NONE || chance(w, 4) == 0)
		return (enum raft_member_role)(2 + chance(w, 2));
	return RAFT_VOTER;
}

/* One member or a few, who follow each other in some order. */
static void fault_member(struct world *w)
{
	struct server *s = some_leader(w);
	struct raft_member to[4];
	struct raft_entry e = {0};
	struct raft_status before, st;
	int64_t id = 1 + (int64_t)chance(w, SERVERS), index, term;
	size_t n = chance(w, 2) ? 1 : 2 + chance(w, 3);
	struct err err;

	if (!s)
		return;
	raft_status(s->r, &before);
	for (size_t i = 0; i < n; i++, id = id % SERVERS + 1)
		to[i] = (struct raft_member){
			.id = id,
			.role = other_role(w,
					   raft_conf_role(raft_conf(s->r), id)),
		};
	if (!raft_change_many(s->r, local_ms(w, s), to, n, &e, &index, &term,
			      &err)) {
		raft_status(s->r, &st);
		w->t.changes++;
		w->t.joints += st.joint;
		if (!before.committed_in_term && !w->lenient)
			broken(w,
			       "configuration: server %" PRId64
			       " changes it without a commit in its term",
			       s->id);
	}
	drain(w, s);
}

static void fault_transfer(struct world *w)
{
	struct server *s = some_leader(w);
	int64_t to = chance(w, 2) ? 0 : 1 + (int64_t)chance(w, SERVERS);
	struct err err;

	if (!s || raft_transfer(s->r, local_ms(w, s), to, &err))
		return;
	w->t.transfers++;
	drain(w, s);
}

/* Many entries at once, that nobody waits for; the leader may be one that is
 * none any more. */
static void fault_burst(struct world *w)
{
	struct server *s = some_leader(w);
	size_t n = 1 + chance(w, 40);
	struct raft_entry e[40] = {0};
	int64_t index, term;
	struct err err;

	if (!s)
		return;
	for (size_t i = 0; i < n; i++)
		e[i] = (struct raft_entry){
			.type = RAFT_NORMAL, .data = "burst", .len = 5};
	if (!raft_propose(s->r, local_ms(w, s), e, n, &index, &term, &err))
		drain(w, s);
}

static void fault_snapshot(struct world *w)
{
	struct server *s = some_server(w);

	if (s->r && !s->woken && !s->failed && !raft_sends_snapshot(s->r))
		job_snapshot(w, s,
			     s->machine.index + 1 - (int64_t)chance(w, 20));
}

/* ---- all of it ---- */

static const struct {
	void (*happen)(struct world *w);
	unsigned weight;
} fault_kinds[] = {
	{fault_crash, 3},     {fault_power, 1},  {fault_point, 5},
	{fault_pause, 1},     {fault_clock, 1},  {fault_disk, 2},
	{fault_partition, 2}, {fault_link, 1},   {fault_loss, 1},
	{fault_heal, 3},      {fault_member, 4}, {fault_transfer, 2},
	{fault_snapshot, 1},  {fault_starve, 1}, {fault_burst, 2},
	{fault_rot, 1},
};

enum { FAULTS = sizeof(fault_kinds) / sizeof(fault_kinds[0]) };

static void fault(struct world *w)
{
	uint64_t all = 0, which;
	size_t i = 0;

	w->next_fault = w->now + (1 + (int64_t)chance(w, w->fault_gap_ms)) * MS;
	for (size_t k = 0; k < FAULTS; k++)
		all += w->faults >> k & 1 ? fault_kinds[k].weight : 0;
	if (!all)
		return;
	which = chance(w, all);
	for (;; i++) {
		unsigned own = w->faults >> i & 1 ? fault_kinds[i].weight : 0;

		if (which < own)
			break;
		which -= own;
	}
	note(w, w->now, (int64_t)i);
	fault_kinds[i].happen(w);
}

static void calm_down(struct world *w)
{
	w->calm = true;
	heal(w);
	for (int i = 1; i <= SERVERS; i++) {
		struct server *s = &w->server[i];

		clock_set(w, s, 1000, 0);
		s->write_us = 1000;
		s->write_fails = false;
		s->dies_at = POINT_NONE;
		if (s->woken)
			s->woken = w->now;
		if (s->failed)
			s->dies = w->now;
		if (!s->r || s->failed)
			s->back = w->now;
	}
}

#endif
