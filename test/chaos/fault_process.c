/* Faults of processes, and of who is a member. */
#include <signal.h>

#include "fault.h"

void fault_kill_leader(struct chaos *c)
{
	site_kill(fault_leader(c));
	fault_hold(c);
}

void fault_kill_follower(struct chaos *c)
{
	site_kill(fault_follower(c));
	fault_hold(c);
}

/* For so long that the others forget what it lacks: it gets a snapshot. */
void fault_away(struct chaos *c)
{
	site_kill(fault_follower(c));
	turn_for(c, 7000);
}

void fault_kill_majority(struct chaos *c)
{
	for (int n = 0; n <= c->nodes / 2; n++)
		site_kill(fault_anyone(c));
	fault_hold(c);
}

void fault_kill_all(struct chaos *c)
{
	for (int id = 1; id <= c->nodes; id++)
		site_kill(&c->site[id]);
}

static void pause_one(struct chaos *c, struct site *s)
{
	site_signal(s, SIGSTOP);
	fault_hold(c);
	site_signal(s, SIGCONT);
}

void fault_pause_leader(struct chaos *c)
{
	pause_one(c, fault_leader(c));
}

void fault_pause_follower(struct chaos *c)
{
	pause_one(c, fault_follower(c));
}

void fault_pause_all(struct chaos *c)
{
	for (int id = 1; id <= c->nodes; id++)
		site_signal(&c->site[id], SIGSTOP);
	fault_hold(c);
	for (int id = 1; id <= c->nodes; id++)
		site_signal(&c->site[id], SIGCONT);
}

/* ---- members ---- */

static void on_moved(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	(void)err, (void)out, (void)arg;
}

void fault_transfer(struct chaos *c)
{
	Gfl__V1__TransferRequest in = GFL__V1__TRANSFER_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = 2000};

	for (int n = 0; n < 3; n++) {
		in.to = site_other(c, site_leader(c));
		client_call(c->client, c->site[1].url, RPC_NODE_TRANSFER,
			    &in.base, &opts, on_moved, NULL);
		turn_for(c, fault_ms(c) / 2);
	}
}

static bool serves(struct chaos *c, void *arg)
{
	(void)c;
	return site_up(arg);
}

/* One more comes, works along, and leaves in order; it comes back as another
 * or as itself. */
void fault_churn(struct chaos *c)
{
	struct site *s = &c->site[c->sites];
	struct fault_target t = {.index = c->cursor, .id = c->sites};

	site_start(s, false);
	if (!turn_expect(c, serves, s, FAULT_WAIT_MS, "a new node serves") ||
	    !turn_expect(c, fault_has_applied, &t, FAULT_WAIT_MS,
			 "it has the log"))
		return;
	if (rand_below(&c->rand, 2))
		fault_kill_leader(c);
	fault_hold(c);
	site_all(c);
	s->dying = true;
	site_signal(s, SIGTERM);
	site_ends(s, 0, 0, "");
	if (rand_below(&c->rand, 2))
		disk_wipe(s);
}
