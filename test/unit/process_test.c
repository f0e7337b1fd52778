#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "capture.h"

struct fix {
	struct loop *loop;
	struct command *command;
	struct process *process;
	int done;
	struct err err; /* code 0: it went well */
	char out[256];
};

static void on_done(const struct err *err, const char *out, size_t len,
		    void *arg)
{
	struct fix *f = arg;

	f->done++;
	f->err = err ? *err : (struct err){0};
	snprintf(f->out, sizeof(f->out), "%.*s", (int)len, out);
}

static void begin(struct fix *f, const char *text,
		  const struct process_opts *opts)
{
	FILE *file = fopen("script", "w");
	struct err err;

	memset(f, 0, sizeof(*f));
	CHECK(file);
	fprintf(file, "#!/bin/sh\n%s\n", text);
	fclose(file);
	CHECK(!chmod("script", 0755));
	CHECK_INT(loop_open(&f->loop, &err), 0);
	CHECK_INT(command_open(&f->command, "./script one", &err), 0);
	CHECK_INT(process_start(&f->process, f->loop, f->command, opts, on_done,
				f, &err),
		  0);
}

static void end(struct fix *f)
{
	loop_run(f->loop);
	loop_close(f->loop);
	command_free(f->command);
}

static void run(struct fix *f, const char *text,
		const struct process_opts *opts)
{
	begin(f, text, opts);
	end(f);
	CHECK_INT(f->done, 1);
}

/* Until path exists. */
static void await(struct fix *f, const char *path)
{
	while (access(path, F_OK))
		uv_run(loop_uv(f->loop), UV_RUN_NOWAIT);
}

TEST(it_has_input_and_words_and_its_output_is_kept)
{
	const struct process_opts opts = {
		.input = "in\nput", .len = 6, .out_max = 100};
	struct fix f;

	run(&f, "echo $1; cat; echo words >&2", &opts);
	CHECK_INT(f.err.code, 0);
	CHECK_STR(f.out, "one\nin\nput");
}

TEST(it_has_facts_and_little_of_our_environment)
{
	struct facts facts = {0};
	const struct process_opts opts = {.facts = &facts, .out_max = 200};
	struct fix f;

	setenv("SECRET", "x", 1);
	setenv("GFL_MSG_ID", "ours", 1);
	setenv("LC_TIME", "C", 1);
	facts_add(&facts, "GFL_MSG_ID", "%s", "its own");
	run(&f, "echo \"$SECRET:$GFL_MSG_ID:$LC_TIME:${PATH:+path}\"", &opts);
	facts_release(&facts);
	CHECK_STR(f.out, ":its own:C:path\n");
}

TEST(what_works_has_our_environment_but_what_configures_us)
{
	const struct process_opts opts = {.out_max = 200, .works = true};
	struct fix f;

	setenv("PYTHONPATH", "mine", 1);
	setenv("GFL_MASTER", "ours", 1);
	run(&f, "echo \"$PYTHONPATH:$GFL_MASTER\"", &opts);
	CHECK_STR(f.out, "mine:\n");
}

static int log_it(void *arg)
{
	const struct process_opts opts = {.out_max = 200, .logged = !arg};
	struct fix f;

	log_setup("gfl-try", LEVEL_INFO, false);
	run(&f, "printf 'one\\r\\n\\ntwo' >&2", &opts);
	return (int)f.err.code;
}

TEST(what_it_says_is_logged_for_who_wants_that)
{
	struct capture c = capture_run(log_it, NULL);

	CHECK_INT(c.status, 0);
	CHECK_HAS(c.err, "/script line=one\n");
	CHECK_HAS(c.err, "/script line=two\n");
	CHECK_STR(capture_run(log_it, "not").err, "");
}

TEST(it_has_a_session_none_of_our_files_and_no_new_privileges)
{
	const struct process_opts opts = {.out_max = 200};
	struct fix f;
	char want[64];

	CHECK_INT(dup2(STDERR_FILENO, 77), 77);
	run(&f,
	    "[ -e /proc/$$/fd/77 ] && echo file\n"
	    "read pid name state ppid group session rest </proc/$$/stat\n"
	    "[ $group = $$ ] && [ $session = $$ ] && echo session\n"
	    "grep NoNewPrivs /proc/$$/status",
	    &opts);
	snprintf(want, sizeof(want), "session\nNoNewPrivs:\t1\n");
	CHECK_STR(f.out, want);
	close(77);
}

TEST(signals_that_we_ignore_have_their_usual_effect_on_it)
{
	const struct process_opts opts = {.out_max = 200};
	struct fix f;

	run(&f, "kill -PIPE $$; echo lived", &opts);
	CHECK_INT(f.err.code, ERR_ABORTED);
	CHECK_HAS(f.err.msg, "/script was ended by signal 13");
}

TEST(a_failure_has_the_last_line_of_what_it_said)
{
	const struct process_opts opts = {.out_max = 200};
	struct fix f;

	run(&f, "echo first >&2; echo 'no such thing' >&2; exit 3", &opts);
	CHECK_INT(f.err.code, ERR_ABORTED);
	CHECK_HAS(f.err.msg, "/script exited with status 3: no such thing");
}

TEST(more_output_than_may_be_is_a_failure)
{
	const struct process_opts opts = {.out_max = 10};
	struct fix f;

	run(&f, "head -c 1000000 /dev/zero", &opts);
	CHECK_INT(f.err.code, ERR_RESOURCE_EXHAUSTED);
	CHECK_HAS(f.err.msg, "printed more than 10 bytes");
}

TEST(one_that_never_stops_printing_is_ended)
{
	const struct process_opts opts = {.out_max = 10, .grace_ms = 5000};
	struct fix f;

	run(&f, "trap 'exit 5' TERM; while :; do echo more; done", &opts);
	CHECK_INT(f.err.code, ERR_RESOURCE_EXHAUSTED);
	CHECK_HAS(f.err.msg, "printed more than 10 bytes");
}

TEST(one_that_takes_too_long_is_stopped_with_what_it_started)
{
	const struct process_opts opts = {
		.out_max = 10, .timeout_ms = 100, .grace_ms = 5000};
	struct fix f;

	run(&f, "sleep 100 & echo $! >pid; wait", &opts);
	CHECK_INT(f.err.code, ERR_DEADLINE_EXCEEDED);
	CHECK_HAS(f.err.msg, "/script took longer than 0.1 s");
}

TEST(one_that_does_not_heed_term_is_killed)
{
	const struct process_opts opts = {
		.out_max = 10, .timeout_ms = 100, .grace_ms = 100};
	struct fix f;

	run(&f, "trap '' TERM; while :; do sleep 100; done", &opts);
	CHECK_INT(f.err.code, ERR_DEADLINE_EXCEEDED);
}

TEST(it_can_be_stopped_before_its_time)
{
	const struct process_opts opts = {.out_max = 10, .grace_ms = 5000};
	struct fix f;

	begin(&f, "trap 'exit 5' TERM; : >here; while :; do sleep 0.01; done",
	      &opts);
	await(&f, "here");
	process_stop(f.process);
	end(&f);
	CHECK_INT(f.done, 1);
	CHECK_HAS(f.err.msg, "exited with status 5");
}

TEST(what_it_leaves_behind_is_ended_and_holds_nothing_up)
{
	const struct process_opts opts = {.out_max = 100};
	int64_t from_ms = clock_ms();
	struct fix f;

	run(&f, "sleep 100 & echo done", &opts);
	CHECK_INT(f.err.code, 0);
	CHECK_STR(f.out, "done\n");
	CHECK(clock_ms() - from_ms < 50000);
}

TEST(one_that_is_dropped_is_heard_no_more)
{
	const struct process_opts opts = {.out_max = 10};
	struct fix f;

	begin(&f, "sleep 100", &opts);
	process_drop(f.process);
	end(&f);
	CHECK_INT(f.done, 0);
}

TEST(what_cannot_be_run_is_refused)
{
	const struct process_opts opts = {.out_max = 10};
	struct process *p;
	struct fix f;
	struct err err;

	begin(&f, "exit 0", &opts);
	CHECK(!unlink("script"));
	CHECK_INT(
		process_start(&p, f.loop, f.command, &opts, on_done, &f, &err),
		ERR_NOT_FOUND);
	CHECK_HAS(err.msg, "/script: No such file or directory");
	end(&f);
}
