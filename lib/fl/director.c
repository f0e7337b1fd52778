#include "fl/director.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "fl/theta.h"
#include "wire/utf8.h"

enum { GRACE_MS = 5000, BACK_IN_S = 5 };

struct director {
	struct loop *loop;
	struct director_opts opts;
	char *dir;
	struct participants *ps;
	director_fn *over;
	struct process *process;
	struct instruction *next; /* until there are enough participants */
	struct buf lines;         /* of JSON, on the round that has ended */
	struct timer soon; /* what does not happen within a director_...() */
	int64_t *runs;     /* 0: ended */
	size_t n_runs, cap_runs, open, answered, failed, enough;
	size_t n_files; /* of answers, of this round or before */
	int64_t round, began_ms;
	bool stopped, done;
	struct err err; /* code 0: none */
};

/* ---- the end ---- */

static void on_over(void *arg)
{
	struct director *d = arg;

	d->over(d->opts.arg);
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

/* ---- files of answers ---- */

static void remove_files(const struct director *d)
{
	DIR *dir = opendir(d->dir);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (strstr(e->d_name, ".npz"))
			unlinkat(dirfd(dir), e->d_name, 0);
	if (dir)
		closedir(dir);
}

static char *path_of(const struct director *d, size_t i)
{
	return mem_fmt("%s/%zu.npz", d->dir, i);
}

/* Those that no answer of this round has overwritten. Files are used again, as
 * ext4 takes its time to give away what was just deleted. */
static void remove_old(struct director *d)
{
	char *path;

	for (; d->n_files > d->answered; d->n_files--) {
		path = path_of(d, d->n_files);
		unlink(path);
		free(path);
	}
}

/* Not synced: after a crash nobody asks for them. Cut off at the end, since ext4
 * would write what is truncated first to the disk at once. */
static int write_file(const char *path, const struct buf *b, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	size_t at = 0;
	ssize_t n = 0;

	while (fd >= 0 && at < b->len && n >= 0) {
		n = write(fd, b->p + at, b->len - at);
		at += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0 && n >= 0)
		n = ftruncate(fd, (off_t)b->len);
	if (fd < 0 || n < 0)
		err_sys(err, "write %s", path);
	if (fd >= 0)
		close(fd);
	return fd < 0 || n < 0 ? (int)err->code : 0;
}

static int keep_answer(struct director *d, const TrainResult *r, json_t *row,
		       struct err *err)
{
	struct buf npz = BUF_INIT(0);
	char *path = path_of(d, d->answered + 1);
	int rc = theta_pack(&npz, r->theta, r->n_theta, err);

	if (!rc)
		rc = write_file(path, &npz, err);
	if (d->n_files < d->answered + 1)
		d->n_files = d->answered + 1;
	json_object_set_new(row, "arrays", json_integer((int)r->n_theta));
	json_object_set_new(row, "file", json_string(path));
	buf_release(&npz);
	free(path);
	return rc;
}

static void add_line(struct director *d, json_t *row)
{
	char *text = json_dumps(row, JSON_COMPACT);

	if (!text)
		abort();
	buf_puts(&d->lines, text);
	buf_putc(&d->lines, '\n');
	free(text);
}

/* ---- a round ---- */

static void ask_command(struct director *d);

static void withdraw_rest(struct director *d)
{
	for (size_t i = 0; i < d->n_runs; i++)
		if (d->runs[i])
			participants_withdraw(d->ps, d->runs[i]);
	d->n_runs = d->open = 0;
}

static void next_round(void *arg)
{
	struct director *d = arg;
	const struct director_round r = {
		.round = d->round,
		.instructed = (int64_t)d->n_runs,
		.answered = (int64_t)d->answered,
		.failed = (int64_t)d->failed,
		.seconds = (double)(clock_ms() - d->began_ms) / 1000,
	};

	withdraw_rest(d);
	remove_old(d);
	if (d->opts.on_round)
		d->opts.on_round(&r, d->opts.arg);
	d->done = d->round == d->opts.rounds;
	ask_command(d);
}

static void forget_run(struct director *d, int64_t run)
{
	for (size_t i = 0; i < d->n_runs; i++)
		if (d->runs[i] == run)
			d->runs[i] = 0;
	d->open--;
}

/* The sentence may have been cut within a character. */
static void add_error(json_t *row, const struct err *err)
{
	struct buf text = BUF_INIT(0);

	utf8_put(&text, err->msg, strlen(err->msg));
	json_object_set_new(row, "code", json_string(err_name(err->code)));
	json_object_set_new(row, "error", json_string(text.p));
	buf_release(&text);
}

static void on_answer(const struct err *err, const struct run_answer *a,
		      void *arg)
{
	struct director *d = arg;
	json_t *row;

	if (d->stopped || d->err.code)
		return;
	row = json_pack("{s:I,s:s,s:f,s:i}", "participant", (json_int_t)a->who,
			"state", err ? "failed" : "answered", "seconds",
			(double)a->took_ms / 1000, "tries", a->tries);

	if (err) {
		add_error(row, err);
		d->failed++;
	} else if (keep_answer(d, a->msg->train_result, row, &d->err)) {
		fail(d);
	} else {
		d->answered++;
	}
	add_line(d, row);
	json_decref(row);
	forget_run(d, a->run);
	if (!d->err.code && (!d->open || d->answered == d->enough))
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
	d->runs = mem_grow(d->runs, &d->cap_runs, n, sizeof(*d->runs));
	d->n_runs = 0;
	for (; d->n_runs < n; d->n_runs++)
		if (participants_run(d->ps, d->next, &opts, on_answer, d,
				     &d->runs[d->n_runs], err))
			return (int)err->code;
	d->open = n;
	d->enough = share(d->opts.fraction, n);
	d->began_ms = clock_ms();
	log_info("round", "round=%" PRId64 " instructed=%zu", d->round, n);
	return 0;
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
	participants_get(d->ps, (size_t)d->opts.min_participants, on_enough, d);
	return 0;
}

static void on_said(const struct err *err, const char *out, size_t len,
		    void *arg)
{
	struct director *d = arg;

	d->process = NULL;
	buf_reset(&d->lines);
	d->answered = d->failed = 0;
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
	facts_add(f, "GFL_ANSWERED", "%zu", d->answered);
	facts_add(f, "GFL_FAILED", "%zu", d->failed);
	facts_add(f, "GFL_DIR", "%s", d->dir);
	if (d->done)
		facts_add(f, "GFL_LAST", "1");
}

static void ask_command(struct director *d)
{
	struct facts facts = {0};
	const struct process_opts opts = {
		.facts = &facts,
		.input = d->lines.p,
		.len = d->lines.len,
		.timeout_ms = d->opts.command_ms,
		.grace_ms = GRACE_MS,
		.out_max = d->opts.max_bytes,
	};

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
		  struct err *err)
{
	struct director *d;

	if (file_make_dirs(opts->dir, err))
		return (int)err->code;
	d = mem_zero(1, sizeof(*d));
	d->loop = loop;
	d->opts = *opts;
	d->dir = mem_str(opts->dir);
	d->over = over;
	remove_files(d); /* of an earlier life */
	participants_open(&d->ps, loop, s, &(struct participants_opts){0});
	participants_get(d->ps, (size_t)opts->min_participants, begin, d);
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
	remove_files(d);
	rmdir(d->dir);
	buf_release(&d->lines);
	free(d->runs);
	free(d->dir);
	free(d);
}
