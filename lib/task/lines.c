#include "task/lines.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/input.h"
#include "base/mem.h"
#include "base/worker.h"

enum {
	SOME = 1000,
	SOME_BYTES = 4 << 20, /* or one line */
};

struct kept {
	char *text; /* NULL: bad says why */
	size_t len;
	struct err *bad;
};

/* While reading, all but loop, worker, came and arg is the thread's. */
struct lines {
	struct worker *worker;
	struct input *input;
	size_t longest;
	loop_fn *came;
	void *arg;

	struct kept *all;
	size_t n, cap, taken;
	bool reading, end;
};

static void add(struct lines *l, const struct buf *line, const struct err *bad)
{
	struct kept *k;

	l->all = mem_grow(l->all, &l->cap, l->n + 1, sizeof(*l->all));
	k = &l->all[l->n++];
	*k = (struct kept){0};
	if (bad) {
		k->bad = mem_dup(bad, sizeof(*bad));
		return;
	}
	k->len = line->len;
	k->text = mem_dup(line->p ? line->p : "", line->len);
}

static void read_some(void *arg)
{
	struct lines *l = arg;
	struct buf line = BUF_INIT(l->longest);
	size_t bytes = 0;
	bool more = true;

	do {
		struct err bad;

		if (input_line(l->input, &line, &more, &bad)) {
			add(l, NULL, &bad);
			continue;
		}
		if (!more)
			break;
		add(l, &line, NULL);
		bytes += line.len;
	} while (more && l->n < SOME && bytes < SOME_BYTES &&
		 input_ready(l->input));
	l->end = !more;
	buf_release(&line);
}

static void have_read(void *arg)
{
	struct lines *l = arg;

	l->reading = false;
	l->came(l->arg);
}

int lines_open(struct lines **out, struct loop *loop, const char *path,
	       size_t longest, loop_fn *came, void *arg, struct err *err)
{
	struct lines *l = mem_zero(1, sizeof(*l));

	l->longest = longest;
	l->came = came;
	l->arg = arg;
	if (input_open(&l->input, path, err) ||
	    worker_open(&l->worker, loop, "reader", 1, err)) {
		input_close(l->input);
		free(l);
		return (int)err->code;
	}
	*out = l;
	return 0;
}

static void forget(struct lines *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->all[i].text);
		free(l->all[i].bad);
	}
	l->n = l->taken = 0;
}

bool lines_next(struct lines *l, struct lines_one *out)
{
	const struct kept *k;

	if (l->reading || l->taken == l->n)
		return false;
	k = &l->all[l->taken++];
	*out = (struct lines_one){k->text, k->len, k->bad};
	return true;
}

int lines_read_on(struct lines *l, struct err *err)
{
	if (l->end || l->reading || l->taken < l->n)
		return 0;
	forget(l);
	if (worker_submit(l->worker, read_some, have_read, l, err))
		return (int)err->code;
	l->reading = true;
	return 0;
}

bool lines_ended(const struct lines *l)
{
	return !l->reading && l->end && l->taken == l->n;
}

bool lines_close(struct lines *l)
{
	if (!l)
		return true;
	if (l->reading)
		return false;
	worker_close(l->worker);
	input_close(l->input);
	forget(l);
	free(l->all);
	free(l);
	return true;
}
