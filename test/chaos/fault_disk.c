/* Faults of disks. */
#include <errno.h>
#include <signal.h>

#include "fault.h"

enum { SPARE = 200000 }; /* bytes left on a disk that fills up */

void fault_power_one(struct chaos *c)
{
	struct site *s =
		rand_below(&c->rand, 2) ? fault_leader(c) : fault_follower(c);

	site_kill(s);
	disk_lose_power(s);
	fault_hold(c);
}

void fault_power_all(struct chaos *c)
{
	for (int id = 1; id <= c->nodes; id++)
		site_signal(&c->site[id], SIGSTOP); /* all at once */
	fault_kill_all(c);
	for (int id = 1; id <= c->nodes; id++)
		disk_lose_power(&c->site[id]);
}

void fault_slow_sync(struct chaos *c)
{
	struct site *s = fault_leader(c);

	s->power->sync_ms = 20 + (int)rand_below(&c->rand, 100);
	fault_hold(c);
	s->power->sync_ms = 0;
}

/* Its last words name the file; then it starts from what its disk has. */
static void fails(struct chaos *c, volatile int32_t *fault, int number,
		  struct site *s)
{
	s->dying = true;
	*fault = number;
	site_ends(s, 70, 7, "node.db");
	*fault = 0;
	if (rand_below(&c->rand, 2))
		disk_lose_power(s);
	fault_hold(c);
}

void fault_sync_fails(struct chaos *c)
{
	struct site *s =
		rand_below(&c->rand, 2) ? fault_leader(c) : fault_follower(c);

	fails(c, &s->power->sync_errno, EIO, s);
}

void fault_write_fails(struct chaos *c)
{
	struct site *s = fault_anyone(c);

	fails(c, &s->power->write_errno, rand_below(&c->rand, 2) ? EIO : EROFS,
	      s);
}

void fault_disk_full(struct chaos *c)
{
	struct site *s = fault_anyone(c);

	site_kill(s);
	disk_fill(s, SPARE);
	site_start(s, false);
	s->dying = true;
	site_ends(s, 7, 7, "full");
	fault_hold(c);
	disk_free(s);
}

void fault_read_only(struct chaos *c)
{
	struct site *s = fault_anyone(c);

	site_kill(s);
	disk_read_only(s, true);
	site_start(s, false);
	s->dying = true;
	site_ends(s, 7, 7, "read-only");
	fault_hold(c);
	disk_read_only(s, false);
}

/* The harness has to see it. */
static void lose_lied(struct chaos *c, enum power_lie lie)
{
	for (int id = 1; id <= c->nodes; id++)
		c->site[id].power->ignores_sync = lie;
	turn_for(c, 3 * fault_ms(c));
	fault_power_all(c);
	for (int id = 1; id <= c->nodes; id++)
		c->site[id].power->ignores_sync = POWER_HONEST;
}

void fault_lying_disks(struct chaos *c)
{
	lose_lied(c, POWER_LIES);
}

void fault_lying_wal(struct chaos *c)
{
	lose_lied(c, POWER_LIES_OF_WAL);
}

/* ---- damage ---- */

/* It has what it needs from the others; what it may not do is to end, or to go
 * on with what is wrong. */
void fault_flip_stopped(struct chaos *c)
{
	struct site *s = fault_anyone(c);

	site_kill(s);
	if (disk_flip(s))
		site_start(s, false);
}

/* What it has in memory is whole; the file is found when it starts again. */
void fault_flip_running(struct chaos *c)
{
	struct site *s = fault_anyone(c);

	if (!disk_flip_running(s))
		return;
	fault_hold(c);
	site_kill(s);
	site_start(s, false);
}

/* Of a young cluster there is none yet. */
void fault_flip_snapshot(struct chaos *c)
{
	struct site *s = fault_anyone(c);

	site_kill(s);
	if (disk_flip_snapshot(s))
		site_start(s, false);
}

static bool serves_or_ended(struct chaos *c, void *arg)
{
	(void)c;
	return !((struct site *)arg)->process || site_up(arg);
}

/* It may refuse, but in words: nothing makes it crash. */
static void check_end(struct chaos *c, const struct site *s)
{
	struct err err;

	if (s->process || (s->status > 0 && s->status < 128))
		return;
	err_set(&err, ERR_INTERNAL, "%s: node %d ended with status %d",
		c->doing, s->id, s->status);
	chaos_fail(c, &err);
}

/* Whatever it is, what the node then shows is right. It goes on with another
 * file: not all that is in this one is checked. */
void fault_flip_anywhere(struct chaos *c)
{
	struct site *s = fault_anyone(c);

	site_kill(s);
	disk_flip_anywhere(s);
	site_start(s, false);
	s->dying = true;
	if (!turn_expect(c, serves_or_ended, s, FAULT_WAIT_MS,
			 "the node serves or ends"))
		return;
	fault_hold(c);
	check_end(c, s);
	site_kill(s);
	disk_wipe(s);
	site_start(s, false);
}
