#include "test.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "task/farm.h"
#include "wire/utf8.h"

static struct err err;
static struct buf trace; /* what has changed, in words */
static struct instant now = {1000, 5000000};

static struct farm_config config(const char *scheduler)
{
	return (struct farm_config){
		.scheduler = schedule_find(scheduler),
		.silence_ms = 30000,
		.grace_ms = 10,
		.retry_ms = 1000,
		.retry_max_ms = 60000,
		.breaker = {3, 300000, 2},
		.max_tasks = 1000000,
	};
}

static void begin(struct farm *f, const char *scheduler)
{
	const struct farm_config c = config(scheduler);

	farm_init(f, &c, 1);
}

static void end(struct farm *f)
{
	farm_release(f);
	buf_release(&trace);
}

static struct task *put(struct farm *f, int64_t id, int priority)
{
	struct task *t = task_new(id, "{}", NULL, NULL);

	t->state = TASK_READY;
	t->priority = priority;
	farm_add(f, t, NULL, 0, now);
	return t;
}

static void enter(struct farm *f, const char *id, const char *instance,
		  int slots)
{
	const struct farm_worker who = {.id = id,
					.url = "",
					.instance = instance,
					.gfl = *instance,
					.slots = slots};

	CHECK(!farm_register(f, &who, now, &err));
}

static struct crew *find(const struct farm *f, const char *id)
{
	struct crew *c;

	HASH_FIND_STR(f->crew, id, c);
	return c;
}

static void tell(struct farm *f, struct crew *c)
{
	struct task *t;

	TAILQ_FOREACH (t, &c->tasks, of_crew) {
		if (t->deliver)
			buf_putf(&trace, "%s gets %" PRId64 "/%d; ", c->id,
				 t->id, t->tries);
		t->deliver = false;
	}
	for (size_t i = 0; i < c->n_cancels; i++) {
		buf_putf(&trace, "%s stops %s; ", c->id, c->cancels[i]);
		free(c->cancels[i]);
	}
	c->n_cancels = 0;
	(void)f;
}

/* What has been decided since the last time. */
static const char *said(struct farm *f)
{
	struct crew *c;

	buf_reset(&trace);
	buf_puts(&trace, "");
	farm_match(f, now);
	while ((c = farm_next_to_tell(f)))
		tell(f, c);
	for (size_t i = 0; i < f->changes.n; i++) {
		const struct farm_change *d = &f->changes.at[i];

		if (d->state != TASK_RUNNING)
			buf_putf(&trace, "%" PRId64 " %s; ", d->id,
				 task_state_name(d->state));
		if (d->ended)
			farm_forget(f, d->id);
	}
	farm_changes_release(&f->changes);
	if (trace.len)
		trace.p[trace.len -= 2] = '\0';
	return trace.p;
}

static struct farm_given given(const struct farm *f, int64_t id)
{
	return (struct farm_given){id, farm_find(f, id)->given};
}

static void asks(struct farm *f, const char *id, int n)
{
	find(f, id)->asks = n;
}

static int result(struct farm *f, const char *worker, const char *task, int try,
		  bool success)
{
	const struct farm_result r = {
		.worker = worker,
		.task = task,
		.try = try,
		.success = success,
		.duration_s = 1,
		.error = "",
		.metrics = "",
		.output = "",
	};

	return farm_result(f, &r, now, &err);
}

static void no_dead(struct crew *c, void *arg)
{
	(void)arg;
	buf_putf(&trace, "%s", c->id);
}

static void pass(struct farm *f, int64_t ms)
{
	for (int64_t end_ms = now.ms + ms; now.ms < end_ms;) {
		int64_t step = end_ms - now.ms < 1000 ? end_ms - now.ms : 1000;

		now.ms += step;
		now.wall_ms += step;
		farm_tick(f, now, no_dead, NULL);
	}
}

TEST(a_higher_priority_goes_first_and_then_the_older)
{
	struct farm f;

	begin(&f, "priority");
	put(&f, 1, 0);
	put(&f, 2, 5);
	put(&f, 3, 5);
	enter(&f, "a", "", 1);
	asks(&f, "a", 2);
	CHECK_STR(said(&f), "a gets 2/1; a gets 3/1");
	asks(&f, "a", 2);
	CHECK_STR(said(&f), "a gets 1/1");
	end(&f);
}

TEST(fifo_heeds_no_priority)
{
	struct farm f;

	begin(&f, "fifo");
	put(&f, 1, 0);
	put(&f, 2, 5);
	enter(&f, "a", "", 1);
	asks(&f, "a", 1);
	CHECK_STR(said(&f), "a gets 1/1");
	end(&f);
}

TEST(a_failure_is_tried_again_later_and_the_fourth_is_the_last)
{
	struct farm f;

	begin(&f, "priority");
	put(&f, 1, 0);
	enter(&f, "a", "", 1);
	for (int try = 1; try < 4; try++) {
		asks(&f, "a", 1);
		said(&f);
		CHECK(!result(&f, "a", "1", 0, false));
		CHECK_STR(said(&f), "1 delayed");
		CHECK(farm_due(&f) - now.ms >= 500 << (try - 1));
		CHECK(farm_due(&f) - now.ms <= 1000 << (try - 1));
		pass(&f, farm_due(&f) - now.ms);
		find(&f, "a")->seen_ms = now.ms;
	}
	asks(&f, "a", 1);
	CHECK_STR(said(&f), "a gets 1/4; 1 ready");
	CHECK(!result(&f, "a", "1", 0, false));
	CHECK_STR(said(&f), "1 failed");
	CHECK(result(&f, "a", "1", 0, false) == ERR_NOT_FOUND);
	end(&f);
}

TEST(a_clock_that_was_set_back_delays_no_task)
{
	struct task *t = task_new(1, "{}", NULL, NULL);
	struct farm f;

	begin(&f, "priority");
	t->state = TASK_DELAYED;
	t->due_wall_ms = now.wall_ms + 86400000;
	farm_add(&f, t, NULL, 0, now);
	CHECK_INT(farm_due(&f), now.ms + 60000);
	pass(&f, 60000);
	CHECK_STR(said(&f), "1 ready");
	end(&f);
}

TEST(a_failure_that_would_come_again_is_the_last)
{
	const struct farm_result r = {.worker = "a",
				      .task = "1",
				      .final = true,
				      .error = "too large",
				      .metrics = "",
				      .output = ""};
	struct farm f;

	begin(&f, "priority");
	put(&f, 1, 0);
	enter(&f, "a", "", 1);
	asks(&f, "a", 1);
	said(&f);
	CHECK(!farm_result(&f, &r, now, &err));
	CHECK_STR(said(&f), "1 failed");
	end(&f);
}

TEST(the_tasks_of_a_silent_worker_go_elsewhere)
{
	struct farm f;

	begin(&f, "priority");
	put(&f, 1, 0);
	enter(&f, "a", "", 1);
	enter(&f, "b", "", 1);
	asks(&f, "a", 1);
	CHECK_STR(said(&f), "a gets 1/1");
	asks(&f, "b", 1);
	pass(&f, 29999);
	find(&f, "b")->seen_ms = now.ms;
	CHECK_STR(said(&f), "");
	pass(&f, 1);
	CHECK(find(&f, "a")->dead && !find(&f, "b")->dead);
	CHECK_STR(said(&f), "b gets 1/2; 1 ready");
	CHECK(!farm_hear(&f, "a", "", now));
	end(&f);
}

TEST(a_late_result_is_heard_if_it_is_the_first)
{
	struct farm f;

	begin(&f, "priority");
	put(&f, 1, 0);
	put(&f, 2, 0);
	enter(&f, "a", "i", 2);
	enter(&f, "b", "j", 2);
	asks(&f, "a", 2);
	CHECK_STR(said(&f), "a gets 1/1; a gets 2/1");
	pass(&f, 30000);
	enter(&f, "b", "j", 2);
	asks(&f, "b", 2);
	CHECK_STR(said(&f), "b gets 1/2; b gets 2/2; 1 ready; 2 ready");
	CHECK(!result(&f, "a", "1", 1, true));
	CHECK_STR(said(&f), "b stops 1/2; 1 done");
	CHECK(result(&f, "b", "1", 2, true) == ERR_NOT_FOUND);
	CHECK(result(&f, "a", "2", 1, false) == ERR_ABORTED);
	CHECK_STR(err.msg, "task 2 was taken from b: it is running on b");
	CHECK(!result(&f, "b", "2", 2, true));
	CHECK(result(&f, "a", "2", 1, true) == ERR_ABORTED);
	CHECK_STR(err.msg, "task 2 is done already, by b");
	CHECK(!result(&f, "b", "2", 2, true)); /* the same again */
	CHECK_STR(said(&f), "2 done");
	end(&f);
}

TEST(nobody_has_a_result_of_what_nobody_was_given)
{
	const int64_t one[] = {1};
	struct farm f;

	begin(&f, "priority");
	put(&f, 1, 0);
	farm_add(&f, task_new(2, "{}", NULL, NULL), one, 1, now);
	enter(&f, "a", "i", 1);
	CHECK_INT(result(&f, "a", "1", 1, true), ERR_ABORTED);
	CHECK_STR(err.msg, "task 1 was given to nobody: it is ready");
	CHECK_INT(result(&f, "a", "2", 0, true), ERR_ABORTED);
	CHECK_STR(err.msg, "task 2 was given to nobody: it is waiting");
	asks(&f, "a", 1);
	CHECK_STR(said(&f), "a gets 1/1");
	CHECK(!result(&f, "a", "1", 1, true));
	CHECK_STR(said(&f), "1 done; 2 ready");
	end(&f);
}

TEST(what_a_worker_has_not_got_is_delivered_again_and_counts_once)
{
	char *holding[] = {(char *)"1/1"};
	struct farm f;

	begin(&f, "priority");
	put(&f, 1, 0);
	put(&f, 2, 0);
	enter(&f, "a", "i", 2);
	asks(&f, "a", 2);
	CHECK_STR(said(&f), "a gets 1/1; a gets 2/1");
	farm_holding(&f, find(&f, "a"), holding, 1, true, now);
	CHECK_STR(said(&f), "a gets 2/1");
	CHECK_INT(find(&f, "a")->running, 2);
	end(&f);
}

TEST(a_worker_that_was_taken_for_dead_keeps_what_nobody_else_has)
{
	char *holding[] = {(char *)"1/1", (char *)"2/1", (char *)"x",
			   (char *)"3/-1", (char *)"1/99999999999"};
	struct farm f;

	begin(&f, "priority");
	put(&f, 1, 0);
	put(&f, 2, 0);
	enter(&f, "a", "i", 2);
	asks(&f, "a", 2);
	said(&f);
	pass(&f, 30000);
	enter(&f, "b", "j", 1);
	asks(&f, "b", 1);
	CHECK_STR(said(&f), "b gets 1/2; 1 ready; 2 ready");
	enter(&f, "a", "i", 2);
	farm_holding(&f, find(&f, "a"), holding, 5, true, now);
	CHECK_STR(said(&f), "a stops 1/1");
	CHECK_INT(find(&f, "a")->running, 1);
	CHECK(!result(&f, "a", "2", 1, true));
	CHECK_STR(said(&f), "2 done");
	end(&f);
}

TEST(another_instance_of_a_worker_has_nothing_of_the_first)
{
	const struct farm_worker first = {
		.id = "a", .url = "", .instance = "i", .gfl = true};
	struct farm f;

	begin(&f, "priority");
	put(&f, 1, 0);
	enter(&f, "a", "i", 1);
	asks(&f, "a", 1);
	said(&f);
	enter(&f, "a", "j", 1);
	CHECK_STR(said(&f), "1 ready");
	CHECK(!farm_hear(&f, "a", "i", now));
	CHECK(farm_hear(&f, "a", "j", now) != NULL);
	CHECK(farm_register(&f, &first, now, &err) == ERR_FAILED_PRECONDITION);
	CHECK_STR(err.msg, "another worker has the id a by now");
	end(&f);
}

TEST(a_task_begins_after_those_it_waits_for_and_not_if_one_fails)
{
	const int64_t one[] = {1}, two[] = {2}, both[] = {1, 2};
	struct farm f;
	struct task *t;

	begin(&f, "priority");
	put(&f, 1, 0);
	put(&f, 2, 0)->max_tries = 1;
	for (int64_t id = 3; id < 6; id++) {
		t = task_new(id, "{}", NULL, NULL);
		farm_add(&f, t,
			 id == 3   ? one
			 : id == 4 ? both
				   : two,
			 id == 4 ? 2 : 1, now);
	}
	enter(&f, "a", "", 1);
	asks(&f, "a", 9);
	CHECK_STR(said(&f), "a gets 1/1; a gets 2/1");
	CHECK(!result(&f, "a", "1", 0, true));
	asks(&f, "a", 1);
	CHECK_STR(said(&f), "a gets 3/1; 1 done; 3 ready");
	CHECK(!result(&f, "a", "2", 0, false));
	CHECK_STR(said(&f), "2 failed; 4 cancelled; 5 cancelled");
	CHECK_INT(farm_unfinished(&f), 1);
	end(&f);
}

TEST(a_chain_of_100000_tasks_is_cancelled_from_its_head)
{
	struct farm f;

	begin(&f, "priority");
	put(&f, 1, 0);
	for (int64_t id = 2; id <= 100000; id++)
		farm_add(&f, task_new(id, "{}", NULL, NULL),
			 (const int64_t[]){id - 1}, 1, now);
	CHECK(farm_cancel(&f, 1, "why", now));
	CHECK_INT(farm_unfinished(&f), 0);
	CHECK(!farm_cancel(&f, 1, "why", now));
	end(&f);
}

TEST(a_cancelled_task_is_stopped_and_its_result_refused)
{
	struct farm f;

	begin(&f, "priority");
	put(&f, 1, 0);
	put(&f, 2, 0);
	enter(&f, "a", "i", 1);
	asks(&f, "a", 5);
	CHECK_STR(said(&f), "a gets 1/1");
	CHECK(farm_cancel(&f, 1, "why", now));
	asks(&f, "a", 5);
	CHECK(result(&f, "a", "1", 1, true) == ERR_ABORTED);
	CHECK_STR(err.msg, "task 1 was cancelled");
	/* it has stopped, so there is room */
	CHECK_STR(said(&f), "a gets 2/1; a stops 1/1; 1 cancelled");
	end(&f);
}

TEST(a_try_that_takes_too_long_has_failed)
{
	struct farm f;

	begin(&f, "priority");
	put(&f, 1, 0)->timeout_ms = 5000;
	enter(&f, "a", "i", 1);
	asks(&f, "a", 1);
	CHECK_STR(said(&f), "a gets 1/1");
	CHECK_INT(farm_due(&f), now.ms + 5010);
	pass(&f, 5010);
	CHECK_STR(said(&f), "a stops 1/1; 1 delayed");
	end(&f);
}

TEST(time_in_which_the_master_slept_is_not_that_of_a_task)
{
	struct farm f;

	begin(&f, "priority");
	put(&f, 1, 0)->timeout_ms = 5000;
	enter(&f, "a", "i", 1);
	asks(&f, "a", 1);
	CHECK_STR(said(&f), "a gets 1/1");
	pass(&f, 1000);
	now.ms += 60000;
	farm_tick(&f, now, no_dead, NULL);
	CHECK_STR(said(&f), ""); /* its result may be on the way */
	CHECK_INT(farm_due(&f), now.ms + 5010 - 1000 - 2000);
	pass(&f, 2010);
	CHECK_STR(said(&f), "a stops 1/1; 1 delayed");
	end(&f);
}

TEST(three_bad_tasks_keep_a_worker_from_more_and_two_good_ones_let_it)
{
	struct farm f;
	char id[8];

	begin(&f, "round-robin");
	enter(&f, "a", "", 1);
	enter(&f, "b", "", 1);
	for (int64_t i = 1; i <= 3; i++) {
		put(&f, i, 0)->max_tries = 1;
		asks(&f, "a", 1);
		said(&f);
		snprintf(id, sizeof(id), "%" PRId64, i);
		CHECK(!result(&f, "a", id, 0, false));
	}
	CHECK(find(&f, "a")->breaker.state == BREAKER_OPEN);
	put(&f, 4, 0);
	asks(&f, "a", 1);
	CHECK_STR(said(&f), "3 failed");
	asks(&f, "b", 1);
	CHECK_STR(said(&f), "b gets 4/1");
	pass(&f, 299000);
	enter(&f, "a", "", 1);
	find(&f, "a")->breaker.state = BREAKER_OPEN;
	find(&f, "a")->breaker.until_ms = now.ms + 1;
	CHECK(!crew_room(find(&f, "a"), now.ms));
	now.ms++;
	asks(&f, "a", 9);
	CHECK_INT(crew_room(find(&f, "a"), now.ms), 1); /* half open */
	end(&f);
}

TEST(bad_tasks_do_not_stop_the_only_worker)
{
	struct farm f;

	begin(&f, "priority");
	enter(&f, "a", "", 1);
	for (int64_t i = 1; i <= 9; i++)
		put(&f, i, 0)->max_tries = 1;
	for (int i = 1; i <= 9; i++) {
		char id[8], want[32];

		asks(&f, "a", 5);
		said(&f);
		snprintf(id, sizeof(id), "%d", i);
		snprintf(want, sizeof(want), "%d failed", i);
		if (!farm_find(&f, i) ||
		    farm_find(&f, i)->state != TASK_RUNNING)
			continue;
		CHECK(!result(&f, "a", id, 0, false));
	}
	CHECK_INT(farm_unfinished(&f), 0);
	end(&f);
}

TEST(breaker_by_itself)
{
	const struct breaker_config c = {3, 100, 2};
	struct breaker b = {0};

	for (int i = 0; i < 9; i++)
		CHECK(!breaker_failure(&b, &c, 7, 0)); /* one bad task */
	CHECK(!breaker_failure(&b, &c, 8, 0));
	breaker_success(&b, &c);
	CHECK(!breaker_failure(&b, &c, 1, 0) && !breaker_failure(&b, &c, 2, 0));
	CHECK(breaker_failure(&b, &c, 3, 0));
	CHECK_INT(breaker_allows(&b, 4, 99), 0);
	CHECK_INT(breaker_allows(&b, 4, 100), 1);
	CHECK_STR(breaker_name(b.state), "half");
	CHECK(breaker_failure(&b, &c, 4, 100));
	CHECK_INT(breaker_allows(&b, 4, 200), 1);
	breaker_success(&b, &c);
	CHECK_INT(breaker_allows(&b, 4, 200), 1);
	breaker_success(&b, &c);
	CHECK_INT(breaker_allows(&b, 4, 200), 4);
}

TEST(a_task_that_needs_a_gpu_gets_one_of_its_own)
{
	const int32_t gpus[] = {3, 5};
	const struct farm_worker who = {.id = "g",
					.url = "",
					.instance = "i",
					.gfl = true,
					.slots = 4,
					.gpus = gpus,
					.n_gpus = 2};
	struct farm f;
	struct task *t;

	begin(&f, "priority");
	for (int64_t id = 1; id <= 3; id++) {
		t = task_new(id, "{}", NULL, NULL);
		t->state = TASK_READY;
		t->gpu = true;
		farm_add(&f, t, NULL, 0, now);
	}
	put(&f, 4, 0);
	enter(&f, "a", "", 4);
	asks(&f, "a", 4);
	CHECK_STR(said(&f), "a gets 4/1");
	CHECK(!farm_register(&f, &who, now, &err));
	asks(&f, "g", 4);
	CHECK_STR(said(&f), "g gets 1/1; g gets 2/1");
	CHECK_INT(find(&f, "g")->gpus[farm_find(&f, 2)->gpu_index], 5);
	CHECK(!result(&f, "g", "1", 1, true));
	asks(&f, "g", 4);
	CHECK_STR(said(&f), "g gets 3/1; 1 done");
	CHECK_INT(find(&f, "g")->gpus[farm_find(&f, 3)->gpu_index], 3);
	end(&f);
}

/* ---- who gets it ---- */

static const char *whom(struct farm *f, int64_t id)
{
	said(f);
	return farm_find(f, id)->on ? farm_find(f, id)->on->id : "nobody";
}

static void push_worker(struct farm *f, const char *id, int slots)
{
	const struct farm_worker who = {.id = id,
					.url = "http://x:1",
					.instance = id,
					.gfl = true,
					.push = true,
					.slots = slots};

	CHECK(!farm_register(f, &who, now, &err));
}

TEST(round_robin_takes_turns)
{
	struct farm f;

	begin(&f, "round-robin");
	push_worker(&f, "a", 9);
	push_worker(&f, "b", 9);
	for (int64_t id = 1; id <= 4; id++) {
		put(&f, id, 0);
		CHECK_STR(whom(&f, id), id % 2 ? "a" : "b");
	}
	end(&f);
}

TEST(least_loaded_counts_tasks_and_the_machine)
{
	struct farm f;

	begin(&f, "least-loaded");
	push_worker(&f, "a", 2);
	push_worker(&f, "b", 4);
	put(&f, 1, 0);
	CHECK_STR(whom(&f, 1), "a");
	put(&f, 2, 0);
	CHECK_STR(whom(&f, 2), "b");
	put(&f, 3, 0);
	CHECK_STR(whom(&f, 3), "b");
	find(&f, "b")->metrics.cpu = 80;
	put(&f, 4, 0);
	CHECK_STR(whom(&f, 4), "a");
	end(&f);
}

TEST(adaptive_leaves_the_last_tasks_to_who_will_have_done_them_sooner)
{
	struct farm f;

	begin(&f, "adaptive");
	push_worker(&f, "fast", 1);
	push_worker(&f, "slow", 1);
	find(&f, "fast")->mean_ms = 100;
	find(&f, "slow")->mean_ms = 1000;
	put(&f, 1, 0);
	CHECK_STR(whom(&f, 1), "fast");
	put(&f, 2, 0);
	CHECK_STR(whom(&f, 2), "nobody"); /* fast has it in 200 ms */
	for (int64_t id = 3; id < 20; id++)
		put(&f, id, 0);
	CHECK_STR(whom(&f, 2), "slow"); /* not with all of these */
	push_worker(&f, "new", 1);
	CHECK_STR(whom(&f, 3), "new"); /* nobody knows how fast it is */
	end(&f);
}

static void put_like(struct farm *f, int64_t id, const char *affinity)
{
	struct task *t = task_new(id, "{}", NULL, affinity);

	t->state = TASK_READY;
	farm_add(f, t, NULL, 0, now);
}

TEST(affinity_gives_like_to_like)
{
	struct farm f;
	char id[8];

	begin(&f, "affinity");
	push_worker(&f, "a", 1);
	push_worker(&f, "b", 1);
	put_like(&f, 1, "mnist");
	CHECK_STR(whom(&f, 1), "a");
	put_like(&f, 2, "cifar");
	CHECK_STR(whom(&f, 2), "b");
	put_like(&f, 3, "cifar");
	put_like(&f, 4, "mnist");
	CHECK(!result(&f, "a", "1", 1, true));
	CHECK_STR(whom(&f, 4), "a"); /* though 3 is older */
	snprintf(id, sizeof(id), "%d", 2);
	CHECK(!result(&f, "b", id, 1, true));
	CHECK_STR(whom(&f, 3), "b");
	end(&f);
}

TEST(tasks_that_are_over_in_no_time_are_given_ahead)
{
	struct farm f;

	begin(&f, "priority");
	for (int64_t id = 1; id < 100; id++)
		put(&f, id, 0);
	enter(&f, "a", "i", 2);
	asks(&f, "a", 66);
	said(&f);
	CHECK_INT(find(&f, "a")->running, 2);
	find(&f, "a")->mean_ms = 10;
	asks(&f, "a", 66);
	said(&f);
	CHECK_INT(find(&f, "a")->running, 22);
	find(&f, "a")->mean_ms = 0.1;
	asks(&f, "a", 66);
	said(&f);
	CHECK_INT(find(&f, "a")->running, 66);
	end(&f);
}

TEST(who_gives_some_back_is_given_none_ahead_until_it_has_done_one)
{
	struct farm_result back = {.worker = "a", .task = "2", .try = 1,
				   .returned = true, .error = "",
				   .metrics = "", .output = ""};
	struct farm f;

	begin(&f, "priority");
	for (int64_t id = 1; id < 4; id++)
		put(&f, id, 0);
	enter(&f, "a", "i", 1);
	find(&f, "a")->mean_ms = 50;
	asks(&f, "a", 65);
	CHECK_STR(said(&f), "a gets 1/1; a gets 2/1; a gets 3/1");
	CHECK(!farm_result(&f, &back, now, &err));
	back.task = "3";
	CHECK(!farm_result(&f, &back, now, &err));
	asks(&f, "a", 65);
	CHECK_STR(said(&f), "2 ready; 3 ready");
	CHECK(!result(&f, "a", "1", 1, true));
	find(&f, "a")->mean_ms = 50;
	CHECK_STR(said(&f), "a gets 2/1; a gets 3/1; 1 done");
	end(&f);
}

TEST(a_worker_that_cannot_be_called_is_not_called_again_at_once)
{
	struct farm f;

	begin(&f, "priority");
	push_worker(&f, "a", 9);
	put(&f, 1, 0);
	for (int i = 0; i < 3; i++) {
		CHECK_STR(whom(&f, 1), "a");
		farm_unsent(&f, given(&f, 1), true, now);
		CHECK_INT(farm_find(&f, 1)->tries, 0); /* none was begun */
		CHECK_STR(said(&f), "1 delayed");
		find(&f, "a")->seen_ms = now.ms;
		pass(&f, 1000);
	}
	CHECK(find(&f, "a")->breaker.state == BREAKER_OPEN);
	push_worker(&f, "b", 1);
	CHECK_STR(whom(&f, 1), "b");
	end(&f);
}

/* A reply with a task waits for the disk; its worker goes away meanwhile, and
 * the task is given to another one before that is found out. */
TEST(a_reply_that_nobody_got_takes_no_task_from_who_has_it)
{
	struct farm_given lost;
	struct farm f;

	begin(&f, "priority");
	put(&f, 1, 0);
	enter(&f, "a", "", 1);
	asks(&f, "a", 1);
	CHECK_STR(said(&f), "a gets 1/1");
	lost = given(&f, 1);
	enter(&f, "a", "", 1);
	CHECK_STR(said(&f), "1 ready");
	enter(&f, "b", "", 1);
	asks(&f, "b", 1);
	CHECK_STR(said(&f), "b gets 1/2");
	farm_unsent(&f, lost, true, now);
	CHECK_STR(said(&f), "");
	CHECK(farm_still(&f, given(&f, 1))->on == find(&f, "b"));
	end(&f);
}

/* The same, where the first giving did not count as a try. */
TEST(a_reply_that_nobody_got_takes_no_later_try_of_that_number)
{
	struct farm_given lost;
	struct farm f;

	begin(&f, "priority");
	put(&f, 1, 0);
	enter(&f, "a", "", 1);
	asks(&f, "a", 1);
	said(&f);
	lost = given(&f, 1);
	farm_unsent(&f, lost, true, now);
	asks(&f, "a", 1);
	CHECK_STR(said(&f), "a gets 1/1; 1 ready");
	farm_unsent(&f, lost, true, now);
	CHECK_STR(said(&f), "");
	CHECK(!result(&f, "a", "1", 0, true));
	CHECK_STR(said(&f), "1 done");
	end(&f);
}

TEST(a_task_in_doubt_goes_elsewhere_unless_its_worker_has_it)
{
	char *holding[] = {(char *)"1/1"};
	struct farm f;

	begin(&f, "priority");
	push_worker(&f, "a", 2);
	put(&f, 1, 0);
	put(&f, 2, 0);
	CHECK_STR(said(&f), "a gets 1/1; a gets 2/1");
	farm_unsent(&f, given(&f, 1), false, now);
	farm_unsent(&f, given(&f, 2), false, now);
	farm_holding(&f, find(&f, "a"), holding, 1, false, now);
	CHECK_STR(said(&f), ""); /* that may have been said before */
	pass(&f, 2001);
	farm_holding(&f, find(&f, "a"), holding, 1, false, now);
	CHECK_STR(said(&f), "a gets 2/1; 2 ready");
	end(&f);
}

/* SQLite would take NaN for NULL, and refuse all that ends with it. */
TEST(how_long_a_task_took_is_a_number_whatever_its_worker_says)
{
	const double said_s[] = {NAN, -1, INFINITY, -INFINITY, 2.5};
	const double kept_s[] = {0, 0, 1e9, 0, 2.5};
	struct farm f;

	begin(&f, "fifo");
	enter(&f, "a", "", 1);
	for (int i = 0; i < 5; i++) {
		char id[] = {(char)('1' + i), '\0'};
		const struct farm_result r = {
			.worker = "a",
			.task = id,
			.success = true,
			.duration_s = said_s[i],
			.error = "",
			.metrics = "",
			.output = "",
		};

		put(&f, i + 1, 0);
		asks(&f, "a", 1);
		said(&f);
		CHECK(!farm_result(&f, &r, now, &err));
		CHECK(f.changes.at[f.changes.n - 1].duration_s == kept_s[i]);
		CHECK(isfinite(find(&f, "a")->mean_ms));
		said(&f);
	}
	end(&f);
}

TEST(an_error_that_is_too_long_is_cut_and_stays_text)
{
	struct buf words = BUF_INIT(0);
	struct farm_result r = {
		.worker = "a", .task = "1", .metrics = "", .output = ""};
	const char *kept;
	struct farm f;

	buf_puts(&words, "x");
	for (int i = 0; i < 5000; i++)
		buf_puts(&words, "\u00e9");
	r.error = words.p;
	begin(&f, "fifo");
	enter(&f, "a", "", 1);
	put(&f, 1, 0);
	asks(&f, "a", 1);
	said(&f);
	CHECK(!farm_result(&f, &r, now, &err));
	kept = f.changes.at[0].lost;
	CHECK(strlen(kept) == 6000 && utf8_ok(kept, 6000));
	end(&f);
	buf_release(&words);
}

TEST(there_are_no_more_workers_than_a_master_can_look_at)
{
	struct farm_worker who = {.url = "", .instance = ""};
	char id[16];
	struct farm f;

	begin(&f, "fifo");
	for (int i = 0; i < CREW_MAX; i++) {
		snprintf(id, sizeof(id), "%d", i);
		enter(&f, id, "", 1);
	}
	enter(&f, id, "", 1); /* the same again */
	who.id = "one more";
	CHECK_INT(farm_register(&f, &who, now, &err), ERR_RESOURCE_EXHAUSTED);
	farm_leave(&f, find(&f, "7"), now);
	now.ms++;
	farm_leave(&f, find(&f, "8"), now);
	CHECK(!farm_register(&f, &who, now, &err));
	CHECK(!find(&f, "7") && find(&f, "8")); /* gone for longest */
	end(&f);
}
