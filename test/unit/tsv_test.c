#include "test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "nn/tsv.h"

TEST(tsv_gives_back_each_value_exactly)
{
	static const float w[] = {0.1F, -3.4e38F, 1e-45F, 16777216, -0.F, 5};
	struct tensors ts = {0}, back = {0};
	struct buf b = BUF_INIT(0);
	struct err err;

	tensors_add(&ts, "fc 1.weight", 2, (int64_t[]){2, 3}, w);
	tensors_add(&ts, "scale", 0, NULL, w);
	tensors_add(&ts, "none", 1, (int64_t[]){0}, w);
	CHECK(!tsv_encode(&ts, &b, &err));
	CHECK_HAS(b.p, "fc 1.weight\t2x3\t0.100000001 ");
	CHECK_HAS(b.p, "\nscale\t\t0.100000001\nnone\t0\t\n");
	CHECK_INT(tsv_decode(&back, b.p, "t", &err), 0);
	CHECK(back.n == 3);
	for (size_t i = 0; i < ts.n; i++)
		CHECK(tensor_alike(&ts.t[i],
				   tensors_find(&back, ts.t[i].name)));
	CHECK(!memcmp(tensors_find(&back, "fc 1.weight")->data, w, sizeof(w)));
	tensors_release(&ts);
	tensors_release(&back);
	buf_release(&b);
}

static void is_wrong(const char *text, const char *why)
{
	struct tensors ts = {0};
	char *copy = mem_str(text);
	struct err err;

	CHECK_INT(tsv_decode(&ts, copy, "m.tsv", &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, why);
	free(copy);
	tensors_release(&ts);
}

TEST(tsv_names_the_line_that_is_wrong)
{
	is_wrong("w 2x3 1", "m.tsv, line 1: expected a name");
	is_wrong("\nw\t2\t1 2\tx", "m.tsv, line 2: expected a name");
	is_wrong("\t2\t1 2", "expected a name");
	is_wrong("w\t2x\t1 2", "shape");
	is_wrong("w\t2y3\t1 2", "shape");
	is_wrong("w\t-1\t1 2", "shape");
	is_wrong("w\t2147483647x2147483647x9\t1 2", "shape");
	is_wrong("w\t1x1x1x1x1x1x1x1x1\t1", "shape");
	is_wrong("w\t2147483647\t1 2", "fewer values than 2147483647");
	is_wrong("w\t3\t1 2  ", "2 values, expected 3");
	is_wrong("w\t2\t1 2 3", "value 3 of 2");
	is_wrong("w\t2\t1 two", "value 2 of 2 is no number: two");
	is_wrong("w\t2\t1,2 3", "value 1 of 2 is no number: 1,2 3");
	is_wrong("w\t1\t1\nw\t1\t1\n", "line 2: a name that comes twice");
}
