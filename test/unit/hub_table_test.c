#include <stdlib.h>

#include "test.h"

#include "base/log.h"
#include "fl/hub_impl.h"

static struct hub *hub_of(int64_t max_clients)
{
	struct hub *h = calloc(1, sizeof(*h));

	log_setup("test", LEVEL_ERROR, false);

	h->opts.max_clients = max_clients;
	return h;
}

static struct peer from(const char *address)
{
	struct peer p = {.trust = PEER_LOOPBACK};

	str_copy(p.addr, sizeof(p.addr), address);
	return p;
}

/* One that sets up, and has asked for work if it is to. */
static struct hub_client *enter(struct hub *h, int n, const char *address,
				size_t logical, bool asks)
{
	const struct peer p = from(address);
	struct hub_client *c;
	char id[STR_ID];
	struct err err;

	snprintf(id, sizeof(id), "%032d", n);
	h->sweep_ms = 0;
	if (hub_table_admit(h, &c, id, logical, &p, &err)) {
		CHECK_INT(err.code, ERR_RESOURCE_EXHAUSTED);
		return NULL;
	}
	hub_table_host(c, logical, &p);
	hub_client_heard(c);
	if (asks)
		hub_table_asked(c);
	return c;
}

static bool is_there(struct hub *h, int64_t id)
{
	struct hub_client *c;

	HASH_FIND(hh, h->clients, &id, sizeof(id), c);
	return c;
}

static void drop(struct hub *h)
{
	hub_table_close(h);
	CHECK(!h->sources && !h->silent && !h->hosted);
	free(h);
}

TEST(who_has_asked_for_nothing_goes_first_the_oldest_before)
{
	struct hub *h = hub_of(3);

	enter(h, 1, "10.0.0.1", 1, true);
	enter(h, 2, "10.0.0.1", 1, false);
	enter(h, 3, "10.0.0.2", 1, false);
	CHECK(enter(h, 4, "10.0.0.1", 1, false));
	CHECK(is_there(h, 1) && !is_there(h, 2) && is_there(h, 3));
	CHECK(enter(h, 3, "10.0.0.2", 1,
		    false)); /* it is there: no other goes */
	CHECK(enter(h, 5, "10.0.0.1", 1, false));
	CHECK(is_there(h, 1) && is_there(h, 3) && !is_there(h, 4));
	CHECK_INT(h->forgotten, 2);
	drop(h);
}

TEST(then_who_is_not_there_but_none_of_whom_an_update_was_taken)
{
	struct hub *h = hub_of(3);
	struct hub_client *known = enter(h, 1, "10.0.0.1", 1, true);
	struct hub_client *away = enter(h, 2, "10.0.0.1", 1, true);
	struct hub_client *busy = enter(h, 3, "10.0.0.1", 1, true);

	hub_table_know(known);
	hub_client_here(known, false, "test");
	hub_client_here(away, false, "test");
	busy->jobs = 1; /* an update of it is looked at */
	hub_client_here(busy, false, "test");
	CHECK(enter(h, 4, "10.0.0.1", 1, true));
	CHECK(is_there(h, 1) && !is_there(h, 2) && is_there(h, 3));
	CHECK(!enter(h, 5, "10.0.0.1", 1, true));
	CHECK(is_there(h, 4));
	busy->jobs = 0;
	CHECK(enter(h, 5, "10.0.0.1", 1, true));
	CHECK(is_there(h, 1) && !is_there(h, 3));
	drop(h);
}

TEST(a_newcomer_takes_the_place_of_one_from_where_most_are)
{
	struct hub *h = hub_of(4);

	for (int i = 1; i <= 4; i++)
		enter(h, i, "10.0.0.1", 1, true)->seen_ms = 100 - i;
	CHECK(!enter(h, 5, "10.0.0.1", 1, true)); /* would have more itself */
	CHECK(enter(h, 6, "10.0.0.2", 1, true));
	CHECK(is_there(h, 1) && is_there(h, 3) && !is_there(h, 4));
	CHECK(enter(h, 7, "10.0.0.2", 1, true));
	CHECK(!is_there(h, 3)); /* now it is two to two */
	CHECK(!enter(h, 8, "10.0.0.2", 1, true));
	CHECK(!enter(h, 9, "10.0.0.1", 1, true));
	drop(h);
}

TEST(an_ipv6_network_counts_as_one_address)
{
	struct hub *h = hub_of(3);

	enter(h, 1, "2001:db8:0:1::1", 1, true);
	enter(h, 2, "2001:db8:0:1:ffff::2", 1, true);
	enter(h, 3, "2001:db8:0:2::1", 1, true);
	CHECK_INT(HASH_COUNT(h->sources), 2);
	CHECK(!enter(h, 4, "2001:db8:0:1::3", 1, true));
	CHECK(enter(h, 5, "2001:db8:0:3::1", 1, true));
	CHECK(is_there(h, 3));
	drop(h);
}

TEST(who_hosts_many_logical_clients_makes_way_for_who_hosts_few)
{
	struct hub *h = hub_of(1000);

	for (int i = 0; i < HUB_HOSTED_MAX / HUB_LOGICAL_MAX; i++)
		CHECK(enter(h, i + 1, "10.0.0.1", HUB_LOGICAL_MAX, true));
	CHECK_INT(h->hosted, HUB_HOSTED_MAX);
	CHECK(enter(h, 1000, "10.0.0.2", 10, true));
	CHECK_INT(h->hosted, HUB_HOSTED_MAX - HUB_LOGICAL_MAX + 10);
	drop(h);
}

TEST(who_holds_no_request_is_gone_after_the_silence_that_was_asked_for)
{
	struct hub *h = hub_of(10);
	struct hub_client *c = enter(h, 1, "10.0.0.1", 1, true);

	h->opts.silence_ms = 7000;
	hub_clients_tick(h, c->seen_ms + 6999);
	CHECK(c->here);
	hub_clients_tick(h, c->seen_ms + 7000);
	CHECK(!c->here);
	c->active = true; /* an active one may be silent while it trains */
	hub_client_here(c, true, "test");
	c->given.id = 1;
	c->given.open = 1;
	hub_clients_tick(h, c->seen_ms + 7000);
	CHECK(c->here);
	c->given.open = 0;
	hub_clients_tick(h, c->seen_ms + 7000);
	CHECK(!c->here);
	drop(h);
}

TEST(a_sweep_is_not_made_for_each_newcomer)
{
	struct hub *h = hub_of(1);
	const struct peer p = from("10.0.0.1");
	struct hub_client *c = enter(h, 1, "10.0.0.1", 1, true);
	struct err err;

	hub_client_here(c, false, "test");
	h->sweep_ms = INT64_MAX;
	CHECK_INT(hub_table_admit(h, &c, "00000000000000000000000000000002", 1,
				  &p, &err),
		  ERR_RESOURCE_EXHAUSTED);
	CHECK_HAS(err.msg, "max-clients 1");
	drop(h);
}
