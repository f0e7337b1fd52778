#include "test.h"

#include <stdio.h>

#include "base/buf.h"
#include "fl/succession.h"

static const struct succession_word silence;

/* What is to be done, as "ask 0, hold 1, take 2". */
static const char *acts(struct succession *s)
{
	static const char *const names[] = {
		[SUCCESSION_ASK] = "ask",     [SUCCESSION_HOLD] = "hold",
		[SUCCESSION_LATER] = "later", [SUCCESSION_TAKE] = "take",
		[SUCCESSION_READY] = "ready", [SUCCESSION_OVER] = "over",
		[SUCCESSION_CLAIM] = "claim", [SUCCESSION_UNLED] = "unled",
		[SUCCESSION_LED] = "led",
	};
	static char text[256];
	struct succession_act a;
	size_t n = 0;

	text[0] = '\0';
	while ((a = succession_next(s)).what)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %d",
				      n ? ", " : "", names[a.what], a.peer);
	return text;
}

static struct succession two(void)
{
	struct succession s = {.n = 2};

	succession_follow(&s);
	acts(&s);
	return s;
}

static const char *answer(struct succession *s, int peer,
			  struct succession_word word)
{
	succession_answered(s, peer, &word);
	return acts(s);
}

static const char *taken(struct succession *s, int64_t term, int64_t version)
{
	succession_taken(s, term, version);
	return acts(s);
}

/* An active one in term 3, at that version. */
static struct succession_word leader(int64_t version)
{
	return (struct succession_word){.there = true,
					.term = 3,
					.version = version,
					.leads = 3,
					.knows = 3};
}

TEST(succession_begins_by_asking_all)
{
	struct succession s = {.n = 3};

	succession_follow(&s);
	CHECK_STR(acts(&s), "unled 0, ask 0, ask 1, ask 2");
}

TEST(succession_follows_the_active_one)
{
	struct succession s = two();

	CHECK_STR(answer(&s, 0, leader(1)), "led 0, take 0");
	CHECK_STR(answer(&s, 1, silence), "later 1");
	CHECK_STR(taken(&s, 3, 1), "hold 0");
	CHECK_STR(answer(&s, 0, leader(1)), "hold 0");
	CHECK_STR(answer(&s, 0, leader(2)), "take 0");
	CHECK_INT(succession_knows(&s), 3);
}

TEST(succession_takes_what_is_older_from_the_active_one)
{
	struct succession s = two();

	s.term = 2;
	s.version = 9;
	CHECK_STR(answer(&s, 1,
			 (struct succession_word){true, 2, 10, 0, 0, 0, 0}),
		  "later 1");
	CHECK_STR(answer(&s, 0, leader(8)), "led 0, take 0");
	CHECK_STR(taken(&s, 3, 8), "hold 0");
	CHECK(s.term == 3 && s.version == 8);
}

TEST(succession_heeds_the_higher_of_two_terms)
{
	struct succession s = two();

	answer(&s, 0, leader(1));
	taken(&s, 3, 1);
	CHECK_STR(
		answer(&s, 1, (struct succession_word){true, 4, 2, 4, 4, 0, 0}),
		"take 1");
	taken(&s, 4, 2);
	/* the one of term 3 does not know yet; it may not say so, either */
	CHECK_STR(answer(&s, 0, leader(3)), "later 0");
	CHECK_STR(
		answer(&s, 0,
		       (struct succession_word){true, 3, 3, 3, 3, true, true}),
		"later 0");
}

TEST(succession_follows_nobody_who_led_before_its_state_was_made)
{
	struct succession s = two();

	s.term = 4;
	s.version = 2;
	CHECK_STR(answer(&s, 0, leader(9)), "led 0, later 0");
	CHECK_INT(succession_knows(&s), 0);
}

TEST(succession_survey_ends_where_a_peer_gives_another_state_than_it_said)
{
	struct succession s = two();

	succession_survey(&s, 5);
	acts(&s);
	answer(&s, 0, leader(3));
	CHECK_STR(answer(&s, 1, leader(2)), "take 0");
	CHECK(succession_takes(&s, 2, 9));
	CHECK_STR(taken(&s, 2, 9), "take 1");
	CHECK(!succession_takes(&s, 2, 8));
	CHECK_STR(taken(&s, 3, 2), "ready 0");
}

TEST(succession_surveys_all_before_it_is_ready)
{
	struct succession s = two();

	answer(&s, 0, silence);
	s.term = 3;
	s.version = 4;
	succession_survey(&s, 5);
	CHECK_STR(acts(&s), "led 0, ask 0, ask 1");
	CHECK_INT(succession_knows(&s), 5);
	CHECK_STR(
		answer(&s, 1, (struct succession_word){true, 3, 5, 0, 0, 0, 0}),
		"");
	CHECK_STR(
		answer(&s, 0, (struct succession_word){true, 2, 9, 0, 0, 0, 0}),
		"take 1"); /* of the higher term */
	CHECK_STR(taken(&s, 3, 5), "ready 0");
}

TEST(succession_is_ready_without_a_peer_that_is_silent_or_fails)
{
	struct succession s = two();

	succession_survey(&s, 5);
	acts(&s);
	CHECK_STR(answer(&s, 0, silence), "ask 0");
	CHECK_STR(answer(&s, 0, silence), "");
	CHECK_STR(answer(&s, 1, leader(1)), "take 1");
	CHECK_STR(taken(&s, 0, 0), "ask 1");
	CHECK_STR(answer(&s, 1, leader(1)), "take 1");
	CHECK_STR(taken(&s, 0, 0), "ready 0");
	CHECK_INT(succession_there(&s), 1);
}

TEST(succession_takes_the_second_newest_if_the_newest_does_not_come)
{
	struct succession s = two();

	succession_survey(&s, 5);
	acts(&s);
	answer(&s, 0, leader(2));
	CHECK_STR(answer(&s, 1, leader(1)), "take 0");
	taken(&s, 0, 0);
	CHECK_STR(answer(&s, 0, leader(2)), "take 0");
	CHECK_STR(taken(&s, 0, 0), "take 1");
	CHECK_STR(taken(&s, 3, 1), "ready 0");
}

TEST(succession_survey_waits_for_what_is_being_taken)
{
	struct succession s = two();

	answer(&s, 1, silence);
	CHECK_STR(answer(&s, 0, leader(7)), "led 0, take 0");
	succession_survey(&s, 4);
	CHECK_STR(acts(&s), "ask 0, ask 1");
	answer(&s, 0, silence);
	answer(&s, 0, silence);
	answer(&s, 1, silence);
	CHECK_STR(answer(&s, 1, silence), "");
	CHECK_STR(taken(&s, 3, 7), "ready 0");
}

TEST(succession_asks_again_where_what_came_before_the_survey_failed)
{
	struct succession s = two();

	answer(&s, 1, silence);
	answer(&s, 0, leader(7));
	succession_survey(&s, 4);
	acts(&s);
	answer(&s, 1, silence);
	answer(&s, 1, silence);
	CHECK_STR(answer(&s, 0, leader(8)), "");
	CHECK_STR(taken(&s, 0, 0), "ask 0");
	CHECK_STR(answer(&s, 0, leader(8)), "take 0");
}

TEST(succession_does_not_survey_on_once_it_follows)
{
	struct succession s = two();

	succession_survey(&s, 5);
	acts(&s);
	answer(&s, 0, silence);
	succession_follow(&s);
	CHECK_STR(acts(&s), "unled 0, ask 0, ask 1");
	CHECK_STR(answer(&s, 0, silence), "later 0");
	CHECK_STR(answer(&s, 1, silence), "later 1");
	succession_waited(&s, 1);
	CHECK_STR(acts(&s), "ask 1");
}

TEST(succession_misses_an_active_one_that_nobody_hears)
{
	struct succession s = two();

	answer(&s, 0, leader(1));
	answer(&s, 1, (struct succession_word){true, 3, 1, 0, 3, 0, 0});
	taken(&s, 3, 1);
	/* it is gone, but the peer has not noticed yet: that counts … */
	CHECK_STR(answer(&s, 0, silence), "later 0");
	CHECK_INT(succession_knows(&s), 0); /* … and is not passed on */
	CHECK_STR(
		answer(&s, 1, (struct succession_word){true, 3, 1, 0, 0, 0, 0}),
		"unled 0, later 1");
	/* somebody is to be active */
	CHECK_STR(
		answer(&s, 1, (struct succession_word){true, 3, 1, 0, 4, 0, 0}),
		"led 0, later 1");
}

TEST(succession_claims_from_one_that_leaves_with_its_state_alone)
{
	struct succession s = two();
	struct succession_word w = leader(1);

	w.leaves = true;
	CHECK_STR(answer(&s, 0, w), "led 0, take 0");
	CHECK_STR(taken(&s, 3, 1), "hold 0");
	CHECK_STR(answer(&s, 0, w), "later 0, claim 0");
}

TEST(succession_does_not_expect_one_that_leaves)
{
	struct succession s = two();
	struct succession_word w = leader(1);

	w.leaves = true;
	s.term = 3;
	s.version = 1;
	succession_survey(&s, 4);
	acts(&s);
	answer(&s, 1, (struct succession_word){true, 3, 1, 0, 4, 0, 0});
	CHECK_STR(answer(&s, 0, w), "ready 0");
	CHECK_INT(succession_there(&s), 1);
}

TEST(succession_ends_with_the_active_one)
{
	struct succession s = two();
	struct succession_word w = leader(0);

	w.over = true;
	CHECK_STR(answer(&s, 0, w), "led 0, over 0");
}
