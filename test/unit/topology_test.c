#include "test.h"

#include "plan/matching.h"
#include "plan/topology.h"

static void random_bps(double *bps, size_t n, struct rand *r, int levels)
{
	memset(bps, 0, n * n * sizeof(*bps));
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			bps[i * n + j] = bps[j * n + i] =
				exp2(1 + (double)rand_below(r, levels));
}

/* --- theta against trying everything ----------------------------------- */

static bool can_pair(size_t n, const double *bps, double theta, unsigned left,
		     size_t pairs)
{
	size_t v = 0;

	if (!pairs)
		return true;
	if (!left)
		return false;
	while (!(left & (1u << v)))
		v++;
	left &= ~(1u << v);
	if (can_pair(n, bps, theta, left, pairs))
		return true;
	for (size_t w = v + 1; w < n; w++)
		if (left & (1u << w) && bps[v * n + w] >= theta &&
		    can_pair(n, bps, theta, left & ~(1u << w), pairs - 1))
			return true;
	return false;
}

static bool is_connected(size_t n, const double *bps, double theta)
{
	unsigned seen = 1;

	for (size_t pass = 0; pass < n; pass++)
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j < n; j++)
				if (seen & (1u << i) && i != j &&
				    bps[i * n + j] >= theta)
					seen |= 1u << j;
	return seen == (1u << n) - 1;
}

TEST(theta_is_the_largest_that_serves)
{
	struct rand r = {5};

	for (int round = 0; round < 500; round++) {
		size_t n = 2 + rand_below(&r, 6);
		double bps[64], best = 0;

		random_bps(bps, n, &r, 6);
		for (double theta = 2; theta <= 64; theta *= 2)
			if (is_connected(n, bps, theta) &&
			    can_pair(n, bps, theta, (1u << n) - 1, n / 2))
				best = theta;
		CHECK_NEAR(topology_theta(n, bps), best, 0);
	}
}

/* --- rounds ------------------------------------------------------------- */

struct history {
	size_t n;
	struct topology_past past;
	double bps[40 * 40], theta;
	int mate[40];
};

static void begin(struct history *h, size_t n, uint64_t seed, int levels)
{
	struct rand r = {seed};

	h->n = n;
	random_bps(h->bps, n, &r, levels);
	h->theta = topology_theta(n, h->bps);
	topology_past_init(&h->past, n);
}

static void go(struct history *h, enum topology_policy policy, int64_t t)
{
	struct rand r = {(uint64_t)t * 77 + 1};

	topology_match(policy, h->n, h->bps, h->theta, &h->past, t, &r,
		       h->mate);
	topology_past_add(&h->past, t, h->mate);
}

static const enum topology_policy pairing[] = {TOPOLOGY_AUTO, TOPOLOGY_RANDOM,
					       TOPOLOGY_RING, TOPOLOGY_SAPS,
					       TOPOLOGY_AGE,  TOPOLOGY_ALL};

enum { PAIRING = sizeof(pairing) / sizeof(pairing[0]) };

static void check_all_paired(const struct history *h)
{
	CHECK_INT(matching_size(h->n, h->mate), h->n / 2);
	for (size_t v = 0; v < h->n; v++)
		CHECK(h->mate[v] < 0 || h->mate[h->mate[v]] == (int)v);
}

TEST(every_policy_pairs_all_but_one_of_an_odd_number)
{
	for (int p = 0; p < PAIRING; p++)
		for (size_t n = 2; n < 34; n += 1 + n / 9) {
			struct history h;

			begin(&h, n, n, 1);
			for (int64_t t = 0; t < 12; t++) {
				go(&h, pairing[p], t);
				check_all_paired(&h);
			}
			topology_past_release(&h.past);
		}
}

TEST(auto_keeps_to_fast_links)
{
	struct history h;
	size_t rests = 0;

	begin(&h, 14, 3, 8);
	for (int64_t t = 0; t < 60; t++) {
		go(&h, TOPOLOGY_AUTO, t);
		for (size_t v = 0; v < h.n; v++)
			CHECK(h.mate[v] < 0 ||
			      h.bps[v * h.n + (size_t)h.mate[v]] >=
				      0.7 * h.theta);
		rests += h.n / 2 - matching_size(h.n, h.mate);
	}
	CHECK(rests <= 10); /* of 420: a leaf takes its hub every time */
	topology_past_release(&h.past);
}

/* Components of the pairs in rows first .. last of mates. */
static size_t components(size_t n, const int *mates, size_t first, size_t last)
{
	int part[40];
	size_t count = 0;

	for (size_t v = 0; v < n; v++)
		part[v] = (int)v;
	for (size_t pass = 0; pass < n; pass++)
		for (size_t i = first * n; i < last * n; i++)
			if (mates[i] >= 0 && part[mates[i]] < part[i % n])
				part[i % n] = part[mates[i]];
	for (size_t v = 0; v < n; v++)
		count += part[v] == (int)v;
	return count;
}

static void check_windows(const struct history *h0, enum topology_policy policy,
			  size_t slack)
{
	struct history h = *h0;
	size_t window = topology_window(h.n) * slack;
	int *mates = calloc(200 * h.n, sizeof(*mates));

	for (size_t t = 0; t < 200; t++) {
		go(&h, policy, (int64_t)t);
		memcpy(mates + t * h.n, h.mate, h.n * sizeof(*mates));
	}
	for (size_t t = 0; t + window <= 200; t++)
		CHECK_INT(components(h.n, mates, t, t + window), 1);
	free(mates);
	topology_past_release(&h.past);
}

TEST(auto_connects_everyone_within_two_windows)
{
	for (size_t n = 2; n < 34; n += 1 + n / 8)
		for (uint64_t seed = 1; seed < 6; seed++) {
			struct history h;

			begin(&h, n, seed, 2 + (int)seed * 2);
			check_windows(&h, TOPOLOGY_AUTO, 2);
		}
}

TEST(saps_connects_everyone_within_two_windows)
{
	for (size_t n = 2; n < 34; n += 1 + n / 8) {
		struct history h;

		begin(&h, n, n, 8);
		check_windows(&h, TOPOLOGY_SAPS, 2);
	}
}

/* The only perfect matching of fast links is {01, 23}; alone it would never
 * join the two halves. */
TEST(auto_connects_a_path_whose_ends_need_the_middle)
{
	static const double path[16] = {0, 100, 1, 1,   100, 0, 100, 1,
					1, 100, 0, 100, 1,   1, 100, 0};
	struct history h = {.n = 4};

	memcpy(h.bps, path, sizeof(path));
	h.theta = topology_theta(4, path);
	CHECK_NEAR(h.theta, 100, 0);
	topology_past_init(&h.past, 4);
	check_windows(&h, TOPOLOGY_AUTO, 2);
}

/* As long as the window connects everyone; else it takes slow links too. */
TEST(saps_takes_slow_links_only_to_connect)
{
	struct history h;
	size_t slow = 0;

	begin(&h, 14, 3, 8);
	for (int64_t t = 0; t < 60; t++) {
		size_t parts = components(h.n, h.past.mates, 0, h.past.rounds);

		go(&h, TOPOLOGY_SAPS, t);
		for (size_t v = 0; v < h.n; v++)
			if (h.mate[v] > (int)v &&
			    h.bps[v * h.n + (size_t)h.mate[v]] < h.theta) {
				CHECK(parts > 1 ||
				      matching_size(h.n, h.mate) == h.n / 2);
				slow++;
			}
	}
	CHECK(slow < 60 * 7 / 3);
	topology_past_release(&h.past);
}

/* Of two matchings the faster; once it is young, the other. */
TEST(age_takes_the_fast_links_by_turns_with_the_old_ones)
{
	static const double square[16] = {0, 8, 4, 3, 8, 0, 3, 4,
					  4, 3, 0, 8, 3, 4, 8, 0};
	struct history h = {.n = 4};
	int with[4] = {0};

	memcpy(h.bps, square, sizeof(square));
	topology_past_init(&h.past, 4);
	go(&h, TOPOLOGY_AGE, 0);
	CHECK_INT(h.mate[0], 1);
	for (int64_t t = 1; t < 40; t++) {
		go(&h, TOPOLOGY_AGE, t);
		with[h.mate[0]]++;
	}
	CHECK(with[1] > with[3]);
	CHECK(with[2] > 0 && with[3] > 0);
	topology_past_release(&h.past);
}

TEST(all_meet_all_once_in_a_tournament)
{
	for (size_t n = 2; n < 12; n++) {
		size_t rounds = n % 2 ? n : n - 1;
		struct history h;
		int met[12][12] = {{0}};

		begin(&h, n, 1, 1);
		for (size_t t = 0; t < rounds; t++) {
			go(&h, TOPOLOGY_ALL, (int64_t)t);
			for (size_t v = 0; v < n; v++)
				if (h.mate[v] >= 0)
					met[v][h.mate[v]]++;
		}
		for (size_t v = 0; v < n; v++)
			for (size_t w = 0; w < n; w++)
				CHECK_INT(met[v][w], v != w);
		topology_past_release(&h.past);
	}
}

TEST(byes_rotate_through_everyone)
{
	for (int p = 0; p < PAIRING; p++)
		for (size_t n = 3; n < 16; n += 4) {
			struct history h;
			int rests[16] = {0};

			begin(&h, n, n, 1); /* all links alike */
			for (int64_t t = 0; t < 10 * (int64_t)n; t++) {
				go(&h, pairing[p], t);
				for (size_t v = 0; v < n; v++)
					rests[v] += h.mate[v] < 0;
			}
			for (size_t v = 0; v < n; v++)
				CHECK_INT(rests[v], 10);
			topology_past_release(&h.past);
		}
}

TEST(the_same_seed_and_past_give_the_same_pairs)
{
	struct history a, b;

	begin(&a, 9, 4, 4);
	begin(&b, 9, 4, 4);
	for (int64_t t = 0; t < 50; t++) {
		go(&a, TOPOLOGY_AUTO, t);
		go(&b, TOPOLOGY_AUTO, t);
		CHECK(!memcmp(a.mate, b.mate, 9 * sizeof(int)));
	}
	topology_past_release(&a.past);
	topology_past_release(&b.past);
}

TEST(one_trainer_alone_rests)
{
	struct history h;

	begin(&h, 1, 1, 1);
	go(&h, TOPOLOGY_AUTO, 0);
	CHECK_INT(h.mate[0], MATCHING_NONE);
	topology_past_release(&h.past);
}

TEST(with_none_everyone_rests)
{
	struct topology_past past;
	double bps[16] = {0};
	struct rand r = {1};
	int mate[4];

	topology_past_init(&past, 4);
	topology_match(TOPOLOGY_NONE, 4, bps, 0, &past, 0, &r, mate);
	for (int i = 0; i < 4; i++)
		CHECK_INT(mate[i], MATCHING_NONE);
	topology_past_release(&past);
}

/* A random graph: each link is there by chance p of 100. */
static void thin_out(double *bps, size_t n, struct rand *r, uint64_t p)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			if (rand_below(r, 100) >= p)
				bps[i * n + j] = bps[j * n + i] = 0;
}

TEST(no_policy_pairs_where_there_is_no_link_and_as_many_as_can_be_pair)
{
	struct rand r = {11};

	for (int round = 0; round < 300; round++) {
		struct history h;
		unsigned char edge[400];
		int best[20];

		begin(&h, 2 + rand_below(&r, 18), (uint64_t)round, 6);
		thin_out(h.bps, h.n, &r, 10 + rand_below(&r, 80));
		h.theta = topology_theta(h.n, h.bps);
		go(&h, pairing[round % PAIRING], round);
		for (size_t v = 0; v < h.n; v++) {
			best[v] = MATCHING_NONE;
			CHECK(h.mate[v] < 0 ||
			      h.bps[v * h.n + (size_t)h.mate[v]] > 0);
		}
		for (size_t i = 0; i < h.n * h.n; i++)
			edge[i] = h.bps[i] > 0;
		if (pairing[round % PAIRING] !=
		    TOPOLOGY_AUTO) /* that keeps to fast ones */
			CHECK_INT(matching_size(h.n, h.mate),
				  matching_augment(h.n, edge, best));
		topology_past_release(&h.past);
	}
}

TEST(a_star_takes_every_leaf_by_turns)
{
	struct history h;
	bool seen[9] = {false};

	begin(&h, 9, 1, 1);
	for (size_t i = 1; i < 9; i++)
		for (size_t j = 1; j < 9; j++)
			h.bps[i * 9 + j] = 0;
	h.theta = topology_theta(9, h.bps);
	CHECK_NEAR(h.theta, 0, 0);
	for (int64_t t = 0; t < 24; t++) {
		go(&h, TOPOLOGY_AUTO, t);
		CHECK_INT(matching_size(9, h.mate), 1);
		seen[h.mate[0]] = true;
	}
	for (size_t v = 1; v < 9; v++)
		CHECK(seen[v]);
	topology_past_release(&h.past);
}

TEST(policies_have_names)
{
	CHECK_INT(topology_policy_of("ring"), TOPOLOGY_RING);
	CHECK_INT(topology_policy_of("no such"), -1);
	CHECK_INT(topology_policy_of("auto"), TOPOLOGY_AUTO);
	CHECK_INT(topology_window(2), 3);
	CHECK_INT(topology_window(14), 8);
	CHECK_INT(topology_window(32), 10);
}
