#include "test.h"

#include "base/str.h"
#include "registry/lease.h"

static const struct lease_config config = {
	.lease_ms = 100, .forget_ms = 1000, .grant_ms = 30, .grants = true};

static const char one[] = "11111111111111111111111111111111";
static const char two[] = "22222222222222222222222222222222";
static const char ours[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char other[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

static struct err err;

static int put_at(struct lease *l, int64_t id, const char *url,
		  const char *instance, const char *cluster, int64_t now_ms,
		  struct lease_admission *a)
{
	struct member who = {.id = id, .url = (char *)(uintptr_t)url};

	str_copy(who.instance, sizeof(who.instance), instance);
	str_copy(who.cluster, sizeof(who.cluster), cluster);
	return lease_register(l, &who, now_ms, 0, a, &err);
}

static int put(struct lease *l, int64_t id, const char *instance,
	       const char *cluster, int64_t now_ms, struct lease_admission *a)
{
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%c", *instance);
	return put_at(l, id, url, instance, cluster, now_ms, a);
}

static bool beat(struct lease *l, int64_t id, const char *instance,
		 const char *role, int64_t now_ms, int64_t wall_ms,
		 bool *changed)
{
	return lease_heartbeat(l, &(struct lease_beat){id, instance, role, ""},
			       now_ms, wall_ms, changed);
}

TEST(lease_gives_the_lowest_free_id_and_keeps_an_instance_to_one)
{
	struct lease_admission a;
	struct lease l;

	lease_init(&l, &config);
	CHECK(!put(&l, 2, "", "", 0, &a) && a.member->id == 2);
	CHECK(!put(&l, 0, one, "", 0, &a) && a.member->id == 1);
	CHECK(!put(&l, 0, two, "", 0, &a) && a.member->id == 3);
	CHECK(!put(&l, 0, one, "", 0, &a) && a.member->id == 1 && !a.is_new);
	CHECK(!put(&l, 9, one, "", 0, &a) && a.dropped == 1);
	CHECK_INT(lease_count(&l, true), 3);
	lease_release(&l);
}

TEST(lease_names_the_foreign_cluster_rather_than_the_id_that_is_taken)
{
	struct lease_admission a;
	struct lease l;

	lease_init(&l, &config);
	CHECK(!put(&l, 1, one, ours, 0, &a));
	CHECK(put(&l, 1, two, other, 0, &a) == ERR_FAILED_PRECONDITION);
	CHECK_HAS(err.msg, ours);
	CHECK_HAS(err.msg, other);
	lease_release(&l);
}

TEST(lease_refuses_the_id_of_a_live_other_instance_until_it_is_dead)
{
	struct lease_admission a;
	struct lease l;

	lease_init(&l, &config);
	CHECK(!put(&l, 1, one, "", 0, &a));
	CHECK(put(&l, 1, two, "", 50, &a) == ERR_ALREADY_EXISTS);
	lease_find(&l, 1)->alive = false;
	CHECK(!put(&l, 1, two, "", 50, &a));
	CHECK(put(&l, -1, two, "", 50, &a) == ERR_INVALID_ARGUMENT);
	lease_release(&l);
}

/* Two cannot listen at one address: the holder is gone. */
TEST(lease_gives_an_id_to_who_is_at_its_holders_address)
{
	struct lease_admission a;
	struct lease l;

	lease_init(&l, &config);
	CHECK(!put_at(&l, 1, "http://127.0.0.1:1", one, "", 0, &a));
	CHECK(!put_at(&l, 1, "http://127.0.0.1:1", two, "", 50, &a));
	CHECK(put_at(&l, 1, "http://127.0.0.1:2", one, "", 50, &a) ==
	      ERR_ALREADY_EXISTS);
	lease_release(&l);
}

TEST(lease_grants_one_bootstrap_and_passes_it_on_when_it_ends)
{
	struct lease_admission a;
	struct lease l;

	lease_init(&l, &config);
	CHECK(!put(&l, 1, one, "", 0, &a) && a.bootstrap && a.grant_ms == 30);
	CHECK(!put(&l, 2, two, "", 29, &a) && !a.bootstrap);
	CHECK(!put(&l, 2, two, "", 30, &a) && a.bootstrap);
	CHECK(lease_confirm(&l, 1, one, ours, 31, &err) ==
	      ERR_FAILED_PRECONDITION);
	CHECK(lease_confirm(&l, 2, two, ours, 60, &err) ==
	      ERR_FAILED_PRECONDITION);
	CHECK_HAS(err.msg, "ended before it was confirmed");
	CHECK(!put(&l, 2, two, "", 61, &a) && a.bootstrap);
	CHECK(!lease_confirm(&l, 2, two, ours, 90, &err));
	CHECK(!lease_confirm(&l, 2, two, ours, 990, &err));
	CHECK(lease_confirm(&l, 1, one, other, 62, &err) ==
	      ERR_FAILED_PRECONDITION);
	CHECK(!put(&l, 1, one, "", 99, &a) && !a.bootstrap);
	lease_release(&l);
}

TEST(lease_never_spends_the_grant_on_a_client_without_instance)
{
	struct lease_admission a;
	struct lease l;

	lease_init(&l, &config);
	CHECK(!put(&l, 1, "", "", 0, &a) && a.bootstrap && !a.grant_ms);
	CHECK(!put(&l, 5, "", "", 0, &a) && !a.bootstrap);
	CHECK(!put(&l, 2, two, "", 0, &a) && a.bootstrap && a.grant_ms);
	lease_release(&l);
}

TEST(lease_adopts_the_first_cluster_and_refuses_another_by_name)
{
	struct lease_admission a;
	struct lease l;

	lease_init(&l, &config);
	CHECK(!put(&l, 1, one, ours, 0, &a) && !a.bootstrap);
	CHECK(put(&l, 2, two, other, 0, &a) == ERR_FAILED_PRECONDITION);
	CHECK_HAS(err.msg, ours);
	CHECK_HAS(err.msg, other);
	CHECK_INT(lease_count(&l, false), 1);
	lease_release(&l);
}

static void count(struct member *who, bool gone, void *arg)
{
	int *seen = arg;

	(void)who;
	seen[gone]++;
}

TEST(lease_ends_for_the_silent_and_forgets_them_later)
{
	struct lease_admission a;
	int seen[2] = {0};
	bool changed;
	struct lease l;

	lease_init(&l, &config);
	CHECK(!put(&l, 1, one, "", 0, &a) && !put(&l, 2, two, "", 0, &a));
	CHECK_INT(lease_deadline(&l), 100);
	CHECK(beat(&l, 1, one, "voter", 60, 0, &changed) && changed);
	CHECK(!beat(&l, 1, two, "", 60, 0, &changed));
	CHECK(!beat(&l, 7, "", "", 60, 0, &changed));
	lease_expire(&l, 100, count, seen);
	CHECK(seen[0] == 1 && !lease_find(&l, 2)->alive);
	CHECK(beat(&l, 2, two, "", 110, 0, &changed) && changed);
	lease_expire(&l, 500, count, seen);
	CHECK(seen[0] == 3 && seen[1] == 0);
	lease_expire(&l, 1500, count, seen);
	CHECK(seen[1] == 2 && lease_count(&l, false) == 0);
	CHECK(lease_deadline(&l) == INT64_MAX);
	lease_release(&l);
}

TEST(lease_takes_no_leader_of_a_lower_term)
{
	struct lease_admission a;
	struct lease l;
	bool changed;

	lease_init(&l, &config);
	CHECK(!put(&l, 1, one, "", 0, &a) && !put(&l, 2, two, "", 0, &a));
	CHECK(lease_lead(&l, 3, 1) == -1);
	CHECK(lease_lead(&l, 1, 0) == 1 && lease_lead(&l, 2, 0) == 1);
	CHECK(lease_lead(&l, 1, 5) == 1);
	CHECK(lease_lead(&l, 2, 4) == 0 && lease_lead(&l, 2, 5) == 0);
	CHECK(l.leader == 1 && l.term == 5);
	CHECK(beat(&l, 1, one, "leader", 1, 1, &changed));
	CHECK(lease_lead(&l, 2, 6) == 1);
	CHECK_STR(lease_find(&l, 1)->role, "voter");
	CHECK(lease_lead(&l, 1, 7) == 1);
	CHECK(!lease_remove(&l, 1, two) && lease_remove(&l, 1, one));
	CHECK(l.leader == 0 && l.term == 7);
	lease_release(&l);
}

/* A lease whose owner keeps the time, at 1000; its tick is 12 ms. */
static void open_awake(struct lease *l)
{
	struct lease_admission a;

	lease_init(l, &config);
	lease_awake(l, 1000);
	CHECK(!put(l, 1, one, "", 1000, &a) && a.grant_ms == 30);
	CHECK_INT(lease_deadline(l), 1100);
	CHECK_INT(lease_tick_ms(l), 12);
}

TEST(lease_does_not_count_our_own_sleep_against_the_others)
{
	int seen[2] = {0};
	struct lease l;

	open_awake(&l);
	lease_awake(&l, 11000);
	lease_expire(&l, 11000, count, seen);
	CHECK_INT(seen[0], 0);
	CHECK_INT(lease_deadline(&l), 11088);
	CHECK_INT(l.grant_until_ms, 11018);
	for (int64_t now = 11010; now < 11088; now += 10)
		lease_awake(&l, now);
	lease_expire(&l, 11088, count, seen); /* it was dead all the time */
	CHECK_INT(seen[0], 1);
	lease_release(&l);
}

TEST(lease_notices_its_sleep_by_what_it_hears_first)
{
	struct lease_admission a;
	int seen[2] = {0};
	bool changed;
	struct lease l;

	open_awake(&l);
	CHECK(!put(&l, 2, two, ours, 1050, &a));
	CHECK(beat(&l, 2, two, "", 9000, 0, &changed));
	CHECK_INT(lease_find(&l, 2)->expires_ms, 9100);
	lease_expire(&l, 9000, count, seen);
	CHECK_INT(seen[0], 0);
	lease_release(&l);
}

TEST(lease_gives_nobody_more_time_for_small_delays)
{
	struct lease l;

	open_awake(&l);
	for (int64_t now = 1024; now < 1100; now += 24) /* each a tick late */
		lease_awake(&l, now);
	CHECK_INT(lease_deadline(&l), 1100);
	lease_release(&l);
}

TEST(lease_does_not_look_at_the_wall_clock)
{
	int64_t back = -1000000, on = 1000000000;
	struct member who = {.id = 1, .url = (char *)"http://127.0.0.1:1"};
	struct lease_admission a;
	int seen[2] = {0};
	bool changed;
	struct lease l;

	lease_init(&l, &config);
	CHECK(!lease_register(&l, &who, 0, on, &a, &err));
	CHECK(beat(&l, 1, "", "", 50, back, &changed));
	CHECK_INT(lease_deadline(&l), 150);
	CHECK(beat(&l, 1, "", "", 60, on, &changed));
	lease_expire(&l, 159, count, seen);
	CHECK_INT(seen[0], 0);
	CHECK_INT(lease_deadline(&l), 160);
	lease_release(&l);
}

TEST(lease_restored_is_two_heartbeats_long)
{
	struct member who = {.id = 1, .instance = "x", .alive = true};
	struct lease l;

	lease_init(&l, &config);
	lease_restore(&l, &who, 1000);
	CHECK_INT(lease_deadline(&l), 1066);
	who.id = 2;
	who.instance[0] = '\0';
	lease_restore(&l, &who, 1000);
	CHECK_INT(lease_find(&l, 2)->expires_ms, 1100);
	lease_release(&l);
	CHECK_INT(lease_beat_ms(15000), 5000);
	CHECK_INT(lease_beat_ms(60000), 5000);
	CHECK_INT(lease_beat_ms(300), 100);
}

TEST(lease_does_not_know_a_member_that_is_elsewhere)
{
	struct lease_beat b = {1, one, "", "http://127.0.0.1:1"};
	struct lease_admission a;
	bool changed;
	struct lease l;

	lease_init(&l, &config);
	CHECK(!put_at(&l, 1, "http://127.0.0.1:1", one, "", 0, &a));
	CHECK(lease_heartbeat(&l, &b, 50, 0, &changed));
	b.url = "http://127.0.0.1:2";
	CHECK(!lease_heartbeat(&l, &b, 60, 0, &changed));
	CHECK_INT(lease_deadline(&l), 150);
	lease_release(&l);
}
