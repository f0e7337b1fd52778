#include "test.h"

#include "base/mem.h"
#include "base/rand.h"
#include "fl/payload.h"
#include "nn/bf16.h"

enum { N = 3000 };

/* What is encoded, and what comes of it. */
struct bed {
	uint32_t index[N], got_index[N], k;
	float values[N], sent[N], got[N];
	struct buf bytes;
	struct err err;
};

static void fill(struct bed *b, uint32_t k, uint64_t seed)
{
	struct rand r = {seed};
	uint32_t at = 0;

	*b = (struct bed){.k = k};
	for (uint32_t i = 0; i < k; i++) {
		b->index[i] = at;
		at += 1 + (uint32_t)rand_below(&r, 300);
		b->values[i] = (float)rand_unit(&r) - 0.5F;
	}
}

static int encode(struct bed *b, struct payload_form form)
{
	return payload_encode(&form, b->index, b->values, b->k, b->sent,
			      &b->bytes, &b->err);
}

static int decode(struct bed *b, struct payload_form form, uint32_t n)
{
	return payload_decode(&form, b->bytes.p, b->bytes.len, n, b->k,
			      b->got_index, b->got, &b->err);
}

static void check_bytes(const struct bed *b, const char *hex)
{
	char text[200] = "";

	CHECK(b->bytes.len * 2 < sizeof(text));
	for (size_t i = 0; i < b->bytes.len; i++)
		snprintf(text + 2 * i, 3, "%02x", (unsigned char)b->bytes.p[i]);
	CHECK_STR(text, hex);
}

/* These bytes are what trainers send each other: pinned for ever. */
TEST(payload_has_the_bytes_that_its_header_promises)
{
	struct bed b = {.k = 4,
			.index = {3, 130, 131, 20000},
			.values = {1, -2.5F, 0, 0.1F}};

	CHECK(!encode(&b, (struct payload_form){.indexed = true}));
	check_bytes(&b, "037f019d9b01"
			"0000803f000020c000000000cdcccc3d");
	buf_reset(&b.bytes);
	CHECK(!encode(&b, (struct payload_form){.dtype = PAYLOAD_BF16}));
	check_bytes(&b, "803f20c00000cd3d");
	buf_reset(&b.bytes);
	CHECK(!encode(&b, (struct payload_form){.dtype = PAYLOAD_INT8}));
	check_bytes(&b, "8542a13c33810005");
	buf_release(&b.bytes);
}

TEST(payload_comes_back_as_it_was_in_every_form)
{
	for (int dtype = 0; dtype < 3; dtype++)
		for (int codec = 0; codec < 2; codec++)
			for (int indexed = 0; indexed < 2; indexed++)
				for (uint32_t k = 0; k < 600; k += 53) {
					struct payload_form form = {
						dtype, codec, indexed};
					struct bed b;

					fill(&b, k, k + 1);
					CHECK(!encode(&b, form));
					CHECK(!decode(&b, form, 1 << 20));
					CHECK(!memcmp(b.got, b.sent, k * 4));
					CHECK(!indexed ||
					      !memcmp(b.got_index, b.index,
						      k * 4));
					buf_release(&b.bytes);
				}
}

TEST(payload_rounds_to_the_nearest_that_its_form_has)
{
	static const float worst[] = {0, 0x1p-9F, 0.5F / 127 / 2};
	struct bed b;

	for (int dtype = 0; dtype < 3; dtype++) {
		fill(&b, N, 5);
		CHECK(!encode(&b, (struct payload_form){.dtype = dtype}));
		CHECK_INT(b.bytes.len, payload_size(dtype, N));
		for (int i = 0; i < N; i++)
			CHECK_NEAR(b.sent[i], b.values[i],
				   (double)worst[dtype] * 1.001);
		buf_release(&b.bytes);
	}
	CHECK_INT(payload_size(PAYLOAD_F32, N), 4 * N);
	CHECK_INT(payload_size(PAYLOAD_BF16, N), 2 * N);
	CHECK_INT(payload_size(PAYLOAD_INT8, N), N + 4 * 12);
}

TEST(payload_of_int8_holds_blocks_of_nothing_and_of_the_extremes)
{
	struct bed b;

	fill(&b, 600, 1);
	memset(b.values, 0, sizeof(b.values));
	b.values[256] = 3.4e38F;
	b.values[257] = -3.4e38F;
	b.values[512] = 1e-45F;
	b.values[513] = 1e-35F;
	CHECK(!encode(&b, (struct payload_form){.dtype = PAYLOAD_INT8}));
	CHECK(!decode(&b, (struct payload_form){.dtype = PAYLOAD_INT8}, N));
	CHECK_NEAR(b.got[0], 0, 0);
	CHECK_NEAR(b.got[256], 3.4e38F, 1e33);
	CHECK_NEAR(b.got[257], -3.4e38F, 1e33);
	CHECK_NEAR(b.got[513], 1e-35F, 1e-36);
	buf_release(&b.bytes);
}

TEST(bf16_of_each_of_its_values_is_itself)
{
	for (uint32_t half = 0; half < 65536; half++) {
		const float v = bf16_value((uint16_t)half);

		if (isnan(v))
			CHECK(isnan(bf16_value(bf16_of(v))));
		else
			CHECK_INT(bf16_of(v), half);
	}
}

TEST(bf16_rounds_to_the_nearest_and_of_two_to_the_even)
{
	struct rand r = {5};
	float nan;
	uint32_t bits = 0x7f800001; /* whose upper half is infinity's */

	CHECK_INT(bf16_of(1), 0x3f80);
	CHECK_INT(bf16_of(-2.5F), 0xc020);
	CHECK_INT(bf16_of(1 + 0x1p-8F), 0x3f80);
	CHECK_INT(bf16_of(1 + 0x3p-8F), 0x3f82);
	CHECK_INT(bf16_of(1 + 0x1p-8F + 0x1p-20F), 0x3f81);
	CHECK_INT(bf16_of(3.4e38F), 0x7f80);
	CHECK_INT(bf16_of(-0.0F), 0x8000);
	memcpy(&nan, &bits, 4);
	CHECK(isnan(bf16_value(bf16_of(nan))));
	for (int i = 0; i < 100000; i++) {
		const float v = (float)(rand_unit(&r) - 0.5);
		const uint16_t h = bf16_of(v);
		const float off = fabsf(bf16_value(h) - v);

		CHECK(off <= fabsf(bf16_value((uint16_t)(h + 1)) - v));
		CHECK(off <= fabsf(bf16_value((uint16_t)(h - 1)) - v));
	}
}

TEST(payload_under_zstd_is_smaller_where_values_are_alike)
{
	struct bed b;
	size_t plain;

	fill(&b, N, 3);
	for (int i = 0; i < N; i++)
		b.values[i] = 0.01F + b.values[i] / 1000;
	CHECK(!encode(&b, (struct payload_form){.dtype = PAYLOAD_F32}));
	plain = b.bytes.len;
	buf_reset(&b.bytes);
	CHECK(!encode(&b, (struct payload_form){.codec = PAYLOAD_ZSTD}));
	CHECK(b.bytes.len < plain * 8 / 10);
	buf_release(&b.bytes);
}

TEST(payload_that_is_not_finite_is_not_encoded)
{
	static const float bad[] = {NAN, INFINITY, -INFINITY};
	struct bed b;

	for (int i = 0; i < 3; i++)
		for (int dtype = 0; dtype < 3; dtype++) {
			fill(&b, 10, 1);
			buf_puts(&b.bytes, "ab");
			b.values[7] = bad[i];
			CHECK_INT(encode(&b,
					 (struct payload_form){.dtype = dtype}),
				  ERR_INVALID_ARGUMENT);
			CHECK_HAS(b.err.msg, "not finite");
			CHECK_INT(b.bytes.len, 2);
			buf_release(&b.bytes);
		}
	fill(&b, 1, 1);
	b.values[0] = 3.4e38F; /* infinite, as bf16 has it */
	CHECK_INT(encode(&b, (struct payload_form){.dtype = PAYLOAD_BF16}),
		  ERR_INVALID_ARGUMENT);
	CHECK_HAS(b.err.msg, "too large");
	buf_release(&b.bytes);
}

static void refuse(struct payload_form form, uint32_t k, const char *bytes,
		   size_t len, const char *what)
{
	uint32_t index[8];
	float values[8];
	struct err err;

	CHECK_INT(
		payload_decode(&form, bytes, len, 1000, k, index, values, &err),
		ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, what);
}

#define REFUSE(form, k, bytes, what) \
	refuse(form, k, bytes, sizeof(bytes) - 1, what)

TEST(payload_with_bad_indices_is_refused)
{
	const struct payload_form form = {.indexed = true};

	REFUSE(form, 1, "", "cut short");
	REFUSE(form, 1, "\x81", "cut short");
	REFUSE(form, 1, "\x81\x80\x80\x80\x80\x01", "cut short or too long");
	REFUSE(form, 1, "\x81\0abcd", "cut short or too long");
	REFUSE(form, 2, "\5\0abcdabcd", "order");
	REFUSE(form, 1, "\xe8\7abcd", "range");
	REFUSE(form, 2, "\xe7\7\1abcdabcd", "range");
	REFUSE(form, 2, "\xe7\7\xff\xff\xff\xff\x0f", "range");
	REFUSE(form, 2, "\5\6abcdabc", "7 bytes are not 2 values");
	REFUSE(form, 2, "\5\6abcdabcde", "9 bytes are not 2 values");
}

TEST(payload_with_bad_values_is_refused)
{
	const struct payload_form f32 = {.dtype = PAYLOAD_F32},
				  bf16 = {.dtype = PAYLOAD_BF16},
				  int8 = {.dtype = PAYLOAD_INT8};

	REFUSE(f32, 1, "\0\0\x80\x7f", "not finite");
	REFUSE(f32, 1, "\1\0\x80\xff", "not finite");
	REFUSE(bf16, 2, "\0\0\x80\xff", "not finite");
	REFUSE(int8, 1, "\0\0\x80\x7f\0", "not finite");
	REFUSE(int8, 1, "\xff\xff\x7f\x7f\x7f", "not finite");
	REFUSE(int8, 1, "\0\0\x80\xbf\1", "out of range");
	REFUSE(int8, 1, "\0\0\x80\x3f\x80", "out of range");
	REFUSE(int8, 2, "\0\0\x80\x3f\1", "5 bytes are not 2 values");
}

TEST(payload_with_a_bad_frame_is_refused)
{
	const struct payload_form form = {.codec = PAYLOAD_ZSTD};
	struct bed b;

	REFUSE(form, 1, "", "no zstd frame");
	REFUSE(form, 1, "abcd", "no zstd frame");
	fill(&b, 8, 1);
	CHECK(!encode(&b, form));
	refuse(form, 7, b.bytes.p, b.bytes.len, "of the size expected");
	refuse(form, 8, b.bytes.p, b.bytes.len - 1, "more or less");
	buf_puts(&b.bytes, "x");
	refuse(form, 8, b.bytes.p, b.bytes.len, "more or less");
	buf_release(&b.bytes);
	b.k = 3; /* whole, but of fewer values */
	CHECK(!encode(&b, form));
	refuse(form, 8, b.bytes.p, b.bytes.len, "12 bytes are not 8 values");
	buf_release(&b.bytes);
}
