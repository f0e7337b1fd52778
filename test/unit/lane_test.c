#include "test.h"

#include "node/lane.h"

static enum lane_act next(const struct lane *l, int64_t now_ms, int64_t wall_ms)
{
	int64_t wait_ms = 0;

	return lane_next(l, now_ms, wall_ms, &wait_ms);
}

TEST(an_empty_lane_rests_and_a_message_is_sent_at_once)
{
	struct lane l;

	lane_init(&l);
	CHECK_INT(next(&l, 5, 1000), LANE_REST);
	lane_add(&l, 10, 2000);
	CHECK_INT(next(&l, 5, 1000), LANE_SEND);
	l.busy = true;
	CHECK_INT(next(&l, 5, 1000), LANE_REST);
	l.busy = false;
	lane_settled(&l, 7, 10);
	CHECK_INT(l.done, 7);
	CHECK_INT(l.bytes, 0);
	CHECK_INT(next(&l, 5, 1000), LANE_REST);
}

TEST(a_failed_attempt_pauses_and_pauses_grow_until_it_works)
{
	struct lane l;
	struct rand r = {1};
	int64_t wait_ms, now_ms = 0;

	lane_init(&l);
	lane_add(&l, 1, INT64_MAX);
	for (int i = 0; i < 20; i++) {
		lane_failed(&l, ERR_UNAVAILABLE, now_ms, &r);
		CHECK_INT(lane_next(&l, now_ms, 0, &wait_ms), LANE_WAIT);
		CHECK(wait_ms >= 1 && wait_ms <= 2000);
		now_ms += wait_ms;
		CHECK_INT(lane_next(&l, now_ms, 0, &wait_ms), LANE_SEND);
	}
	lane_failed(&l, ERR_UNAVAILABLE, now_ms, &r);
	CHECK(l.retry_ms - now_ms >= 1000);
	CHECK_INT(lane_try(&l, 1000), 1);
	lane_works(&l);
	CHECK_INT(lane_try(&l, 1000), 1000);
	CHECK_INT(next(&l, now_ms, 0), LANE_SEND);
	lane_failed(&l, ERR_UNAVAILABLE, now_ms, &r);
	CHECK(l.retry_ms - now_ms <= 20);
}

TEST(a_receiver_without_room_is_asked_again_soon)
{
	struct lane l;
	struct rand r = {1};

	lane_init(&l);
	lane_add(&l, 1, INT64_MAX);
	for (int i = 0; i < 20; i++)
		lane_failed(&l, ERR_UNAVAILABLE, 0, &r);
	for (int i = 0; i < 20; i++) {
		lane_failed(&l, ERR_RESOURCE_EXHAUSTED, 0, &r);
		CHECK(l.retry_ms >= 1 && l.retry_ms <= 200);
	}
}

TEST(what_expires_is_swept_even_while_the_lane_pauses)
{
	struct lane l;
	struct rand r = {1};
	int64_t wait_ms;

	lane_init(&l);
	lane_add(&l, 1, 1003);
	lane_add(&l, 1, 5000);
	for (int i = 0; i < 10; i++)
		lane_failed(&l, ERR_UNAVAILABLE, 0, &r);
	CHECK_INT(lane_next(&l, 0, 1000, &wait_ms), LANE_WAIT);
	CHECK_INT(wait_ms, 3);
	CHECK_INT(lane_next(&l, 0, 1003, &wait_ms), LANE_SWEEP);
	l.busy = true;
	CHECK_INT(lane_next(&l, 0, 1003, &wait_ms), LANE_REST);
}

TEST(an_emptied_lane_forgets_when_something_would_have_expired)
{
	struct lane l;

	lane_init(&l);
	lane_add(&l, 1, 10);
	lane_settled(&l, 1, 1);
	lane_add(&l, 1, 100);
	CHECK_INT(next(&l, 0, 50), LANE_SEND);
	CHECK_INT(next(&l, 0, 100), LANE_SWEEP);
}

TEST(only_what_will_always_be_refused_is_given_up)
{
	CHECK_INT(lane_fate(ERR_OK), LANE_DELIVERED);
	CHECK_INT(lane_fate(ERR_INVALID_ARGUMENT), LANE_NEVER);
	CHECK_INT(lane_fate(ERR_PERMISSION_DENIED), LANE_NEVER);
	CHECK_INT(lane_fate(ERR_RESOURCE_EXHAUSTED), LANE_AGAIN);
	CHECK_INT(lane_fate(ERR_NOT_FOUND), LANE_AGAIN);
	CHECK_INT(lane_fate(ERR_FAILED_PRECONDITION), LANE_AGAIN);
	CHECK_INT(lane_fate((enum err_code)99), LANE_AGAIN);
}
