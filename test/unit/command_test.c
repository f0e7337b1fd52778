#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/command.h"
#include "base/input.h"

static void script(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	CHECK(f);
	fprintf(f, "#!/bin/sh\n%s\n", text);
	fclose(f);
	CHECK(!chmod(path, 0755));
}

static const struct facts none;

static void run(const char *text, const char *input, int want, struct err *err)
{
	struct command *c;

	CHECK(!command_open(&c, text, err));
	CHECK_INT(command_run(c, &none, input, strlen(input), err), want);
	command_free(c);
}

TEST(a_command_gets_its_words_and_its_input)
{
	struct buf got = BUF_INIT(100);
	struct err err;

	script("on", "{ echo \"$#:$1:$2\"; cat; } >got");
	run(" ./on  \\'a $HOME\t", "in\nput", 0, &err);
	CHECK(!input_read(&got, "got", &err));
	CHECK_STR(got.p, "2:'a:$HOME\nin\nput");
	buf_release(&got);
}

TEST(a_command_stays_the_one_that_it_was)
{
	struct command *c;
	struct err err;

	script("on", "exit 0");
	CHECK(!command_open(&c, "./on", &err));
	CHECK(!mkdir("elsewhere", 0700) && !chdir("elsewhere"));
	CHECK(!command_run(c, &none, "", 0, &err));
	command_free(c);
}

TEST(a_command_that_does_not_read_hurts_nobody)
{
	static char much[1 << 20];
	struct command *c;
	struct err err;

	CHECK(!command_open(&c, "true", &err));
	CHECK(!command_run(c, &none, much, sizeof(much), &err));
	command_free(c);
}

TEST(a_command_has_no_signal_blocked_or_ignored)
{
	struct buf got = BUF_INIT(200);
	struct err err;
	sigset_t all;

	script("on", "grep -c '^SigBlk:\t0*$' /proc/self/status >got\n"
		     "kill -PIPE $$");
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	signal(SIGPIPE, SIG_IGN);
	run("./on", "", ERR_ABORTED, &err);
	CHECK_HAS(err.msg, "ended by signal 13");
	CHECK(!input_read(&got, "got", &err));
	CHECK_STR(got.p, "1\n");
	buf_release(&got);
}

TEST(a_command_that_fails_says_how)
{
	struct err err;

	script("no", "exit 3");
	run("./no", "", ERR_ABORTED, &err);
	CHECK_HAS(err.msg, "/no exited with status 3");
	script("dies", "kill -9 $$");
	run("./dies", "", ERR_ABORTED, &err);
	CHECK_HAS(err.msg, "/dies was ended by signal 9");
}

TEST(what_is_no_program_is_refused)
{
	struct command *c;
	struct err err;

	CHECK_INT(command_open(&c, " \t", &err), ERR_INVALID_ARGUMENT);
	CHECK_INT(command_open(&c, "./missing", &err), ERR_NOT_FOUND);
	CHECK_INT(command_open(&c, "no-such-program-here", &err),
		  ERR_NOT_FOUND);
	CHECK_HAS(err.msg, "no-such-program-here");
	CHECK(!mkdir("dir", 0700));
	CHECK_INT(command_open(&c, "./dir", &err), ERR_RESOURCE_EXHAUSTED);
}

static void write_file(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	CHECK(f && fwrite(text, 1, len, f) == len && !fclose(f));
}

TEST(lines_are_read_one_by_one)
{
	struct buf line = BUF_INIT(4);
	struct input *in;
	struct err err;
	bool more;

	write_file("lines", "a\n\n\0b\nlonger\nlast", 17);
	CHECK(!input_open(&in, "lines", &err));
	CHECK(!input_line(in, &line, &more, &err) && more);
	CHECK_STR(line.p, "a");
	CHECK(!input_line(in, &line, &more, &err) && more);
	CHECK_INT(line.len, 0);
	CHECK(!input_line(in, &line, &more, &err) && more);
	CHECK(line.len == 2 && !memcmp(line.p, "\0b", 2));
	CHECK_INT(input_line(in, &line, &more, &err), ERR_INVALID_ARGUMENT);
	CHECK(more);
	CHECK(!input_line(in, &line, &more, &err) && more);
	CHECK_STR(line.p, "last");
	CHECK(!input_line(in, &line, &more, &err) && !more);
	CHECK(input_ready(in));
	input_close(in);
	buf_release(&line);
	CHECK_INT(input_open(&in, "none", &err), ERR_NOT_FOUND);
}

TEST(a_line_is_ready_once_its_end_is_there)
{
	struct buf line = BUF_INIT(200000);
	struct input *in;
	struct err err;
	char much[100000];
	bool more;
	int fd;

	memset(much, 'x', sizeof(much));
	CHECK(!mkfifo("pipe", 0600));
	fd = open("pipe", O_RDWR);
	CHECK(!input_open(&in, "pipe", &err));
	CHECK(!input_ready(in));
	CHECK(write(fd, "a\nb", 3) == 3);
	CHECK(input_ready(in));
	CHECK(!input_line(in, &line, &more, &err) && more);
	CHECK_STR(line.p, "a");
	CHECK(!input_ready(in));
	CHECK(write(fd, much, 40000) == 40000);
	CHECK(!input_ready(in));
	CHECK(write(fd, "\n", 1) == 1);
	CHECK(input_ready(in));
	CHECK(!input_line(in, &line, &more, &err) && more);
	CHECK_INT(line.len, 40001);
	close(fd);
	CHECK(input_ready(in));
	CHECK(!input_line(in, &line, &more, &err) && !more);
	input_close(in);
	buf_release(&line);
}
