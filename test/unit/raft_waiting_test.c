/* Who waits for an answer gets one, once, and it says what became of it. */
#include "test.h"

#include "raft/waiting.h"

struct told {
	int n;
	struct err err; /* code 0: well */
	struct driver_result result;
};

static void on_done(const struct err *err, const struct driver_result *result,
		    void *arg)
{
	struct told *t = arg;

	t->n++;
	t->err.code = ERR_OK;
	if (err)
		t->err = *err;
	t->result = *result;
}

static void on_read(const struct err *err, void *arg)
{
	const struct driver_result none = {0};

	on_done(err, &none, arg);
}

static const struct driver_proposal plain = {0},
				    retried = {.client = 3, .seq = 1};

TEST(an_entry_of_another_leader_says_that_the_proposal_is_lost)
{
	const struct driver_result other = {.index = 5, .term = 3, .id = 9};
	struct waiting *w = waiting_new();
	struct told t = {0};

	waiting_add(w, 5, 2, &plain, on_done, &t);
	CHECK(!waiting_applied(w, 5, 3, NULL, &other));
	CHECK_INT(t.n, 1);
	CHECK_INT(t.err.code, ERR_UNAVAILABLE);
	CHECK_HAS(t.err.msg, "lost with the leader of term 2");
	CHECK(!waiting_applied(w, 5, 3, NULL, &other));
	CHECK_INT(t.n, 1);
	waiting_free(w);
}

TEST(a_proposal_in_the_place_of_an_earlier_one_ends_that)
{
	const struct driver_result result = {.index = 5, .term = 4, .id = 9};
	struct waiting *w = waiting_new();
	struct told first = {0}, second = {0};

	waiting_add(w, 5, 2, &plain, on_done, &first);
	waiting_add(w, 5, 4, &retried, on_done, &second);
	CHECK_INT(first.err.code, ERR_ABORTED);
	CHECK_INT(first.result.term, 2);
	CHECK_INT(second.n, 0);
	waiting_applied(w, 5, 4, NULL, &result);
	CHECK_INT(first.n, 1);
	CHECK_INT(second.n, 1);
	CHECK_INT(second.err.code, 0);
	CHECK_INT(second.result.id, 9);
	waiting_free(w);
}

TEST(only_a_patient_proposal_lets_the_others_wait)
{
	const struct driver_proposal patient = {.patient = true};
	const struct driver_result result = {0};
	struct waiting *w = waiting_new();

	waiting_add(w, 5, 2, &patient, NULL, NULL);
	waiting_add(w, 6, 2, &plain, NULL, NULL);
	waiting_add(w, 7, 2, &patient, NULL, NULL);
	CHECK(waiting_applied(w, 5, 2, NULL, &result));
	CHECK(!waiting_applied(w, 6, 2, NULL, &result));
	CHECK(!waiting_applied(w, 7, 3, NULL, &result));
	waiting_free(w);
}

/* The entries up to 5 are committed: they will be applied here yet. */
TEST(lost_leadership_ends_what_is_not_committed_once)
{
	const struct driver_result result = {.index = 5, .term = 2, .id = 9};
	struct told safe = {0}, p = {0}, s = {0}, r[2] = {0};
	struct waiting *w = waiting_new();
	int64_t ctx;

	waiting_add(w, 5, 2, &plain, on_done, &safe);
	waiting_add(w, 6, 2, &plain, on_done, &p);
	waiting_add(w, 7, 2, &retried, on_done, &s);
	waiting_add(w, 8, 2, &plain, NULL, NULL);
	ctx = waiting_read(w, on_read, &r[0]);
	CHECK(waiting_read(w, on_read, &r[1]) != ctx);
	waiting_lost(w, 5, "the sky fell");
	CHECK_INT(p.err.code, ERR_ABORTED);
	CHECK_HAS(p.err.msg, "the sky fell");
	CHECK_INT(s.err.code, ERR_UNAVAILABLE);
	for (int i = 0; i < 2; i++) {
		CHECK_INT(r[i].err.code, ERR_UNAVAILABLE);
		CHECK_HAS(r[i].err.msg, "the sky fell while reading");
	}
	waiting_lost(w, 5, "and again");
	waiting_read_done(w, ctx, NULL);
	CHECK_INT(p.n + s.n, 2);
	CHECK_INT(r[0].n + r[1].n, 2);
	CHECK_INT(safe.n, 0);
	waiting_applied(w, 5, 2, NULL, &result);
	CHECK_INT(safe.n, 1);
	CHECK_INT(safe.err.code, 0);
	CHECK_INT(safe.result.id, 9);
	waiting_free(w);
}

TEST(a_read_that_is_taken_back_is_not_answered)
{
	struct waiting *w = waiting_new();
	struct told a = {0}, b = {0};
	int64_t first = waiting_read(w, on_read, &a);
	int64_t second = waiting_read(w, on_read, &b);

	waiting_read_undo(w, first);
	waiting_read_done(w, first, NULL);
	waiting_read_done(w, second, NULL);
	CHECK_INT(a.n, 0);
	CHECK_INT(b.n, 1);
	waiting_free(w);
}

TEST(known_answers_come_when_asked_for_and_in_order)
{
	struct driver_result result = {.id = 1};
	struct waiting *w = waiting_new();
	struct told t = {0};
	struct err err;

	waiting_known(w, NULL, &result, on_done, &t);
	result.id = 2;
	err_set(&err, ERR_ABORTED, "too late");
	waiting_known(w, &err, &result, on_done, &t);
	CHECK_INT(t.n, 0);
	waiting_answer_known(w);
	CHECK_INT(t.n, 2);
	CHECK_INT(t.result.id, 2);
	CHECK_STR(t.err.msg, "too late");
	waiting_free(w);
}

TEST(who_waits_at_the_end_is_told_nothing)
{
	const struct driver_result result = {0};
	struct waiting *w = waiting_new();
	struct told t = {0};

	for (int i = 0; i < 3; i++) {
		waiting_add(w, 5 + i, 2, &plain, on_done, &t);
		waiting_read(w, on_read, &t);
		waiting_known(w, NULL, &result, on_done, &t);
	}
	waiting_free(w);
	CHECK_INT(t.n, 0);
}
