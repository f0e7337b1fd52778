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
