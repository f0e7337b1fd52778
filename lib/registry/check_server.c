/* Is a server of rounds well, and who trains for it, or takes part? */
#include <inttypes.h>
#include <string.h>

#include "registry/active.h"
#include "registry/check_impl.h"

/* What is said of a server of rounds: with words for whom it has. */
static const char *noun(const Gfl__V1__FlStatus *s)
{
	return strcmp(s->mode, "participants") ? "client" : "participant";
}

/* Logical clients that are there, and processes that were and are gone. */
static void count_clients(const Gfl__V1__FlStatus *s, int64_t *here,
			  int64_t *gone)
{
	*here = (int64_t)s->n_participants;
	*gone = 0;
	for (size_t i = 0; i < s->n_clients; i++) {
		const bool away = !strcmp(s->clients[i]->state, "gone");

		*here += away ? 0 : s->clients[i]->logical;
		*gone += away;
	}
}

static void say_of_clients(struct probe *p, const Gfl__V1__FlStatus *s,
			   int64_t here, int64_t gone)
{
	const bool ends = !strncmp(s->state, "end", 3);

	probe_say(p,
		  here < s->needed && !ends ? PROBE_CRITICAL
		  : gone && !ends           ? PROBE_WARNING
					    : PROBE_OK,
		  "%" PRId64 " %s%s here, %" PRId64 " needed, %" PRId64 " gone",
		  here, noun(s), here == 1 ? "" : "s", s->needed, gone);
	check_add(p, "clients",
		  "Logical clients, or participants, that are there.",
		  (double)here);
	check_add(p, "gone", "Clients that were there, and are gone.",
		  (double)gone);
}

/* It is well, where another one leads; of all servers one has to. */
static void say_of_standby(struct probe *p, const Gfl__V1__FlStatus *s,
			   size_t asked)
{
	struct err err;

	active_standby(s, &err);
	probe_say(p,
		  asked > 1    ? PROBE_CRITICAL
		  : *s->active ? PROBE_OK
			       : PROBE_WARNING,
		  "%s", err.msg);
}

/* A round that ends late has its deadline; one that is repeated, some. */
void check_server(const struct check_opts *o, struct probe *p)
{
	const struct active whom = {&o->client, &o->servers};
	struct probe_figure f = {
		.name = "round_age",
		.help = "Since a round ended, or since the server was started.",
		.unit = PROBE_SECONDS,
	};
	int64_t here, gone;
	Gfl__V1__FlStatus *s;
	struct err err;

	if (active_look(&whom, &s, &err)) {
		probe_fail(p, PROBE_CRITICAL, &err);
		return;
	}
	if (active_stands_by(s)) {
		say_of_standby(p, s, o->servers.n);
		rpc_free(&s->base);
		return;
	}
	f.value = (double)s->quiet_ms / 1000;
	f.warn = 2 * (double)s->deadline_ms / 1000;
	f.crit = 10 * (double)s->deadline_ms / 1000;
	check_bounds(o, &f);
	count_clients(s, &here, &gone);
	if (s->round)
		probe_say(p, probe_most(f.value, f.warn, f.crit),
			  "round %" PRId64 " ended %.0f s ago, %s", s->round,
			  f.value, s->state);
	else
		probe_say(p, probe_most(f.value, f.warn, f.crit),
			  "no round has ended for %.0f s, %s", f.value,
			  s->state);
	say_of_clients(p, s, here, gone);
	probe_add(p, &f);
	check_add(p, "round", "Rounds that have ended.", (double)s->round);
	check_add(p, "missed", "Updates that were owed and did not come.",
		  (double)s->missed);
	check_add(p, "void", "Rounds that had to be repeated.",
		  (double)s->voided);
	rpc_free(&s->base);
}
