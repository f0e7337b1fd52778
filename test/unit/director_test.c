/* A command that leads, and commands that follow it. */
#include "test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "fl/director.h"
#include "fl/participant_exec.h"
#include "fl/theta.h"
#include "nn/npy.h"
#include "world.h"

enum { PARTS = 4 };

struct bed;

struct part {
	struct participant_exec *x;
	struct command *command;
	int over;
	struct err err;
};

struct bed {
	struct world w;
	struct director *d;
	struct command *command;
	struct part parts[PARTS];
	struct director_round last;
	int rounds, over;
};

/* ---- files ---- */

static void write_script(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	CHECK(f && fprintf(f, "#!/bin/sh\n%s\n", text) > 0 && !fclose(f));
	CHECK(!chmod(name, 0700));
}

/* A file one.npz that has an array. */
static void write_archive(void)
{
	struct buf npy = BUF_INIT(0), npz = BUF_INIT(0);
	float values[3] = {1, 2, 3};
	NDArray a = NDARRAY__INIT, *theta[] = {&a};
	FILE *f = fopen("one.npz", "w");

	npy_encode(&npy, 1, &(int64_t){3}, values);
	a.ndarray.data = (uint8_t *)npy.p;
	a.ndarray.len = npy.len;
	CHECK(!theta_pack(&npz, theta, 1, NULL));
	CHECK(f && fwrite(npz.p, 1, npz.len, f) == npz.len && !fclose(f));
	buf_release(&npy);
	buf_release(&npz);
}

static char *contents(const char *name)
{
	static char text[8192];
	FILE *f = fopen(name, "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	text[n] = '\0';
	if (f)
		fclose(f);
	return text;
}

/* ---- both sides ---- */

static void on_round(const struct director_round *r, void *arg)
{
	struct bed *b = arg;

	b->rounds++;
	b->last = *r;
}

static void on_over(void *arg)
{
	((struct bed *)arg)->over++;
}

static void on_part_over(const struct err *err, void *arg)
{
	struct part *p = arg;

	p->over++;
	p->err = err ? *err : (struct err){0};
}

static void bed_open(struct bed *b, struct director_opts opts)
{
	*b = (struct bed){0};
	world_open(&b->w, (struct server_opts){0});
	write_archive();
	CHECK(!command_open(&b->command, "./lead", NULL));
	opts.command = b->command;
	opts.dir = "answers";
	opts.reached = "rounds";
	opts.min_participants =
		opts.min_participants ? opts.min_participants : 1;
	opts.sample = opts.sample > 0 ? opts.sample : 1;
	opts.fraction = opts.fraction > 0 ? opts.fraction : 1;
	opts.deadline_ms = opts.deadline_ms ? opts.deadline_ms : 60000;
	opts.max_bytes = 1 << 20;
	opts.on_round = on_round;
	opts.on_round_arg = b;
	CHECK(!director_open(&b->d, b->w.loop, b->w.server, &opts, on_over, b,
			     NULL));
}

static void join(struct bed *b, int i, const char *command)
{
	struct part *p = &b->parts[i];
	struct participant_exec_opts opts = {
		.participant = {.url = server_url(b->w.server),
				.tls = b->w.client_tls,
				.first_ms = 10,
				.max_ms = 100},
		.grace_ms = 100,
	};

	CHECK(!command_open(&p->command, command, NULL));
	opts.command = p->command;
	p->x = participant_exec_open(b->w.loop, &opts, on_part_over, p);
}

static void bed_close(struct bed *b)
{
	for (int i = 0; i < PARTS; i++) {
		participant_exec_close(b->parts[i].x);
		command_free(b->parts[i].command);
	}
	director_close(b->d);
	command_free(b->command);
	world_close(&b->w);
}

TEST(a_command_leads_rounds_until_it_says_nothing)
{
	struct bed b;

	write_script(
		"lead",
		"cat >said.$GFL_ROUND\n"
		"echo $GFL_PARTICIPANTS $GFL_ANSWERED $GFL_FAILED >>facts\n"
		"case $GFL_ROUND in\n"
		"1) cat one.npz;;\n"
		"2) cat $GFL_DIR/2.npz;;\n"
		"esac");
	bed_open(&b, (struct director_opts){.min_participants = 2});
	join(&b, 0, "cat");
	join(&b, 1, "cat");
	UNTIL(&b.w, b.over);
	CHECK(!director_failed(b.d));
	CHECK_INT(b.rounds, 2);
	CHECK_INT(b.last.instructed, 2);
	CHECK_INT(b.last.answered, 2);
	CHECK_STR(contents("facts"), "2 0 0\n2 2 0\n2 2 0\n");
	CHECK_STR(contents("said.1"), "");
	CHECK_HAS(contents("said.2"), "{\"participant\":1,\"state\":"
				      "\"answered\",\"seconds\":");
	CHECK_HAS(contents("said.2"), "\"tries\":1,\"arrays\":1,\"file\":");
	CHECK_HAS(contents("said.3"), "/2.npz\"}\n");
	director_close(b.d);
	b.d = NULL;
	UNTIL(&b.w, b.parts[0].over && b.parts[1].over);
	CHECK_INT(b.parts[0].err.code, 0);
	CHECK(access("answers", F_OK));
	bed_close(&b);
}

TEST(rounds_may_be_so_many)
{
	struct bed b;

	write_script("lead",
		     "echo \"$GFL_ROUND $GFL_ANSWERED $GFL_LAST\" >>facts\n"
		     "cat one.npz");
	bed_open(&b, (struct director_opts){.rounds = 2});
	join(&b, 0, "cat");
	UNTIL(&b.w, b.over);
	CHECK_STR(contents("facts"), "1 0 \n2 1 \n3 1 1\n");
	bed_close(&b);
}

/* Who asks for GFL_ROUND = 1 to begin is not asked so twice. */
TEST(rounds_go_on_where_a_director_was_stopped)
{
	struct bed b;

	write_script("lead", "echo \"$GFL_ROUND $GFL_ANSWERED\" >>facts\n"
			     "cat one.npz");
	bed_open(&b, (struct director_opts){0});
	join(&b, 0, "cat");
	UNTIL(&b.w, b.rounds == 3);
	director_stop(b.d);
	bed_close(&b);
	CHECK(!unlink("facts"));
	bed_open(&b, (struct director_opts){.rounds = 4});
	join(&b, 0, "cat");
	UNTIL(&b.w, b.over);
	CHECK(!strncmp(contents("facts"), "4 0\n5 1\n", 8));
	bed_close(&b);
	CHECK(access("rounds", F_OK)); /* the next work is another one */
}

TEST(who_fails_is_in_the_lines_with_the_reason)
{
	struct bed b;

	write_script("lead", "cat >said.$GFL_ROUND\n"
			     "[ $GFL_ROUND = 1 ] && cat one.npz; exit 0");
	write_script("fail", "echo no data here >&2; exit 3");
	bed_open(&b, (struct director_opts){0});
	join(&b, 0, "./fail");
	UNTIL(&b.w, b.over);
	CHECK_HAS(contents("said.2"), "\"state\":\"failed\"");
	CHECK_HAS(contents("said.2"), "\"code\":\"aborted\"");
	CHECK_HAS(contents("said.2"), "exited with status 3: no data here");
	CHECK_INT(b.last.failed, 1);
	bed_close(&b);
}

TEST(what_a_failing_command_said_need_not_be_text)
{
	struct bed b;

	write_script("lead", "cat >said.$GFL_ROUND\n"
			     "[ $GFL_ROUND = 1 ] && cat one.npz; exit 0");
	write_script("fail", "printf 'caf\\351 weg' >&2; exit 3");
	bed_open(&b, (struct director_opts){0});
	join(&b, 0, "./fail");
	UNTIL(&b.w, b.over || b.parts[0].over);
	CHECK_INT(b.parts[0].err.code, 0);
	CHECK_HAS(contents("said.2"), "exited with status 3: caf? weg\"");
	bed_close(&b);
}

/* A participant who fails at length, in letters of two bytes. */
static void fail_at_length(const CoordinatorMessage *in, void *arg)
{
	ParticipantMessage m = PARTICIPANT_MESSAGE__INIT;
	struct participant **p = arg;
	struct buf why = BUF_INIT(0);

	(void)in;
	for (int i = 0; i < 300; i++)
		buf_puts(&why, i ? "ä" : "x");
	m.message_case = PARTICIPANT_MESSAGE__MESSAGE_FAILED;
	m.failed = why.p;
	CHECK(participant_dispatch(*p, &m));
	buf_release(&why);
}

static void on_lost(const struct err *err, int64_t after_ms, void *arg)
{
	(void)err;
	(void)after_ms;
	(void)arg;
}

static void on_end_of_all(const struct err *err, void *arg)
{
	(void)err;
	(void)arg;
}

TEST(a_reason_may_be_cut_within_a_character)
{
	static const struct participant_hooks hooks = {fail_at_length, on_lost,
						       on_end_of_all};
	struct participant *p;
	struct bed b;

	write_script("lead", "cat >said.$GFL_ROUND\n"
			     "[ $GFL_ROUND = 1 ] && cat one.npz; exit 0");
	bed_open(&b, (struct director_opts){0});
	p = participant_open(
		b.w.loop,
		&(struct participant_opts){.url = server_url(b.w.server),
					   .tls = b.w.client_tls},
		&hooks, &p);
	UNTIL(&b.w, b.over);
	CHECK_HAS(contents("said.2"), "failed: xää");
	CHECK_HAS(contents("said.2"), "ä?\"}\n");
	participant_close(p);
	bed_close(&b);
}

TEST(what_a_command_prints_must_be_arrays)
{
	struct bed b;

	write_script("lead", "cat >said.$GFL_ROUND\n"
			     "[ $GFL_ROUND = 1 ] && cat one.npz; exit 0");
	bed_open(&b, (struct director_opts){0});
	join(&b, 0, "echo hello, this is no array");
	UNTIL(&b.w, b.over);
	CHECK_HAS(contents("said.2"), "expected the magic of a .npy file");
	bed_close(&b);
}

TEST(a_leader_that_fails_ends_the_work_but_not_the_participants)
{
	struct bed b;

	write_script("lead", "echo what now >&2; exit 1");
	bed_open(&b, (struct director_opts){0});
	join(&b, 0, "cat");
	UNTIL(&b.w, b.over);
	CHECK_INT(director_failed(b.d)->code, ERR_ABORTED);
	CHECK_HAS(director_failed(b.d)->msg, "round 1: ");
	CHECK_HAS(director_failed(b.d)->msg, "exited with status 1: what now");
	director_close(b.d);
	b.d = NULL;
	for (int i = 0; i < 20; i++)
		world_turn(&b.w);
	CHECK_INT(b.parts[0].over, 0);
	bed_close(&b);
}

TEST(a_part_is_sampled_and_a_fraction_is_enough)
{
	struct bed b;

	write_script("lead", "[ $GFL_ROUND = 1 ] && cat one.npz; exit 0");
	write_script("hang", "exec tail -f /dev/null");
	bed_open(&b, (struct director_opts){.min_participants = 2,
					    .fraction = 0.5});
	join(&b, 0, "cat");
	join(&b, 1, "./hang");
	UNTIL(&b.w, b.over);
	CHECK_INT(b.last.instructed, 2);
	CHECK_INT(b.last.answered, 1);
	bed_close(&b);
	bed_open(&b, (struct director_opts){.min_participants = 2});
	for (int i = 0; i < 4; i++)
		join(&b, i, "cat");
	UNTIL(&b.w, b.over);
	CHECK(b.last.instructed >= 2);
	bed_close(&b);
}

TEST(a_participant_that_is_too_late_is_reported)
{
	struct bed b;

	write_script("lead", "cat >said.$GFL_ROUND\n"
			     "[ $GFL_ROUND = 1 ] && cat one.npz; exit 0");
	write_script("hang", "exec tail -f /dev/null");
	bed_open(&b, (struct director_opts){.deadline_ms = 300});
	join(&b, 0, "./hang");
	UNTIL(&b.w, b.over);
	CHECK_HAS(contents("said.2"), "\"code\":\"deadline_exceeded\"");
	bed_close(&b);
}

TEST(a_command_whose_coordinator_is_lost_is_ended)
{
	struct bed b;
	struct stat st;

	write_script("lead", "cat one.npz");
	write_script("hang", "trap 'touch ended; exit 1' TERM\n"
			     "touch begun; tail -f /dev/null & wait");
	bed_open(&b, (struct director_opts){0});
	join(&b, 0, "./hang");
	UNTIL(&b.w, !stat("begun", &st));
	director_stop(b.d);
	UNTIL(&b.w, b.over);
	CHECK(!director_failed(b.d));
	director_close(b.d);
	b.d = NULL;
	UNTIL(&b.w, !stat("ended", &st));
	bed_close(&b);
}

TEST(a_participant_that_stops_answers_first)
{
	struct bed b;
	struct stat st;

	write_script("lead", "cat >said.$GFL_ROUND\n"
			     "[ $GFL_ROUND = 1 ] && cat one.npz; exit 0");
	write_script("slow", "touch begun; while ! [ -e go ]; do :; done; cat");
	bed_open(&b, (struct director_opts){0});
	join(&b, 0, "./slow");
	UNTIL(&b.w, !stat("begun", &st));
	join(&b, 1, "cat");
	participant_exec_stop(b.parts[0].x);
	participant_exec_stop(b.parts[1].x); /* at rest */
	UNTIL(&b.w, b.parts[1].over);
	CHECK_INT(b.parts[0].over, 0);
	write_script("go", "");
	UNTIL(&b.w, b.parts[0].over && b.over);
	CHECK_INT(b.parts[0].err.code, 0);
	CHECK_INT(b.last.answered, 1);
	bed_close(&b);
}

TEST(files_of_earlier_rounds_are_gone)
{
	struct bed b;

	write_script("lead", "ls $GFL_DIR | wc -l >>files\n"
			     "[ $GFL_ROUND -lt 3 ] && cat one.npz; exit 0");
	write_script("once", "[ ! -e $1 ] && touch $1 && exec cat");
	bed_open(&b, (struct director_opts){.min_participants = 2});
	join(&b, 0, "./once a");
	join(&b, 1, "./once b");
	UNTIL(&b.w, b.over);
	CHECK_STR(contents("files"), "0\n2\n0\n");
	CHECK_INT(b.last.failed, 2);
	bed_close(&b);
}
