#include "plan/strategies.h"

#include <string.h>

const struct strategy strategies[] = {
	[STRATEGY_GOSSIP] = {.kind = STRATEGY_GOSSIP,
			     .name = "gossip",
			     .brief = "pairs average what the round's mask has",
			     .links = LINKS_PAIRS,
			     .needs_shared = true},
	[STRATEGY_DPSGD] = {.kind = STRATEGY_DPSGD,
			    .name = "dpsgd",
			    .brief = "a ring averages whole models",
			    .links = LINKS_RING,
			    .dense = true,
			    .needs_before = true},
	[STRATEGY_DCD] = {.kind = STRATEGY_DCD,
			  .name = "dcd",
			  .brief = "a ring, compressed differences",
			  .links = LINKS_RING,
			  .needs_shared = true,
			  .only_simulated = "a difference that is lost would "
					    "leave its models apart for good"},
	[STRATEGY_CHOCO] = {.kind = STRATEGY_CHOCO,
			    .name = "choco",
			    .brief = "a ring, compressed differences and a "
				     "step size",
			    .links = LINKS_RING,
			    .needs_shared = true},
	[STRATEGY_PSGD] = {.kind = STRATEGY_PSGD,
			   .name = "psgd",
			   .brief = "all average whole models after each step",
			   .links = LINKS_ALL,
			   .dense = true,
			   .barrier = true},
	[STRATEGY_FEDAVG] = {.kind = STRATEGY_FEDAVG,
			     .name = "fedavg",
			     .brief = "a server aggregates the whole models of "
				      "a sample",
			     .links = LINKS_SERVER,
			     .dense = true,
			     .barrier = true,
			     .only_simulated = "it needs a server: gfl-server"},
	{.name = NULL},
};

const struct strategy *strategies_find(const char *name)
{
	for (const struct strategy *s = strategies; s->name; s++)
		if (!strcmp(s->name, name))
			return s;
	return NULL;
}

const char *strategies_scheme(const struct strategy *s)
{
	return s->dense ? "dense" : "strat";
}

size_t strategies_phases(enum strategy_links links, size_t n)
{
	if (links == LINKS_PAIRS || n < 3)
		return 1;
	if (links == LINKS_RING)
		return 2 + n % 2;
	return n - 1 + n % 2;
}

double strategies_eta(const char *scheme, double keep)
{
	if (!strcmp(scheme, "dense"))
		return 1;
	if (!strcmp(scheme, "topk"))
		return keep < 1.0 / 3 ? 3 * keep : 1;
	return keep;
}

/* The phase of the ring's edge from i to the next: by turns, and, where the
 * number is odd, the last edge by itself. */
static size_t ring_phase(size_t n, size_t i)
{
	return n % 2 && i == n - 1 ? 2 : i % 2;
}

static int ring_mate(size_t n, size_t i, size_t phase)
{
	size_t left = (i + n - 1) % n;

	if (n == 2)
		return phase ? -1 : (int)left;
	if (ring_phase(n, i) == phase)
		return (int)((i + 1) % n);
	return ring_phase(n, left) == phase ? (int)left : -1;
}

/* The circle of a tournament: of an even number the last stands still, and
 * meets whom a phase leaves over. */
static int all_mate(size_t n, size_t i, size_t phase)
{
	size_t places = n - 1 + n % 2;
	size_t mate = (2 * phase + places - i) % places;

	if (n % 2 == 0 && i == n - 1)
		return (int)phase;
	if (mate != i)
		return (int)mate;
	return n % 2 ? -1 : (int)n - 1;
}

int strategies_mate(enum strategy_links links, size_t n, size_t i, size_t phase)
{
	if (n < 2)
		return -1;
	return links == LINKS_RING ? ring_mate(n, i, phase)
				   : all_mate(n, i, phase);
}

double strategies_weight(enum strategy_links links, size_t n)
{
	if (links == LINKS_PAIRS || n < 2)
		return 0.5;
	return 1 / (double)(links == LINKS_RING && n > 3 ? 3 : n);
}
