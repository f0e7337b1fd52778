#include "test.h"

#include "plan/parts.h"
#include "plan/shape.h"

enum { MAX = 40 };

static unsigned char edge[MAX * MAX];

static int make(struct shape s, struct err *err)
{
	memset(edge, 0, sizeof(edge));
	return shape_make(&s, edge, err);
}

static size_t degree(size_t n, size_t v)
{
	size_t count = 0;

	for (size_t w = 0; w < n; w++)
		count += edge[v * n + w];
	return count;
}

static size_t edges(size_t n)
{
	size_t count = 0;

	for (size_t v = 0; v < n; v++)
		count += degree(n, v);
	return count / 2;
}

static void check_graph(size_t n)
{
	int part[MAX];

	parts_init(part, n);
	for (size_t i = 0; i < n; i++) {
		CHECK_INT(edge[i * n + i], 0);
		for (size_t j = 0; j < n; j++) {
			CHECK_INT(edge[i * n + j], edge[j * n + i]);
			if (edge[i * n + j])
				parts_join(part, (int)i, (int)j);
		}
	}
	CHECK_INT(parts_count(part, n), 1);
}

TEST(every_shape_is_connected_and_has_its_edges)
{
	struct err err;

	for (size_t n = 2; n < MAX; n++) {
		CHECK_INT(
			make((struct shape){.kind = SHAPE_RING, .n = n}, &err),
			0);
		check_graph(n);
		CHECK_INT(edges(n), n == 2 ? 1 : n);
		CHECK_INT(
			make((struct shape){.kind = SHAPE_STAR, .n = n}, &err),
			0);
		check_graph(n);
		CHECK_INT(edges(n), n - 1);
		CHECK_INT(
			make((struct shape){.kind = SHAPE_FULL, .n = n}, &err),
			0);
		check_graph(n);
		CHECK_INT(edges(n), n * (n - 1) / 2);
		CHECK_INT(
			make((struct shape){.kind = SHAPE_GRID, .n = n}, &err),
			0);
		check_graph(n);
	}
	CHECK_INT(make((struct shape){SHAPE_GRID, 12, .rows = 3}, &err), 0);
	CHECK_INT(edges(12), 3 * 3 + 2 * 4);
}

TEST(a_regular_graph_gives_each_as_many_neighbours)
{
	struct err err;

	for (size_t n = 3; n < MAX; n += 3)
		for (size_t d = 2; d < n; d++) {
			struct shape s = {SHAPE_REGULAR, n, .degree = d,
					  .seed = n + d};

			if (n * d % 2)
				continue;
			CHECK_INT(make(s, &err), 0);
			check_graph(n);
			for (size_t v = 0; v < n; v++)
				CHECK_INT(degree(n, v), d);
		}
}

TEST(a_regular_graph_is_by_chance_and_a_seed_makes_the_same)
{
	struct shape s = {SHAPE_REGULAR, 20, .degree = 3, .seed = 1};
	unsigned char first[MAX * MAX];
	struct err err;

	CHECK_INT(make(s, &err), 0);
	memcpy(first, edge, sizeof(first));
	CHECK_INT(make(s, &err), 0);
	CHECK(!memcmp(first, edge, sizeof(first)));
	s.seed = 2;
	CHECK_INT(make(s, &err), 0);
	CHECK(memcmp(first, edge, sizeof(first)));
}

TEST(random_graphs_have_about_as_many_edges_as_chance_gives)
{
	struct shape s = {SHAPE_RANDOM, 30, .probability = 0.5};
	size_t all = 0;
	struct err err;

	for (s.seed = 0; s.seed < 50; s.seed++) {
		CHECK_INT(make(s, &err), 0);
		check_graph(30);
		all += edges(30);
	}
	/* 50 times 435 pairs; 4 standard deviations are 295 */
	CHECK_NEAR((double)all, 50 * 435 * 0.5, 295);
	s.probability = 0;
	CHECK_INT(make(s, &err), 0);
	check_graph(30);
}

TEST(what_cannot_be_is_told)
{
	static const struct {
		struct shape s;
		int code;
		const char *why;
	} wrong[] = {
		{{.kind = SHAPE_RING, .n = 1},
		 ERR_INVALID_ARGUMENT,
		 "2 to 4096"},
		{{.kind = SHAPE_FULL, .n = 5000},
		 ERR_INVALID_ARGUMENT,
		 "2 to 4096"},
		{{SHAPE_GRID, 10, .rows = 3}, ERR_INVALID_ARGUMENT, "3 rows"},
		{{SHAPE_REGULAR, 5, .degree = 3}, ERR_INVALID_ARGUMENT, "odd"},
		{{SHAPE_REGULAR, 4, .degree = 4},
		 ERR_INVALID_ARGUMENT,
		 "none of 4 can have 4"},
		{{SHAPE_REGULAR, 6, .degree = 1},
		 ERR_INVALID_ARGUMENT,
		 "not connected"},
		{{SHAPE_RANDOM, 30, .probability = 2},
		 ERR_INVALID_ARGUMENT,
		 "probability"},
		{{SHAPE_RANDOM, 30, .probability = 0.01},
		 ERR_ABORTED,
		 "none was connected"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct err err;

		CHECK_INT(make(wrong[i].s, &err), wrong[i].code);
		CHECK_HAS(err.msg, wrong[i].why);
	}
	CHECK_INT(make((struct shape){SHAPE_REGULAR, 2, .degree = 1},
		       &(struct err){0}),
		  0);
}
