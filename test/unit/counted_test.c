#include "test.h"

#include "fl/counted.h"

static struct counted after(size_t n)
{
	struct counted c = {.n = 0};

	for (size_t i = 1; i <= n; i++)
		counted_add(&c, i);
	return c;
}

TEST(counted_has_what_was_added)
{
	struct counted c = after(3);

	CHECK(counted_has(&c, 1) && counted_has(&c, 3));
	CHECK(!counted_has(&c, 4) && !counted_has(&c, 0));
}

TEST(counted_forgets_the_oldest)
{
	struct counted c = after(COUNTED_MAX + 2);

	CHECK(!counted_has(&c, 1) && !counted_has(&c, 2));
	CHECK(counted_has(&c, 3) && counted_has(&c, COUNTED_MAX + 2));
}

TEST(counted_goes_on_in_another_server)
{
	struct counted c = after(COUNTED_MAX + 2), d = after(1);
	struct tensors ts = {0};
	struct err err;

	counted_save(&c, &ts);
	CHECK(!counted_restore(&d, &ts, "x", &err));
	CHECK(!counted_has(&d, 2) && counted_has(&d, 3));
	counted_add(&d, 7000); /* in place of the oldest */
	CHECK(!counted_has(&d, 3) && counted_has(&d, 4));
	CHECK(counted_has(&d, 7000));
	tensors_release(&ts);
}

TEST(counted_is_empty_where_a_state_has_none)
{
	struct counted c = after(2);
	struct tensors ts = {0};
	struct err err;

	CHECK(!counted_restore(&c, &ts, "x", &err));
	CHECK(!counted_has(&c, 1));
}

TEST(counted_refuses_what_is_no_list_of_numbers)
{
	const float one[] = {1};
	const int64_t dim = 1;
	struct counted c = after(2);
	struct tensors ts = {0};
	struct err err;

	tensors_add(&ts, "server.counted", 1, &dim, one);
	CHECK_INT(counted_restore(&c, &ts, "x", &err), ERR_INVALID_ARGUMENT);
	tensors_release(&ts);
}
