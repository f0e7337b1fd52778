#include "test.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/loop.h"
#include "base/worker.h"

struct trail {
	struct loop *loop;
	char text[64];
	int begun, ended, left;
	uv_sem_t gate;
};

struct step {
	struct trail *trail;
	char letter;
};

static void wait_gate(void *arg)
{
	struct step *s = arg;

	uv_sem_wait(&s->trail->gate);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void note(void *arg)
{
	struct step *s = arg;

	strncat(s->trail->text, &s->letter, 1);
	if (--s->trail->left == 0)
		loop_stop(s->trail->loop);
}

static void on_begin(void *arg)
{
	((struct trail *)arg)->begun++;
}

static void on_end(void *arg)
{
	((struct trail *)arg)->ended++;
}

static void note_after_end(void *arg)
{
	struct step *s = arg;

	CHECK(s->trail->ended >= 1);
	note(arg);
}

TEST(worker_answers_in_the_order_of_submission)
{
	struct trail t = {.left = 3};
	struct step s[3] = {{&t, 'a'}, {&t, 'b'}, {&t, 'c'}};
	struct worker *w;
	struct err err;

	CHECK(!loop_open(&t.loop, &err));
	CHECK(!worker_open(&w, t.loop, "test", 8, &err));
	for (int i = 0; i < 3; i++)
		CHECK(!worker_submit(w, nothing, note, &s[i], &err));
	loop_run(t.loop);
	CHECK_STR(t.text, "abc");
	CHECK_INT(worker_pending(w), 0);
	worker_close(w);
	loop_close(t.loop);
}

TEST(worker_refuses_more_than_its_bound)
{
	struct trail t = {.left = 2};
	struct step s[3] = {{&t, 'a'}, {&t, 'b'}, {&t, 'c'}};
	struct worker *w;
	struct err err;

	uv_sem_init(&t.gate, 0);
	CHECK(!loop_open(&t.loop, &err));
	CHECK(!worker_open(&w, t.loop, "test", 2, &err));
	CHECK(!worker_submit(w, wait_gate, note, &s[0], &err));
	CHECK(!worker_submit(w, wait_gate, note, &s[1], &err));
	CHECK(worker_submit(w, wait_gate, note, &s[2], &err) ==
	      ERR_RESOURCE_EXHAUSTED);
	uv_sem_post(&t.gate);
	uv_sem_post(&t.gate);
	loop_run(t.loop);
	CHECK_STR(t.text, "ab");
	worker_close(w);
	loop_close(t.loop);
	uv_sem_destroy(&t.gate);
}

TEST(worker_close_finishes_what_is_queued)
{
	struct trail t = {.left = 99};
	struct step s[2] = {{&t, 'a'}, {&t, 'b'}};
	struct worker *w;
	struct err err;

	CHECK(!loop_open(&t.loop, &err));
	CHECK(!worker_open(&w, t.loop, "test", 8, &err));
	CHECK(!worker_submit(w, nothing, note, &s[0], &err));
	CHECK(!worker_submit(w, nothing, NULL, &s[0], &err));
	CHECK(!worker_submit(w, nothing, note, &s[1], &err));
	worker_close(w);
	CHECK_STR(t.text, "ab");
	loop_close(t.loop);
}

TEST(worker_batches_what_waits_and_answers_after_the_end)
{
	struct trail t = {.left = 4};
	struct step s[4] = {{&t, 'a'}, {&t, 'b'}, {&t, 'c'}, {&t, 'd'}};
	struct worker *w;
	struct err err;

	uv_sem_init(&t.gate, 0);
	CHECK(!loop_open(&t.loop, &err));
	CHECK(!worker_open(&w, t.loop, "test", 8, &err));
	worker_batch(w, on_begin, on_end, &t);
	CHECK(!worker_submit(w, wait_gate, note_after_end, &s[0], &err));
	for (int i = 1; i < 4; i++)
		CHECK(!worker_submit(w, nothing, note, &s[i], &err));
	uv_sem_post(&t.gate);
	loop_run(t.loop);
	worker_close(w);
	CHECK_STR(t.text, "abcd");
	CHECK_INT(t.begun, t.ended);
	CHECK(t.begun >= 1 && t.begun <= 2);
	loop_close(t.loop);
	uv_sem_destroy(&t.gate);
}

static void hang(void *arg)
{
	struct trail *t = arg;

	uv_sem_wait(&t->gate);
}

static void end_loop(void *arg)
{
	loop_stop(arg);
}

/* In a child: it ends as a bug does. */
static int abort_of_a_job_that_hangs(void)
{
	const struct rlimit no_core = {0, 0};
	struct trail t = {0};
	struct worker *w;
	struct err err;

	setrlimit(RLIMIT_CORE, &no_core);
	uv_sem_init(&t.gate, 0);
	if (loop_open(&t.loop, &err) ||
	    worker_open(&w, t.loop, "hangs", 1, &err) ||
	    worker_submit(w, hang, NULL, &t, &err))
		return 1;
	worker_watch(w, 40);
	loop_run(t.loop);
	return 2;
}

TEST(worker_that_hangs_aborts_the_process)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid)
		_exit(abort_of_a_job_that_hangs());
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

struct slow {
	struct loop *loop;
	uv_sem_t gate;
};

/* Many times as long as a job may hang, but getting on. */
static void beat(void *arg)
{
	struct slow *s = arg;

	for (int i = 0; i < 400; i++) {
		uv_sem_wait(&s->gate);
		worker_beat();
	}
}

static void one_more(void *arg)
{
	uv_sem_post(&((struct slow *)arg)->gate);
}

static void slow_done(void *arg)
{
	end_loop(((struct slow *)arg)->loop);
}

TEST(worker_that_gets_on_may_take_its_time)
{
	struct timer tick = {0};
	struct worker *w;
	struct slow s;
	struct err err;

	uv_sem_init(&s.gate, 0);
	CHECK(!loop_open(&s.loop, &err));
	CHECK(!worker_open(&w, s.loop, "slow", 1, &err));
	worker_watch(w, 480); /* 8 looks, and several beats to each */
	timer_every(&tick, s.loop, 4, one_more, &s);
	CHECK(!worker_submit(w, beat, slow_done, &s, &err));
	loop_run(s.loop);
	timer_stop(&tick);
	worker_close(w);
	loop_close(s.loop);
	uv_sem_destroy(&s.gate);
	worker_beat(); /* on no worker's thread: nothing */
}
