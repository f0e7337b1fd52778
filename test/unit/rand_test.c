#include "test.h"

#include "base/clock.h"
#include "base/crc.h"
#include "base/rand.h"

TEST(rand_gives_the_published_sequence_of_splitmix64)
{
	struct rand r = {1234567};

	CHECK(rand_next(&r) == 6457827717110365317u);
	CHECK(rand_next(&r) == 3203168211198807973u);
	CHECK(rand_next(&r) == 9817491932198370423u);
}

TEST(rand_below_reaches_every_value_and_none_beyond)
{
	struct rand r = {1};
	int seen[7] = {0};

	for (int i = 0; i < 1000; i++)
		seen[rand_below(&r, 7)]++;
	for (int i = 0; i < 7; i++)
		CHECK(seen[i] > 100);
}

TEST(crc_matches_the_vectors_of_rfc_3720)
{
	char zeros[32] = {0};

	CHECK_INT(crc32c_of(0, zeros, 32), 0x8a9136aa);
	CHECK_INT(crc32c_of(crc32c_of(0, "1234", 4), "56789", 5), 0xe3069283);
}

TEST(clock_writes_rfc_3339)
{
	char text[CLOCK_TEXT];

	CHECK_STR(clock_text(1714557600123, text), "2024-05-01T10:00:00.123Z");
}
