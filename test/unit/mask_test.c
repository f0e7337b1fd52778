#include "test.h"

#include "base/crc.h"
#include "plan/mask.h"

static uint32_t crc_of(const struct mask *m, uint64_t *digest)
{
	uint32_t k = mask_count(m->n, m->c), crc;
	uint32_t *idx = malloc(k * sizeof(*idx) + 1);

	mask_indices(m, idx);
	crc = crc32c_of(0, idx, k * sizeof(*idx));
	*digest = mask_digest(m, idx);
	free(idx);
	return crc;
}

TEST(mask_golden_vectors_never_change)
{
	static const struct {
		struct mask m;
		uint32_t first[4], crc;
		uint64_t digest;
	} rows[] = {
		{{1, 0, 1, 40, 10},
		 {7, 15, 27, 35},
		 0x27b5baa6,
		 0xe14f2ee15682caa9},
		{{7, 399, 0x123456789abcdef0, 101770, 10},
		 {6, 10, 20, 36},
		 0xae265db0,
		 0x5f0f75ac0e46deca},
		{{2, 3, UINT64_MAX, 1663370, 100},
		 {35, 107, 228, 335},
		 0x6fa30cda,
		 0xd2fa5d7ebf57e105},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct mask *m = &rows[i].m;
		uint32_t *idx = malloc(mask_count(m->n, m->c) * sizeof(*idx));
		uint64_t digest;

		mask_indices(m, idx);
		for (int j = 0; j < 4; j++)
			CHECK_INT(idx[j], rows[i].first[j]);
		CHECK_INT(crc_of(m, &digest), rows[i].crc);
		CHECK(digest == rows[i].digest);
		free(idx);
	}
}

TEST(mask_has_one_index_of_every_block_and_of_the_short_last_one)
{
	struct mask m = {3, 5, 9, 1003, 100};
	uint32_t idx[11];

	CHECK_INT(mask_count(m.n, m.c), 11);
	for (m.t = 0; m.t < 200; m.t++) {
		mask_indices(&m, idx);
		for (uint32_t b = 0; b < 11; b++) {
			CHECK_INT(idx[b] / 100, b);
			CHECK(idx[b] < m.n);
		}
	}
}

TEST(mask_with_c_of_one_is_every_parameter)
{
	struct mask m = {1, 1, 1, 7, 1};
	uint32_t idx[7];

	mask_indices(&m, idx);
	for (uint32_t i = 0; i < 7; i++)
		CHECK_INT(idx[i], i);
	CHECK_INT(mask_count(0, 10), 0);
	CHECK_INT(mask_count(UINT32_MAX, 1), UINT32_MAX);
}

/* Chi-squared over the offsets in the blocks: 99 degrees of freedom. */
TEST(mask_chooses_each_of_a_block_equally_often)
{
	struct mask m = {1, 0, 42, 100000, 100};
	static uint32_t idx[1000];
	int hits[100] = {0};
	double chi = 0, want = 1000;

	for (m.t = 0; m.t < 100; m.t++) {
		mask_indices(&m, idx);
		for (int i = 0; i < 1000; i++)
			hits[idx[i] % 100]++;
	}
	for (int i = 0; i < 100; i++)
		chi += (hits[i] - want) * (hits[i] - want) / want;
	CHECK(chi > 60 && chi < 149); /* 0.1 % either side */
}

TEST(mask_differs_by_run_round_and_seed_and_so_does_its_digest)
{
	struct mask base = {1, 2, 3, 5000, 10}, other;
	uint64_t digest, digest2;
	uint32_t crc = crc_of(&base, &digest);

	for (int what = 0; what < 5; what++) {
		other = base;
		other.run += what == 0;
		other.t += what == 1;
		other.seed += what == 2;
		other.n -= what == 3;
		other.c += what == 4;
		CHECK(crc_of(&other, &digest2) != crc || what == 3);
		CHECK(digest2 != digest);
	}
}
