#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "fl/director_impl.h"
#include "fl/reached.h"
#include "fl/theta.h"
#include "store/lock.h"

enum { GRACE_MS = 5000, BACK_IN_S = 5 };

/* ---- the end ---- */

static void on_over(void *arg)
{
	struct director *d = arg;

	d->over(d->over_arg);
}

static void end(struct director *d)
{
	timer_set(&d->soon, d->loop, 0, on_over, d);
}

static void fail(struct director *d)
{
	err_wrap(&d->err, "round %" PRId64, d->round);
	end(d);
}

/* ---- a round ---- */

static void ask_command(struct director *d);

static void withdraw_rest(struct director *d)
{
	for (size_t i = 0; i < d->n_led; i++)
		if (!d->led[i].ended)
			participants_withdraw(d->ps, d->led[i].run);
	d->n_led = d->open = 0;
}

static void next_round(void *arg)
{
	struct director *d = arg;
	const struct director_round r = {
		.round = d->round,
		.instructed = (int64_t)d->n_led,
		.answered = (int64_t)d->answers.n,
		.failed = (int64_t)d->answers.failed,
		.seconds = (double)(clock_ms() - d->began_ms) / 1000,
	};

	withdraw_rest(d);
	d->ended = d->round;
	d->ended_ms = clock_ms();
	d->all_failed += r.failed;
	answers_trim(&d->answers);
	if (reached_write(d->reached, d->round, &d->err)) {
		fail(d);
		return;
	}
	if (d->opts.on_round)
		d->opts.on_round(&r, d->opts.on_round_arg);
	ask_command(d);
}

static int by_number(const void *a, const void *b)
{
	const int64_t x = ((const struct led *)a)->run,
		      y = ((const struct led *)b)->run;

	return (x > y) - (x < y);
}

static void forget_run(struct director *d, int64_t run)
{
	const struct led key = {.run = run};
	struct led *led =
		bsearch(&key, d->led, d->n_led, sizeof(key), by_number);

	assert(led);
	led->ended = true;
	d->open--;
}

static void on_answer(const struct err *err, const struct run_answer *a,
		      void *arg)
{
	struct director *d = arg;

	if (d->stopped || d->err.code)
		return;
	forget_run(d, a->run);
	if (answers_add(&d->answers, err, a, &d->err))
		fail(d);
	else if (!d->open || d->answers.n == d->enough)
		timer_set(&d->soon, d->loop, 0, next_round, d);
}

static size_t share(double ratio, size_t n)
{
	double k = ceil(ratio * (double)n - 1e-9);

	return k < 1 ? 1 : (size_t)k;
}

static int instruct(struct director *d, struct err *err)
{
	const struct run_opts opts = {.timeout_ms = d->opts.deadline_ms};
	size_t here = participants_count(d->ps);
	size_t n = share(d->opts.sample, here);

	if (n < (size_t)d->opts.min_participants)
		n = (size_t)d->opts.min_participants;
	d->led = mem_grow(d->led, &d->cap_led, n, sizeof(*d->led));
	for (d->n_led = 0; d->n_led < n; d->n_led++) {
		struct led *led = &d->led[d->n_led];

		led->ended = false;
		if (participants_run(d->ps, d->next, &opts, on_answer, d,
				     &led->run, err))
			return (int)err->code;
	}
	d->open = n;
	d->enough = share(d->opts.fraction, n);
	d->began_ms = clock_ms();
	log_info("round",
		 "round=%" PRId64 " instructed=%zu enough=%zu deadline_s=%g",
		 d->round, n, d->enough, (double)d->opts.deadline_ms / 1000);
	return 0;
}

static void wait_for_enough(struct director *d, participants_fn *then)
{
	size_t here = participants_count(d->ps);

	if (here < (size_t)d->opts.min_participants)
		log_info("waiting", "for_participants=%" PRId64 " there=%zu",
			 d->opts.min_participants, here);
	participants_get(d->ps, (size_t)d->opts.min_participants, then, d);
}

static void on_enough(void *arg)
{
	struct director *d = arg;

	if (d->stopped)
		return;
	if (instruct(d, &d->err))
		fail(d);
	instruction_free(d->next);
	d->next = NULL;
}

/* ---- the command ---- */

static int obey(struct director *d, const char *out, size_t len,
		struct err *err)
{
	CoordinatorMessage m = COORDINATOR_MESSAGE__INIT;
	TrainConfig train = TRAIN_CONFIG__INIT;
	struct theta theta;

	if (theta_parse(&theta, out, len, d->opts.max_bytes,
			command_path(d->opts.command), err))
		return (int)err->code;
	m.message_case = COORDINATOR_MESSAGE__MESSAGE_TRAIN_CONFIG;
	m.train_config = &train;
	train.n_theta = theta.n;
	train.theta = theta.at;
	d->next = instruction_new(&m);
	theta_release(&theta);
	wait_for_enough(d, on_enough);
	return 0;
}

static void on_said(const struct err *err, const char *out, size_t len,
		    void *arg)
{
	struct director *d = arg;

	d->process = NULL;
	answers_reset(&d->answers);
	if (d->stopped) {
		end(d);
	} else if (err) {
		d->err = *err;
		fail(d);
	} else if (d->done || !len) {
		d->done = true;
		end(d);
	} else if (obey(d, out, len, &d->err)) {
		fail(d);
	}
}

static void say_facts(const struct director *d, struct facts *f)
{
	facts_add(f, "GFL_ROUND", "%" PRId64, d->round);
	facts_add(f, "GFL_PARTICIPANTS", "%zu", participants_count(d->ps));
	facts_add(f, "GFL_ANSWERED", "%zu", d->answers.n);
	facts_add(f, "GFL_FAILED", "%zu", d->answers.failed);
	facts_add(f, "GFL_DIR", "%s", d->answers.dir);
	if (d->done)
		facts_add(f, "GFL_LAST", "1");
}

static void ask_command(struct director *d)
{
	struct facts facts = {0};
	const struct process_opts opts = {
		.facts = &facts,
		.input = d->answers.lines.p,
		.len = d->answers.lines.len,
		.timeout_ms = d->opts.command_ms,
		.grace_ms = GRACE_MS,
		.out_max = d->opts.max_bytes,
		.logged = true,
	};

	d->done = d->opts.rounds && d->round >= d->opts.rounds;
	d->round++;
	say_facts(d, &facts);
	if (process_start(&d->process, d->loop, d->opts.command, &opts, on_said,
			  d, &d->err))
		fail(d);
	facts_release(&facts);
}

static void begin(void *arg)
{
	struct director *d = arg;

	if (!d->stopped)
		ask_command(d);
}

/* ---- for the daemon ---- */

int director_open(struct director **out, struct loop *loop, struct server *s,
		  const struct director_opts *opts, director_fn *over,
		  void *arg, struct err *err)
{
	struct director *d;
	struct answers answers;
	struct lock *lock = NULL;
	int64_t round;

	if (file_make_dirs(opts->dir, err) ||
	    lock_open(&lock, opts->reached, err) ||
	    reached_read(opts->reached, &round, err) ||
	    answers_open(&answers, opts->dir, err)) {
		lock_close(lock);
		return (int)err->code;
	}
	d = mem_zero(1, sizeof(*d));
	d->lock = lock;
	d->answers = answers;
	d->round = d->ended = round;
	d->ended_ms = clock_ms();
	d->reached = mem_str(opts->reached);
	d->loop = loop;
	d->opts = *opts;
	d->over = over;
	d->over_arg = arg;
	participants_open(&d->ps, loop, s, &(struct participants_opts){0});
	director_serve(d, s);
	wait_for_enough(d, begin);
	*out = d;
	return 0;
}

void director_stop(struct director *d)
{
	if (d->stopped)
		return;
	d->stopped = true;
	if (d->process)
		process_stop(d->process);
	else
		end(d);
}

const struct err *director_failed(const struct director *d)
{
	return d->err.code ? &d->err : NULL;
}

void director_close(struct director *d)
{
	if (!d)
		return;
	timer_stop(&d->soon);
	process_drop(d->process);
	participants_close(d->ps, d->done && !d->err.code ? -1 : BACK_IN_S);
	instruction_free(d->next);
	answers_close(&d->answers);
	if (d->done && !d->err.code)
		unlink(d->reached);
	lock_close(d->lock);
	free(d->led);
	free(d->reached);
	free(d);
}
