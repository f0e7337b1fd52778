/* What is seen of a master, as events, as rows and as text. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "node/screen.h"
#include "task/overseer.h"
#include "task/rows.h"

enum { EVENT_LINES = 6 }; /* that workers leave room for */

/* ---- events ---- */

static const Gfl__V1__Worker *find(const struct overseer_view *v,
				   const char *id)
{
	for (size_t i = 0; v->crew && i < v->crew->n_workers; i++)
		if (!strcmp(v->crew->workers[i]->id, id))
			return v->crew->workers[i];
	return NULL;
}

/* "here", or what it is instead; "" of none. */
static const char *presence(const Gfl__V1__Worker *w)
{
	if (!w)
		return "";
	return strcmp(w->status, "dead") && strcmp(w->status, "left")
		       ? "here"
		       : w->status;
}

static void compare_worker(const Gfl__V1__Worker *before,
			   struct overseer_event e, overseer_fn *fn, void *arg)
{
	const char *breaker = before ? before->breaker : "closed";

	e.event = presence(e.worker);
	if (strcmp(e.event, presence(before)) != 0 &&
	    (before || !strcmp(e.event, "here"))) {
		e.text = e.worker->url;
		fn(&e, arg);
	}
	e.text = NULL;
	e.what = "breaker";
	e.event = e.worker->breaker;
	if (strcmp(e.event, breaker) != 0)
		fn(&e, arg);
}

void overseer_compare(const struct overseer_view *before,
		      const struct overseer_view *now, overseer_fn *fn,
		      void *arg)
{
	struct overseer_event e = {
		.what = "master", .event = "serving", .status = now->status};

	if (!before->status)
		fn(&e, arg);
	e.what = "worker";
	for (size_t i = 0; i < now->crew->n_workers; i++) {
		e.worker = now->crew->workers[i];
		compare_worker(find(before, e.worker->id), e, fn, arg);
	}
}

/* ---- rows ---- */

const struct out_col overseer_cols[OVERSEER_COLS] = {
	{"at", OUT_TIME},   {"what", OUT_TEXT},       {"event", OUT_TEXT},
	{"task", OUT_INT},  {"name", OUT_TEXT},       {"worker", OUT_TEXT},
	{"tries", OUT_INT}, {"duration_s", OUT_REAL}, {"waiting", OUT_INT},
	{"ready", OUT_INT}, {"running", OUT_INT},     {"workers", OUT_INT},
	{"text", OUT_TEXT}, {"result", OUT_SPREAD},
};

static struct out_cell words(const char *s)
{
	return s && *s ? out_text(s) : out_none();
}

static const char *why(const struct overseer_event *e)
{
	return e->task ? e->task->error : e->text;
}

static const char *whose(const struct overseer_event *e)
{
	if (e->task)
		return e->task->worker;
	return e->worker ? e->worker->id : NULL;
}

void overseer_row(struct out *o, const struct overseer_event *e)
{
	const Gfl__V1__Task *t = e->task;
	const Gfl__V1__MasterStatus *s = e->status;
	char *result = t ? rows_result_of(t) : NULL;

	out_row(o, out_time(clock_wall_ms()), out_text(e->what),
		out_text(e->event), t ? out_int(t->id) : out_none(),
		words(t ? t->name : NULL), words(whose(e)),
		t ? out_int(t->tries) : out_none(),
		t ? out_real(t->duration_s) : out_none(),
		s ? out_int(s->waiting) : out_none(),
		s ? out_int(s->ready) : out_none(),
		s ? out_int(s->running) : out_none(),
		s ? out_int(s->workers) : out_none(), words(why(e)),
		result ? out_spread(result) : out_none());
	free(result);
}

/* ---- text ---- */

static void put_task(struct buf *out, const Gfl__V1__Task *t)
{
	buf_putf(out, "task %" PRId64, t->id);
	if (*t->name)
		buf_putf(out, " (%s)", t->name);
	buf_putf(out, " %s", t->state);
	if (*t->worker)
		buf_putf(out, " on %s", t->worker);
	if (t->tries)
		buf_putf(out, ", try %d, %.3g s", t->tries, t->duration_s);
	for (size_t i = 0; i < t->n_metrics; i++)
		buf_putf(out, "%s%s %.5g", i ? ", " : ": ", t->metrics[i]->key,
			 t->metrics[i]->value);
	if (*t->error)
		buf_putf(out, ": %s", t->error);
}

void overseer_words(struct buf *out, const struct overseer_event *e)
{
	if (e->task) {
		put_task(out, e->task);
		return;
	}
	if (!strcmp(e->what, "breaker"))
		buf_putf(out, "breaker of worker %s %s", e->worker->id,
			 e->event);
	else
		buf_putf(out, "%s%s%s %s", e->what, e->worker ? " " : "",
			 e->worker ? e->worker->id : "", e->event);
	if (e->text && *e->text)
		buf_putf(out, ": %s", e->text);
}

static void put_head(struct screen_page *p, const char *url,
		     const Gfl__V1__MasterStatus *s, struct buf *line)
{
	buf_putf(line, "master %s: ", url);
	if (!s) {
		buf_puts(line, "looking for it");
		screen_line(p, line);
		return;
	}
	buf_putf(line, "%d worker%s alive, %d dead", s->workers,
		 s->workers == 1 ? "" : "s", s->dead);
	screen_line(p, line);
	buf_putf(line, "%" PRId64 " tasks ready", s->ready);
	if (s->next_ms)
		buf_putf(line, " (the next one for %.0f s)",
			 (double)(s->now_ms - s->next_ms) / 1000);
	buf_putf(line, ", %" PRId64 " waiting, %" PRId64 " running", s->waiting,
		 s->running);
	screen_line(p, line);
	buf_putf(line,
		 "since it was started: %" PRId64 " done, %" PRId64
		 " failed, %" PRId64 " cancelled",
		 s->done, s->failed, s->cancelled);
	screen_line(p, line);
	screen_line(p, line);
}

static void put_worker(struct screen_page *p, const Gfl__V1__Worker *w,
		       struct buf *line)
{
	buf_putf(line,
		 "%-16.16s %-6s %4s %3d/%-3d %7" PRId64 " %6" PRId64
		 " %7.3g %-7s %3.0f %3.0f ",
		 w->id, w->status, w->mode, w->running, w->slots, w->done,
		 w->failed, w->mean_s, w->breaker, w->cpu, w->memory);
	if (w->gpus)
		buf_putf(line, "%4.0f", w->gpu);
	else
		buf_puts(line, "   -");
	screen_line(p, line);
}

static void put_crew(struct screen_page *p,
		     const Gfl__V1__ListWorkersResponse *crew, size_t nevents,
		     struct buf *line)
{
	const size_t keep = (nevents < EVENT_LINES ? nevents : EVENT_LINES) + 3;
	const size_t room = p->left > keep ? p->left - keep : 0;
	size_t i;

	buf_puts(line, "WORKER           STATUS MODE   RUN       DONE FAILED  "
		       "MEAN_S BREAKER CPU MEM  GPU");
	screen_line(p, line);
	for (i = 0; i < crew->n_workers && i < room; i++)
		put_worker(p, crew->workers[i], line);
	if (i < crew->n_workers) {
		buf_putf(line, "and %zu more", crew->n_workers - i);
		screen_line(p, line);
	}
	screen_line(p, line);
}

void overseer_draw(struct buf *out, const char *url,
		   const struct overseer_view *v, char *const *events,
		   size_t nevents, size_t width, size_t height)
{
	struct screen_page p = {out, width, height};
	struct buf line = BUF_INIT(0);
	size_t first;

	put_head(&p, url, v->status, &line);
	if (v->status)
		put_crew(&p, v->crew, nevents, &line);
	first = nevents > p.left ? nevents - p.left : 0;
	for (size_t i = first; i < nevents; i++) {
		buf_puts(&line, events[i]);
		screen_line(&p, &line);
	}
	buf_release(&line);
}
