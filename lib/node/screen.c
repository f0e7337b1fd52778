#include "node/screen.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void screen_event(struct buf *out, const struct view_event *e)
{
	buf_puts(out, e->what);
	if (e->run)
		buf_putf(out, " %" PRId64, e->run);
	if (e->trainer)
		buf_putf(out, " %" PRId64, e->trainer);
	if (!strcmp(e->what, "node"))
		buf_putf(out, " %" PRId64, e->node);
	buf_putf(out, " %s", e->event);
	if (e->node && strcmp(e->what, "node") != 0)
		buf_putf(out, ": node %" PRId64, e->node);
	if (e->term)
		buf_putf(out, " in term %" PRId64, e->term);
	if (e->role && *e->role)
		buf_putf(out, ": %s", e->role);
	if (e->url && *e->url)
		buf_putf(out, " %s", e->url);
	if (e->rounds)
		buf_putf(out, ": round %" PRId64 "/%" PRId64, e->round,
			 e->rounds);
	if (!isnan(e->accuracy))
		buf_putf(out, ", mean accuracy %.3f", e->accuracy);
	if (e->text)
		buf_putf(out, ": %s", e->text);
}

void screen_line(struct screen_page *p, struct buf *line)
{
	if (p->left) {
		for (size_t i = 0; i < line->len && i < p->width; i++)
			buf_putc(p->out, line->p[i] < ' ' || line->p[i] > '~'
						 ? '?'
						 : line->p[i]);
		buf_putc(p->out, '\n');
		p->left--;
	}
	buf_reset(line);
}

static void put_head(struct screen_page *p, const struct screen *s,
		     struct buf *line)
{
	if (s->view->leader)
		buf_putf(line, "node %" PRId64 " leads in term %" PRId64,
			 s->view->leader, s->view->term);
	else
		buf_puts(line, "no leader");
	if (*s->watched)
		buf_putf(line, ", seen from %s", s->watched);
	else
		buf_puts(line, ", looking for a node");
	if (s->asks_gateway && *s->gateway)
		buf_putf(line, " and %s", s->gateway);
	else if (s->asks_gateway)
		buf_puts(line, ", no gateway");
	screen_line(p, line);
	screen_line(p, line);
}

static const char *status_of(const struct view_node *n, bool answers)
{
	if (n->expired)
		return "expired";
	if (n->down)
		return "down";
	return answers ? "alive" : "silent";
}

static void put_nodes(struct screen_page *p, const struct screen *s,
		      struct buf *line)
{
	int64_t most = 0;

	for (size_t i = 0; i < s->view->nnodes; i++)
		if (s->nodes[i].commit > most)
			most = s->nodes[i].commit;
	buf_puts(line, "  ID ROLE      STATUS   TERM  COMMIT   LAG TRAINERS "
		       "URL");
	screen_line(p, line);
	for (size_t i = 0; i < s->view->nnodes; i++) {
		const struct view_node *n = &s->view->nodes[i];
		const struct screen_node *said = &s->nodes[i];
		bool answers = said->commit >= 0;

		buf_putf(line, "%4" PRId64 " %-9s %-7s ", n->id,
			 answers ? said->role : n->role, status_of(n, answers));
		if (answers)
			buf_putf(line, "%5" PRId64 " %7" PRId64 " %5" PRId64,
				 said->term, said->commit, most - said->commit);
		else
			buf_putf(line, "%5s %7s %5s", "-", "-", "-");
		buf_putf(line, " %8zu %s", view_attached(s->view, n->id),
			 n->url);
		screen_line(p, line);
	}
	screen_line(p, line);
}

static void put_run(struct screen_page *p, const struct screen *s,
		    struct buf *line)
{
	const struct view_run *r = view_last_run(s->view);

	if (!r) {
		buf_puts(line, "no run");
	} else {
		buf_putf(line, "run %" PRId64 " %s: round %" PRId64 "/%" PRId64,
			 r->id, r->state, r->round, r->rounds);
		if (!isnan(r->accuracy))
			buf_putf(line, ", mean accuracy %.3f", r->accuracy);
		buf_putf(line, ", sent %.1f MB by %" PRId64 " trainers",
			 (double)r->bytes_sent / 1e6, r->trainers);
	}
	screen_line(p, line);
	screen_line(p, line);
}

void screen_draw(struct buf *out, const struct screen *s)
{
	struct screen_page p = {out, s->width, s->height};
	struct buf line = BUF_INIT(0);
	size_t first;

	put_head(&p, s, &line);
	put_nodes(&p, s, &line);
	put_run(&p, s, &line);
	first = s->nevents > p.left ? s->nevents - p.left : 0;
	for (size_t i = first; i < s->nevents; i++) {
		buf_puts(&line, s->events[i]);
		screen_line(&p, &line);
	}
	buf_release(&line);
}
