/* Histories that no log gives are found, by name. */
#include "ledger.h"

#include "test.h"

enum { A = 1, B };

static void show(struct ledger *h, int64_t index, int64_t term, int64_t op,
		 bool effect, enum err_code want)
{
	Gfl__V1__LogEntry e = GFL__V1__LOG_ENTRY__INIT;
	void *entry = ledger_entry(op, 300, &e.entry);
	struct err err = {0};

	if (!effect)
		e.entry = NULL;
	e.index = index;
	e.term = term;
	CHECK_INT(ledger_show(h, &e, true, 1, &err), want);
	free(entry);
}

static int64_t write_at(struct ledger *h, int64_t index, int64_t start,
			int64_t end)
{
	int64_t op = ledger_begin(h, true, 1, A, start);

	if (end)
		ledger_end(h, op, index, end);
	return op;
}

static void read_at(struct ledger *h, int64_t index, int64_t start, int64_t end)
{
	ledger_end(h, ledger_begin(h, false, 1, B, start), index, end);
}

/* says NULL: all holds */
static struct ledger_result check(struct ledger *h, const char *says)
{
	struct ledger_result r;
	struct err err = {0};

	if (ledger_check(h, &r, &err)) {
		CHECK_INT(err.code, ERR_DATA_LOSS);
		CHECK_HAS(err.msg, says ? says : "nothing");
	} else {
		CHECK(!says);
	}
	ledger_release(h);
	return r;
}

TEST(writes_and_reads_in_order_hold)
{
	struct ledger h = {0};
	int64_t one = write_at(&h, 1, 10, 20), two = write_at(&h, 2, 15, 30);
	struct ledger_result r;

	read_at(&h, 1, 21, 25);
	read_at(&h, 2, 22, 40);
	show(&h, 1, 1, one, true, ERR_OK);
	show(&h, 2, 1, two, true, ERR_OK);
	r = check(&h, NULL);
	CHECK_INT(r.registers, 4);
	CHECK_INT(r.unseen, 0);
}

TEST(a_read_that_is_behind_what_was_acknowledged_is_stale)
{
	struct ledger h = {0};

	show(&h, 1, 1, write_at(&h, 1, 10, 20), true, ERR_OK);
	read_at(&h, 0, 21, 25);
	check(&h, "stale read: operation 2");
}

TEST(a_write_that_comes_before_an_earlier_one_is_out_of_order)
{
	struct ledger h = {0};

	show(&h, 2, 1, write_at(&h, 2, 10, 20), true, ERR_OK);
	show(&h, 1, 1, write_at(&h, 1, 21, 30), true, ERR_OK);
	check(&h, "out of order: operation 2");
}

TEST(an_acknowledged_write_without_its_entry_is_lost)
{
	struct ledger h = {0};
	int64_t one = write_at(&h, 1, 10, 20), two = write_at(&h, 2, 10, 0);

	(void)one;
	show(&h, 1, 1, two, true, ERR_OK);
	check(&h, "lost: operation 1");
}

TEST(an_acknowledged_write_without_effect_is_lost)
{
	struct ledger h = {0};

	show(&h, 1, 1, write_at(&h, 1, 10, 20), false, ERR_OK);
	check(&h, "lost: operation 1");
}

TEST(a_write_of_two_effects_was_applied_twice)
{
	struct ledger h = {0};
	int64_t op = write_at(&h, 1, 10, 20);

	show(&h, 1, 1, op, true, ERR_OK);
	show(&h, 2, 1, op, true, ERR_OK);
	check(&h, "applied twice");
}

TEST(a_repetition_without_effect_is_fine)
{
	struct ledger h = {0};
	int64_t op = write_at(&h, 1, 10, 20);

	show(&h, 1, 1, op, true, ERR_OK);
	show(&h, 2, 1, op, false, ERR_OK);
	check(&h, NULL);
}

TEST(nodes_that_show_other_entries_differ)
{
	struct ledger h = {0};
	int64_t one = write_at(&h, 1, 10, 20), two = write_at(&h, 2, 10, 20);

	show(&h, 1, 1, one, true, ERR_OK);
	show(&h, 1, 1, two, true, ERR_DATA_LOSS);
	show(&h, 1, 2, one, true, ERR_DATA_LOSS);
	show(&h, 1, 1, one, false, ERR_DATA_LOSS);
	ledger_release(&h);
}

/* A read of the register cannot be told where the log was compacted unseen. */
TEST(what_was_compacted_is_counted_and_not_guessed)
{
	struct ledger h = {0};
	int64_t last;
	struct ledger_result r;

	write_at(&h, 1, 10, 20);
	last = write_at(&h, 3, 21, 30);
	read_at(&h, 2, 22, 29);
	read_at(&h, 3, 31, 40);
	show(&h, 3, 1, last, true, ERR_OK);
	r = check(&h, NULL);
	CHECK_INT(r.unseen, 1);
	CHECK_INT(r.registers, 3); /* without the first read */
}

TEST(a_write_of_unknown_outcome_may_have_been_or_not)
{
	struct ledger h = {0};
	int64_t was = write_at(&h, 0, 10, 0), never = write_at(&h, 0, 10, 0);
	struct ledger_result r;

	(void)never;
	read_at(&h, 1, 20, 30);
	show(&h, 1, 1, was, true, ERR_OK);
	r = check(&h, NULL);
	CHECK_INT(r.unknown, 2);
	CHECK_INT(r.unknown_applied, 1);
	CHECK_INT(r.registers, 2);
}
