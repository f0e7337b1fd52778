#include "fl/exec_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

/* Threads as --threads says, unless the environment knows better, and none
 * that spin: processors are shared. */
static void put_threads(const struct exec_opts *opts, struct facts *to)
{
	static const char *const names[] = {
		"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!getenv(names[i]))
			facts_add(to, names[i], "%d", opts->threads);
	if (!getenv("OMP_WAIT_POLICY"))
		facts_add(to, "OMP_WAIT_POLICY", "passive");
	if (opts->serves)
		facts_add(to, "GFL_PROTOCOL", "%d", CONTRACT_PROTOCOL);
}

static int open_dir(struct exec *x, const char *dir, struct err *err)
{
	if (mkdir(dir, 0700) && errno != EEXIST)
		return err_sys(err, "make directory %s", dir);
	x->dir = realpath(dir, NULL);
	if (!x->dir)
		return err_sys(err, "use %s", dir);
	x->in = mem_fmt("%s/in.safetensors", x->dir);
	x->out = mem_fmt("%s/out.safetensors", x->dir);
	return 0;
}

static int open_beside(struct exec *x, const char *db, struct err *err)
{
	char *dir = mem_fmt("%.*s.exec", str_stem(db), db);
	int rc = open_dir(x, dir, err);

	free(dir);
	return rc;
}

int exec_open(struct exec **out, const struct exec_opts *opts, const char *db,
	      struct err *err)
{
	struct exec *x = mem_zero(1, sizeof(*x));
	struct facts always = {0};
	struct child_opts how = {
		.command = opts->command,
		.serves = opts->serves,
		.task_ms = opts->task_ms,
		.ready_ms = opts->ready_ms,
		.grace_ms = opts->grace_ms,
		.always = &always,
	};
	int rc;

	x->opts = *opts;
	x->opts.command = x->opts.data = x->opts.index = x->opts.test = NULL;
	x->data = mem_str(opts->data);
	x->index = mem_str(opts->index);
	x->test = mem_str(opts->test);
	put_threads(opts, &always);
	rc = child_open(&x->child, &how, err);
	facts_release(&always);
	if (!rc)
		rc = open_beside(x, db, err);
	if (!rc) {
		*out = x;
		return 0;
	}
	exec_close(x);
	return err_wrap(err, opts->serves ? "--exec-serve" : "--exec");
}

void exec_close(struct exec *x)
{
	if (!x)
		return;
	child_close(x->child);
	if (x->in)
		unlink(x->in);
	if (x->out)
		unlink(x->out);
	if (x->dir)
		rmdir(x->dir); /* what others put there keeps it */
	free(x->data);
	free(x->index);
	free(x->test);
	free(x->dir);
	free(x->in);
	free(x->out);
	free(x);
}

const char *exec_words(const struct exec *x)
{
	return child_words(x->child);
}

char *exec_reason(const struct exec *x, const char *what, const struct err *why,
		  size_t max)
{
	const char *words = exec_words(x);
	struct buf b = BUF_INIT(0);
	size_t len = strlen(words), left;

	buf_putf(&b, "%s: ", what);
	contract_words(&b, why->msg, strlen(why->msg));
	left = b.len < max ? max - b.len : 0;
	if (len && left > 2) {
		left -= 2;
		buf_puts(&b, ": ");
		contract_words(&b, len > left ? words + len - left : words,
			       len > left ? left : len);
	}
	return buf_take(&b);
}

bool exec_tests(const struct exec *x)
{
	return x->test;
}

void exec_warm(struct exec *x)
{
	child_warm(x->child);
}

void exec_rest(struct exec *x)
{
	child_rest(x->child);
}
