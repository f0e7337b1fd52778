#include "test.h"

#include <string.h>

#include "task/overseer.h"

enum { WORKERS = 3 };

/* A look at a master, with its workers. */
struct bed {
	Gfl__V1__MasterStatus status;
	Gfl__V1__ListWorkersResponse crew;
	Gfl__V1__Worker w[WORKERS], *at[WORKERS];
	struct overseer_view view;
};

/* Of each worker a letter: i idle, b busy, d dead, o its breaker is open. */
static void make(struct bed *b, const char *states)
{
	static const char *const ids[] = {"w1", "w2", "w3"};

	gfl__v1__master_status__init(&b->status);
	gfl__v1__list_workers_response__init(&b->crew);
	b->crew.workers = b->at;
	b->crew.n_workers = strlen(states);
	for (size_t i = 0; i < b->crew.n_workers; i++) {
		const char c = states[i];

		gfl__v1__worker__init(&b->w[i]);
		b->w[i].id = (char *)ids[i];
		b->w[i].mode = (char *)"pull";
		b->w[i].status = (char *)(c == 'd'   ? "dead"
					  : c == 'b' ? "busy"
						     : "idle");
		b->w[i].breaker = (char *)(c == 'o' ? "open" : "closed");
		b->at[i] = &b->w[i];
	}
	b->view = (struct overseer_view){&b->status, &b->crew};
}

static void note(const struct overseer_event *e, void *arg)
{
	overseer_words(arg, e);
	buf_puts(arg, "\n");
}

static char *between(const struct bed *before, const struct bed *now)
{
	static const struct overseer_view none;
	static char text[1000];
	struct buf b = BUF_INIT(0);

	buf_puts(&b, "");
	overseer_compare(before ? &before->view : &none, &now->view, note, &b);
	snprintf(text, sizeof(text), "%s", b.p);
	buf_release(&b);
	return text;
}

TEST(the_first_look_tells_which_workers_are_there)
{
	struct bed b;

	make(&b, "ido");
	CHECK_STR(between(NULL, &b), "master serving\nworker w1 here\n"
				     "worker w3 here\n"
				     "breaker of worker w3 open\n");
}

TEST(what_has_changed_is_told_once)
{
	struct bed before, now;

	make(&before, "id");
	make(&now, "bdi");
	CHECK_STR(between(&before, &now), "worker w3 here\n");
	make(&now, "di");
	CHECK_STR(between(&before, &now), "worker w1 dead\nworker w2 here\n");
	make(&now, "od");
	CHECK_STR(between(&before, &now), "breaker of worker w1 open\n");
	CHECK_STR(between(&now, &before), "breaker of worker w1 closed\n");
}

TEST(a_task_that_failed_has_its_reason)
{
	Gfl__V1__Task t = GFL__V1__TASK__INIT;
	struct overseer_event e = {
		.what = "task", .event = "failed", .task = &t};
	struct buf b = BUF_INIT(0);

	t.id = 7;
	t.name = (char *)"a";
	t.state = (char *)"failed";
	t.worker = (char *)"w1";
	t.tries = 2;
	t.duration_s = 0.5;
	t.error = (char *)"no data";
	overseer_words(&b, &e);
	CHECK_STR(b.p, "task 7 (a) failed on w1, try 2, 0.5 s: no data");
	buf_release(&b);
}

/* Lines of the view, of a height and width; none is longer than width. */
static size_t lines(const struct overseer_view *v, size_t height, size_t width,
		    struct buf *out)
{
	char *events[] = {(char *)"one", (char *)"two"};
	size_t n = 0, begin = 0;

	buf_reset(out);
	buf_puts(out, "");
	overseer_draw(out, "http://m", v, events, 2, width, height);
	for (size_t i = 0; i < out->len; i++) {
		if (out->p[i] != '\n')
			continue;
		CHECK(i - begin <= width);
		begin = i + 1;
		n++;
	}
	return n;
}

TEST(a_master_fits_the_terminal)
{
	const struct overseer_view nobody = {0};
	struct buf out = BUF_INIT(0);
	struct bed b;

	make(&b, "iod");
	CHECK(lines(&b.view, 24, 80, &out) <= 24);
	CHECK(strstr(out.p, "w3 ") && strstr(out.p, "two"));
	for (size_t height = 0; height < 14; height++)
		CHECK(lines(&b.view, height, 30, &out) <= height);
	CHECK(lines(&b.view, 10, 80, &out) <= 10);
	CHECK(strstr(out.p, "and 2 more") && strstr(out.p, "two"));
	CHECK(lines(&nobody, 24, 80, &out) == 3);
	CHECK(strstr(out.p, "looking for it"));
	buf_release(&out);
}
