#include "test.h"

#include "proto/gateway.pb-c.h"
#include "wire/dedupe.h"

static const char method[] = "m", other[] = "n";

static const uint8_t *id_of(int n)
{
	static uint8_t id[DEDUPE_ID];

	memcpy(id, &n, sizeof(n));
	return id;
}

static void end_with(struct dedupe *d, struct dedupe_entry *e, size_t len,
		     int64_t now_ms)
{
	RemoveNodeResponse msg = REMOVE_NODE_RESPONSE__INIT;

	msg.message = malloc(len + 1);
	memset(msg.message, 'x', len);
	msg.message[len] = '\0';
	dedupe_end(d, e, &msg.base, NULL, now_ms);
	free(msg.message);
}

TEST(an_answer_is_kept_for_its_method_and_id)
{
	struct dedupe_entry *e;
	struct dedupe d;

	dedupe_init(&d);
	CHECK(!dedupe_find(&d, method, id_of(1), 0));
	e = dedupe_begin(&d, method, id_of(1), 7);
	CHECK(dedupe_find(&d, method, id_of(1), 0) == e);
	CHECK(!e->ended);
	end_with(&d, e, 3, 5);
	e = dedupe_find(&d, method, id_of(1), 5);
	CHECK(e->ended && e->packed && !e->err);
	CHECK_INT(e->digest, 7);
	CHECK(!dedupe_find(&d, other, id_of(1), 5));
	CHECK(!dedupe_find(&d, method, id_of(2), 5));
	dedupe_release(&d);
}

TEST(an_answer_is_forgotten_after_its_time)
{
	struct dedupe_entry *e;
	struct err err;
	struct dedupe d;

	dedupe_init(&d);
	e = dedupe_begin(&d, method, id_of(1), 0);
	CHECK(dedupe_find(&d, method, id_of(1), 10 * DEDUPE_MS) == e);
	err_set(&err, ERR_NOT_FOUND, "no");
	dedupe_end(&d, e, NULL, &err, 1000);
	e = dedupe_find(&d, method, id_of(1), 999 + DEDUPE_MS);
	CHECK_STR(e->err->msg, "no");
	CHECK(!dedupe_find(&d, method, id_of(1), 1000 + DEDUPE_MS));
	dedupe_release(&d);
}

TEST(at_the_bound_what_ended_first_goes)
{
	struct dedupe_entry *e;
	struct dedupe d;

	dedupe_init(&d);
	for (int i = 0; i < DEDUPE_MAX; i++)
		CHECK(dedupe_begin(&d, method, id_of(i), 0));
	CHECK(!dedupe_begin(&d, method, id_of(-1), 0));
	for (int i = 9; i >= 7; i--) {
		e = dedupe_find(&d, method, id_of(i), 0);
		end_with(&d, e, 3, 20 - i);
	}
	CHECK(dedupe_begin(&d, method, id_of(-1), 0));
	CHECK(!dedupe_find(&d, method, id_of(9), 0));
	CHECK(dedupe_find(&d, method, id_of(8), 0));
	dedupe_release(&d);
}

TEST(answers_are_bounded_in_bytes)
{
	struct dedupe_entry *e;
	struct dedupe d;

	dedupe_init(&d);
	for (int i = 0; i < 10; i++)
		end_with(&d, dedupe_begin(&d, method, id_of(i), 0), 200000, 0);
	CHECK(d.bytes <= DEDUPE_BYTES);
	CHECK(!dedupe_find(&d, method, id_of(4), 0));
	CHECK(dedupe_find(&d, method, id_of(5), 0));
	end_with(&d, dedupe_begin(&d, method, id_of(10), 0), 300000, 0);
	e = dedupe_find(&d, method, id_of(10), 0);
	CHECK_INT(e->err->code, ERR_RESOURCE_EXHAUSTED);
	CHECK_HAS(e->err->msg, "was carried out, but its answer of 300004");
	dedupe_release(&d);
}
