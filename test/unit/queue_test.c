#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "task/queue.h"
#include "wire/rpc.h"

static struct err err;

struct bench {
	struct db *db;
	struct farm farm;
};

static void load(struct bench *b)
{
	const struct farm_config config = {.scheduler = schedule_find("fifo")};

	farm_init(&b->farm, &config, 1);
	CHECK(!queue_load(b->db, &b->farm, (struct instant){1, 1}, &err));
}

static void open_bench(struct bench *b)
{
	CHECK(!db_open(&b->db, "master.db", DB_MASTER, &err));
	load(b);
}

static void close_bench(struct bench *b)
{
	farm_release(&b->farm);
	db_close(b->db);
}

/* As after a kill at once after the last commit. */
static void load_again(struct bench *b)
{
	farm_release(&b->farm);
	load(b);
}

/* One task, which comes after another one, or 0; its id. */
static int64_t submit_text(struct bench *b, const char *text, int64_t after)
{
	Gfl__V1__SubmitTasksRequest *in = mem_zero(1, sizeof(*in));
	Gfl__V1__TaskSpec *t = mem_zero(1, sizeof(*t));
	struct queue_batch *batch;
	int64_t id;

	gfl__v1__submit_tasks_request__init(in);
	gfl__v1__task_spec__init(t);
	t->task = mem_str(text);
	t->tries = 1;
	t->after = mem_dup(&after, sizeof(after));
	t->n_after = after != 0;
	in->tasks = mem_dup(&t, sizeof(t));
	in->n_tasks = 1;
	batch = queue_batch_new(in, 1, NULL);
	CHECK(!queue_submit(b->db, batch, &err));
	id = batch->items[0].id;
	queue_batch_free(batch);
	return id;
}

static int64_t submit(struct bench *b, int64_t after)
{
	return submit_text(b, "{}", after);
}

static void store(struct bench *b, int64_t id, enum task_state state)
{
	struct farm_change one = {.id = id, .state = state, .ended = id};
	const struct farm_changes all = {&one, 1, 1};

	CHECK(!queue_store(b->db, &all, &err));
}

TEST(a_task_after_one_that_failed_never_begins_also_if_the_master_is_killed)
{
	struct bench b;
	int64_t good, bad, after_good, after_bad;

	open_bench(&b);
	good = submit(&b, 0);
	bad = submit(&b, 0);
	store(&b, good, TASK_DONE);
	store(&b, bad, TASK_FAILED);
	after_good = submit(&b, good);
	after_bad = submit(&b, bad);
	load_again(&b);
	CHECK_INT(farm_find(&b.farm, after_good)->state, TASK_READY);
	CHECK_INT(farm_find(&b.farm, after_bad)->state, TASK_CANCELLED);
	close_bench(&b);
}

TEST(no_more_rows_are_read_at_once_than_an_answer_has_room_for)
{
	const size_t len = QUEUE_ROWS_BYTES / 3;
	char *text = mem_zero(len + 1, 1);
	struct queue_rows rows = {0};
	int64_t last = 0;
	struct bench b;

	memset(text, 'x', len);
	open_bench(&b);
	for (int i = 0; i < 7; i++)
		last = submit_text(&b, text, 0);
	CHECK(!queue_list(b.db, 0, 0, 100, &rows, &err));
	CHECK(rows.n == 3 && rows.more);
	queue_rows_release(&rows);
	CHECK(!queue_list(b.db, last - 1, 0, 100, &rows, &err));
	CHECK(rows.n == 1 && !rows.more);
	queue_rows_release(&rows);
	close_bench(&b);
	free(text);
}

static void keep(struct bench *b, const char *id, bool gone, int64_t seen_ms)
{
	struct crew *c = crew_new(id);
	struct queue_worker *w;

	c->dead = gone;
	c->seen_wall_ms = seen_ms;
	w = queue_worker_new(c, false);
	CHECK(!queue_store_worker(b->db, w, &err));
	queue_worker_free(w);
	crew_free(c);
}

/* ---- what is forgotten ---- */

/* So many lines of a token, from this one on; the id of the first. */
static int64_t submit_lines(struct bench *b, const char *token, int64_t line,
			    size_t n)
{
	Gfl__V1__SubmitTasksRequest *in = mem_zero(1, sizeof(*in));
	struct queue_batch *batch;
	int64_t id;

	gfl__v1__submit_tasks_request__init(in);
	in->token = mem_str(token);
	in->tasks = mem_zero(n, sizeof(*in->tasks));
	for (; in->n_tasks < n; in->n_tasks++) {
		Gfl__V1__TaskSpec *t = mem_zero(1, sizeof(*t));

		gfl__v1__task_spec__init(t);
		t->task = mem_str("{}");
		t->line = line + (int64_t)in->n_tasks;
		in->tasks[in->n_tasks] = t;
	}
	batch = queue_batch_new(in, 1, NULL);
	CHECK(!queue_submit(b->db, batch, &err));
	id = batch->items[0].id;
	queue_batch_free(batch);
	return id;
}

static void end_at(struct bench *b, int64_t id, int64_t ended_ms)
{
	struct farm_change one = {.id = id,
				  .state = TASK_DONE,
				  .ended = id,
				  .ended_wall_ms = ended_ms};
	const struct farm_changes all = {&one, 1, 1};

	CHECK(!queue_store(b->db, &all, &err));
}

static void prune(struct bench *b, int64_t before_ms)
{
	struct queue_prune p = {.before_wall_ms = before_ms};

	do {
		CHECK(!queue_prune(b->db, &p, &err));
		p.after = p.next;
	} while (p.next);
}

static int64_t count(struct bench *b, const char *table)
{
	char *sql = mem_fmt("SELECT count(*) FROM %s", table);
	int64_t n;

	CHECK(!db_number(b->db, sql, 0, &n, &err));
	free(sql);
	return n;
}

TEST(lines_that_were_submitted_at_once_are_forgotten_at_once)
{
	int64_t first, second, last;
	struct bench b;

	open_bench(&b);
	first = submit_lines(&b, "t", 1, 3);
	second = submit_lines(&b, "t", 4, 2);
	last = submit_lines(&b, "other", 1, 1);
	for (int i = 0; i < 3; i++)
		end_at(&b, first + i, 10);
	end_at(&b, second, 10); /* and one that has not ended */
	end_at(&b, last, 10);
	prune(&b, 10);
	CHECK_INT(count(&b, "task"), 6);
	prune(&b, 11); /* the last id of all stays */
	CHECK_INT(count(&b, "task"), 3);
	CHECK_INT(count(&b, "state"), 3);
	CHECK_INT(count(&b, "line"), 2);
	CHECK_INT(submit_lines(&b, "t", 4, 2), second);
	CHECK_INT(submit_lines(&b, "t", 1, 3), last + 1);
	CHECK_INT(submit_lines(&b, "t", 2, 1), last + 2);
	close_bench(&b);
}

TEST(history_is_as_long_as_it_is_kept_whatever_never_ends)
{
	struct bench b;
	int64_t stuck;

	open_bench(&b);
	stuck = submit_lines(&b, "stuck", 1, 600); /* more than go at a time */
	for (int64_t i = 1; i < 600; i++)
		end_at(&b, stuck + i, 1);
	for (int64_t ms = 1; ms <= 2000; ms++) {
		char token[24];

		snprintf(token, sizeof(token), "%d", (int)ms);
		end_at(&b, submit_lines(&b, token, 1, 1), ms);
	}
	prune(&b, 1981);
	CHECK_INT(count(&b, "task"), 620);
	CHECK_INT(count(&b, "submission"), 21);
	CHECK_INT(count(&b, "line"), 21);
	close_bench(&b);
}

TEST(what_came_after_a_task_that_is_forgotten_goes_on)
{
	int64_t done, open, waits;
	struct bench b;

	open_bench(&b);
	done = submit(&b, 0);
	open = submit(&b, 0);
	waits = submit(&b, done);
	CHECK(!db_exec(b.db, "INSERT INTO dep VALUES (3, 2)", &err));
	CHECK(open == 2 && waits == 3);
	end_at(&b, done, 1);
	end_at(&b, submit(&b, 0), 3);
	prune(&b, 2);
	CHECK_INT(count(&b, "task"), 3);
	load_again(&b);
	CHECK_INT(farm_find(&b.farm, waits)->state, TASK_WAITING);
	end_at(&b, open, 1);
	prune(&b, 2);
	load_again(&b);
	CHECK_INT(farm_find(&b.farm, waits)->state, TASK_READY);
	close_bench(&b);
}

TEST(workers_that_are_gone_for_long_are_forgotten)
{
	struct queue_prune p = {.before_wall_ms = 10};
	struct bench b;

	open_bench(&b);
	keep(&b, "gone for long", true, 9);
	keep(&b, "gone", true, 10);
	keep(&b, "here", false, 9);
	CHECK(!queue_prune(b.db, &p, &err));
	load_again(&b);
	CHECK_INT(HASH_COUNT(b.farm.crew), 2);
	close_bench(&b);
}
