#include "test.h"

#include "base/mem.h"
#include "fl/theta.h"
#include "nn/npy.h"
#include "nn/npz.h"

enum { MAX = 1 << 20 };

static struct buf array(int64_t n, float first)
{
	struct buf b = BUF_INIT(0);
	float values[16];

	for (int i = 0; i < 16; i++)
		values[i] = first + (float)i;
	npy_encode(&b, 1, &n, values);
	return b;
}

static void check_array(const NDArray *a, int64_t n, double first)
{
	struct npy d;

	CHECK(!npy_decode(&d, a->ndarray.data, a->ndarray.len, "x", NULL));
	CHECK_INT(d.dim[0], n);
	CHECK_NEAR(npy_value(&d, 0), first, 0);
}

TEST(files_one_after_the_other_are_arrays)
{
	struct buf one = array(3, 1), two = array(16, 7);
	struct theta t;

	buf_put(&one, two.p, two.len);
	CHECK(!theta_parse(&t, one.p, one.len, MAX, "CMD", NULL));
	CHECK_INT(t.n, 2);
	check_array(t.at[0], 3, 1);
	check_array(t.at[1], 16, 7);
	theta_release(&t);
	CHECK(!theta_parse(&t, "", 0, MAX, "CMD", NULL));
	CHECK_INT(t.n, 0);
	buf_release(&one);
	buf_release(&two);
}

TEST(an_archive_is_its_arrays_there_and_back)
{
	struct buf one = array(3, 1), two = array(16, 7), npz = BUF_INIT(0);
	struct theta t, back;

	buf_put(&one, two.p, two.len);
	CHECK(!theta_parse(&t, one.p, one.len, MAX, "CMD", NULL));
	CHECK(!theta_pack(&npz, t.at, t.n, NULL));
	CHECK(!memcmp(npz.p, "PK", 2));
	CHECK(!theta_parse(&back, npz.p, npz.len, MAX, "CMD", NULL));
	CHECK_INT(back.n, 2);
	check_array(back.at[0], 3, 1);
	check_array(back.at[1], 16, 7);
	theta_release(&t);
	theta_release(&back);
	buf_release(&npz);
	buf_release(&one);
	buf_release(&two);
}

static void check_bad(const void *p, size_t len, int code, const char *why)
{
	struct theta t;
	struct err err;

	CHECK_INT(theta_parse(&t, p, len, 331, "CMD", &err), code);
	CHECK_HAS(err.msg, why);
}

TEST(what_is_none_is_refused_with_the_reason)
{
	struct buf one = array(3, 1), npz = BUF_INIT(0);
	struct npz_member m[] = {{"a", array(3, 1)}, {"b", array(16, 0)}};

	check_bad("hello", 5, ERR_INVALID_ARGUMENT, "CMD ends at byte 5");
	check_bad("hello, world", 12, ERR_INVALID_ARGUMENT, "magic");
	check_bad("PK\3\4", 4, ERR_INVALID_ARGUMENT, "CMD: ");
	check_bad(one.p, one.len - 1, ERR_INVALID_ARGUMENT, "its shape says");
	buf_puts(&one, "\n");
	check_bad(one.p, one.len, ERR_INVALID_ARGUMENT, "array 1 of: CMD");
	CHECK(!npz_pack(&npz, m, 2, "x", NULL));
	check_bad(npz.p, npz.len, ERR_RESOURCE_EXHAUSTED, "above max-message");
	m[1].bytes.len--;
	buf_reset(&npz);
	CHECK(!npz_pack(&npz, m, 2, "x", NULL));
	check_bad(npz.p, npz.len, ERR_INVALID_ARGUMENT, "CMD: b ends");
	buf_release(&npz);
	buf_release(&m[0].bytes);
	buf_release(&m[1].bytes);
	buf_release(&one);
}

TEST(more_arrays_than_an_archive_may_have_are_refused)
{
	NDArray one = NDARRAY__INIT, **theta;
	struct buf a = array(1, 1), all = BUF_INIT(0), npz = BUF_INIT(0);
	struct theta t;
	struct err err;

	theta = mem_zero(NPZ_MEMBERS_MAX + 1, sizeof(NDArray *));
	for (int i = 0; i <= NPZ_MEMBERS_MAX; i++) {
		theta[i] = &one;
		buf_put(&all, a.p, a.len);
	}
	CHECK_INT(theta_parse(&t, all.p, all.len, 0, "CMD", &err),
		  ERR_INVALID_ARGUMENT);
	CHECK_STR(err.msg, "CMD: more than 65536 arrays");
	CHECK_INT(theta_pack(&npz, theta, NPZ_MEMBERS_MAX + 1, &err),
		  ERR_INVALID_ARGUMENT);
	CHECK(!theta_parse(&t, all.p, all.len - a.len, 0, "CMD", &err));
	CHECK_INT(t.n, NPZ_MEMBERS_MAX);
	theta_release(&t);
	free(theta);
	buf_release(&a);
	buf_release(&all);
}
