/* Faults of the paths between nodes. */
#include "fault.h"

/* A leader that follows nobody's answers: it has to step down. */
void fault_unheard_leader(struct chaos *c)
{
	int id = site_leader(c);

	for (int to = 1; to <= c->nodes; to++)
		if (to != id)
			net_cut(c, id, to);
	fault_hold(c);
	net_heal(c);
}

void fault_deaf_leader(struct chaos *c)
{
	int id = site_leader(c);

	for (int from = 1; from <= c->nodes; from++)
		if (from != id)
			net_cut(c, from, id);
	fault_hold(c);
	net_heal(c);
}

void fault_cut_off_leader(struct chaos *c)
{
	int id = site_leader(c);

	for (int other = 1; other <= c->nodes; other++)
		if (other != id)
			net_cut_both(c, id, other);
	fault_hold(c);
	net_heal(c);
}

/* Two nodes hear a third, and not each other. */
void fault_bridge(struct chaos *c)
{
	int id = site_other(c, 0), other = site_other(c, id);

	net_cut_both(c, id, other);
	fault_hold(c);
	net_heal(c);
}

void fault_nobody_hears(struct chaos *c)
{
	for (int one = 1; one <= c->nodes; one++)
		for (int other = 1; other < one; other++)
			net_cut_both(c, one, other);
	fault_hold(c);
	net_heal(c);
}

void fault_link_down(struct chaos *c)
{
	int id = site_leader(c);

	net_link(c, id, false);
	fault_hold(c);
	net_link(c, id, true);
}

void fault_loss(struct chaos *c)
{
	for (int id = 1; id <= c->nodes; id++)
		net_loss(c, id, 30);
	turn_for(c, 2 * fault_ms(c));
	net_heal(c);
}

void fault_resets(struct chaos *c)
{
	int id = site_leader(c);

	for (int n = 0; n < 3; n++) {
		for (int from = 1; from <= c->nodes; from++)
			if (from != id)
				net_reset(c, from, id);
		turn_for(c, 100);
		net_heal(c);
		turn_for(c, 200);
	}
}

void fault_delay(struct chaos *c)
{
	net_late(c, 40 + (int64_t)rand_below(&c->rand, 80));
	turn_for(c, 2 * fault_ms(c));
	net_heal(c);
}
