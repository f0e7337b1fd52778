#include "test.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fl/contract.h"

/* Feed text, a piece at a time, and its end. */
static int hear(struct contract *c, const char *text, size_t piece,
		struct err *err)
{
	size_t len = strlen(text);

	contract_begin(c);
	for (size_t i = 0; i < len; i += piece)
		if (contract_feed(c, text + i,
				  len - i < piece ? len - i : piece, err))
			return (int)err->code;
	return contract_end(c, err);
}

TEST(contract_takes_a_result_however_it_is_cut)
{
	static const char text[] =
		"{\"type\":\"progress\",\"step\":3}\n\n"
		" \r\n{\"type\":\"weather\",\"num_examples\":\"no\"}\n"
		"{\"type\":\"result\",\"num_examples\":12,\"metrics\":"
		"{\"loss\":0.5,\"accuracy\":1,\"other\":null}}";
	struct err err;

	for (size_t piece = 1; piece < sizeof(text); piece += 7) {
		struct contract c = {0};

		CHECK_INT(hear(&c, text, piece, &err), 0);
		CHECK(c.result && !c.ready && c.num_examples == 12);
		CHECK(c.loss == 0.5 && c.accuracy == 1);
		contract_release(&c);
	}
}

TEST(contract_forgets_a_result_with_the_next_task)
{
	struct contract c = {0};
	struct err err;

	CHECK(!hear(&c, "{\"type\":\"result\",\"num_examples\":7}\n", 64,
		    &err));
	CHECK(c.result && isnan(c.loss) && isnan(c.accuracy));
	contract_begin(&c);
	CHECK(!c.result && !c.num_examples);
	contract_release(&c);
}

TEST(contract_is_ready_for_its_protocol_only)
{
	struct contract c = {0};
	struct err err;

	CHECK(!hear(&c, "{\"type\":\"ready\",\"protocol\":1}\n", 64, &err));
	CHECK(c.ready);
	CHECK(hear(&c, "{\"type\":\"ready\",\"protocol\":2}\n", 64, &err) ==
	      ERR_INVALID_ARGUMENT);
	contract_release(&c);
}

static void is_wrong(const char *text, const char *why)
{
	struct contract c = {0};
	struct err err;

	CHECK_INT(hear(&c, text, 1000, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, why);
	CHECK(isnan(c.accuracy)); /* a refused one is not kept */
	contract_release(&c);
}

TEST(contract_names_the_line_that_is_none)
{
	is_wrong("epoch 1\n", "line 1 of its stdout, \"epoch 1\": line 1");
	is_wrong("\n[1]\n", "line 2 of its stdout, \"[1]\": no object");
	is_wrong("{\"type\":1}", "with a \"type\"");
	is_wrong("{\"type\":\"result\",\"num_examples\":-1}", "num_examples");
	is_wrong("{\"type\":\"result\",\"num_examples\":1.5}", "num_examples");
	is_wrong("{\"type\":\"result\",\"num_examples\":99999999999999999999}",
		 "num_examples");
	is_wrong("{\"type\":\"result\",\"metrics\":[]}", "metrics");
	is_wrong("{\"type\":\"result\",\"metrics\":{\"accuracy\":1.5}}",
		 "accuracy is no number from 0 to 1");
	is_wrong("{\"type\":\"result\",\"metrics\":{\"loss\":\"nan\"}}",
		 "loss");
	is_wrong("{\"type\":\"result\",\"metrics\":{\"loss\":NaN}}", "line 1");
	is_wrong("{\"type\":\"result\"}\n{\"type\":\"result\"}\n",
		 "a second result");
	is_wrong("{\"type\":\"a\",\"type\":\"b\"}", "duplicate");
}

TEST(contract_bounds_a_line_and_all_of_them)
{
	struct contract c = {0};
	char *text = mem_zero(CONTRACT_LINE_MAX + 2, 1);
	struct err err;
	int rc = 0, n = 0;

	memset(text, ' ', CONTRACT_LINE_MAX + 1);
	CHECK_INT(hear(&c, text, CONTRACT_LINE_MAX, &err),
		  ERR_RESOURCE_EXHAUSTED);
	CHECK_HAS(err.msg, "65536 bytes without a newline");
	contract_release(&c);
	c = (struct contract){0};
	contract_begin(&c);
	text[CONTRACT_LINE_MAX - 1] = '\n';
	for (; !rc && n < 1000; n++)
		rc = contract_feed(&c, text, CONTRACT_LINE_MAX, &err);
	CHECK_INT(rc, ERR_RESOURCE_EXHAUSTED);
	CHECK(n > CONTRACT_ALL_MAX / CONTRACT_LINE_MAX);
	CHECK_HAS(err.msg, "16777216 bytes");
	contract_release(&c);
	free(text);
}

TEST(contract_bounds_the_depth_of_what_it_reads)
{
	char text[201] = "";

	memset(text, '[', 200);
	struct contract c = {0};
	struct err err;

	CHECK_INT(hear(&c, text, 300, &err), ERR_RESOURCE_EXHAUSTED);
	contract_release(&c);
}

TEST(contract_task_is_a_line_of_strings)
{
	struct facts f = {0};
	struct buf b = BUF_INIT(0);

	facts_add(&f, "GFL_OP", "train");
	facts_add(&f, "GFL_DATA", "a \"b\"\n\xff=");
	facts_add(&f, "GFL_INDEX", "%s", "");
	contract_task(&b, &f);
	CHECK_STR(b.p,
		  "{\"GFL_OP\":\"train\",\"GFL_DATA\":\"a \\\"b\\\"\\n?=\","
		  "\"GFL_INDEX\":\"\"}\n");
	buf_release(&b);
	facts_release(&f);
}

TEST(contract_words_are_text)
{
	struct buf b = BUF_INIT(0);

	contract_words(&b, "so\xc3\xa9 \xc3(\0 \r\n\n", 12);
	CHECK_STR(b.p, "so\xc3\xa9 ?(");
	buf_release(&b);
}
