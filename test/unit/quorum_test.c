#include "test.h"

#include "fl/quorum.h"

static const struct quorum ten = {.least = 2, .fraction = 1, .activated = 10};

TEST(quorum_waits_until_all_have_answered)
{
	struct quorum q = ten;

	CHECK_INT(quorum_verdict(&q), QUORUM_WAIT);
	q.admitted = 9;
	CHECK_INT(quorum_verdict(&q), QUORUM_WAIT);
	q.admitted = 10;
	CHECK_INT(quorum_verdict(&q), QUORUM_CLOSE);
}

TEST(quorum_closes_at_the_fraction)
{
	struct quorum q = ten;

	q.fraction = 0.55;
	CHECK_INT(quorum_wanted(&q), 6);
	q.admitted = 5;
	CHECK_INT(quorum_verdict(&q), QUORUM_WAIT);
	q.admitted = 6;
	CHECK_INT(quorum_verdict(&q), QUORUM_CLOSE);
}

TEST(quorum_closes_early_when_the_others_are_lost)
{
	struct quorum q = ten;

	q.admitted = 7;
	q.lost = 2;
	CHECK_INT(quorum_verdict(&q), QUORUM_WAIT);
	q.lost = 3;
	CHECK_INT(quorum_verdict(&q), QUORUM_CLOSE);
}

TEST(quorum_closes_with_what_is_there_at_the_deadline)
{
	struct quorum q = ten;

	q.admitted = 2;
	CHECK_INT(quorum_verdict(&q), QUORUM_WAIT);
	q.late = true;
	CHECK_INT(quorum_verdict(&q), QUORUM_CLOSE);
}

TEST(quorum_of_too_few_is_void)
{
	struct quorum q = ten;

	q.admitted = 1;
	q.late = true;
	CHECK_INT(quorum_verdict(&q), QUORUM_VOID);
	q.late = false;
	q.lost = 9;
	CHECK_INT(quorum_verdict(&q), QUORUM_VOID);
	q.lost = 8;
	CHECK_INT(quorum_verdict(&q), QUORUM_WAIT);
}

TEST(quorum_never_closes_with_fewer_than_the_least)
{
	struct quorum q = ten;

	q.fraction = 0.1;
	q.least = 4;
	q.admitted = 3;
	CHECK_INT(quorum_wanted(&q), 4);
	CHECK_INT(quorum_verdict(&q), QUORUM_WAIT);
	q.admitted = 4;
	CHECK_INT(quorum_verdict(&q), QUORUM_CLOSE);
}

TEST(quorum_without_an_update_is_void)
{
	struct quorum q = {.least = 0, .fraction = 1, .activated = 3};

	q.lost = 3;
	CHECK_INT(quorum_verdict(&q), QUORUM_VOID);
}
