#include "test.h"

#include <stdbool.h>

#include "wire/backoff.h"

TEST(waits_double_up_to_the_bound)
{
	static const int64_t bounds[] = {50, 100, 200, 400, 700, 700, 700};
	struct rand r = {1};

	for (int again = 0; again < 100; again++) {
		struct backoff b = {.first_ms = 50, .max_ms = 700};

		for (int i = 0; i < 7; i++) {
			int64_t ms = backoff_next(&b, &r);

			CHECK(ms >= bounds[i] / 2 && ms <= bounds[i]);
		}
	}
}

TEST(waits_are_spread)
{
	struct rand r = {2};
	bool seen[101] = {false};

	for (int i = 0; i < 5000; i++) {
		struct backoff b = {.first_ms = 100, .max_ms = 100};

		seen[backoff_next(&b, &r)] = true;
	}
	for (int ms = 50; ms <= 100; ms++)
		CHECK(seen[ms]);
}

TEST(the_smallest_wait_is_none_or_one)
{
	struct backoff b = {.first_ms = 1, .max_ms = 1};
	struct rand r = {3};

	for (int i = 0; i < 100; i++) {
		int64_t ms = backoff_next(&b, &r);

		CHECK(ms == 0 || ms == 1);
	}
}
