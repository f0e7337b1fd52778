/* What is seen of a server, as events and as text. */
#include <inttypes.h>
#include <string.h>

#include "fl/gaze.h"
#include "node/screen.h"

static bool is_gone(const Gfl__V1__FlClient *c)
{
	return !c || !strcmp(c->state, "gone");
}

static const Gfl__V1__FlClient *find(const Gfl__V1__FlStatus *s, int64_t id)
{
	for (size_t i = 0; s && i < s->n_clients; i++)
		if (s->clients[i]->client_id == id)
			return s->clients[i];
	return NULL;
}

bool gaze_leads(const Gfl__V1__FlStatus *s)
{
	return !strcmp(s->mode, "participants");
}

int64_t gaze_here(const Gfl__V1__FlStatus *s)
{
	int64_t n = (int64_t)s->n_participants;

	for (size_t i = 0; i < s->n_clients; i++)
		n += is_gone(s->clients[i]) ? 0 : s->clients[i]->logical;
	return n;
}

int64_t gaze_refused(const Gfl__V1__FlStatus *s)
{
	int64_t n = 0;

	for (size_t i = 0; i < s->n_refused_for; i++)
		n += s->refused_for[i]->updates;
	return n;
}

static bool has_ended(const char *state)
{
	return !strncmp(state, "end", 3);
}

static void compare_clients(const Gfl__V1__FlStatus *before,
			    const Gfl__V1__FlStatus *now, gaze_fn *fn,
			    void *arg)
{
	struct gaze_event e = {.what = "client", .status = now};

	for (size_t i = 0; i < now->n_clients; i++) {
		const Gfl__V1__FlClient *c = now->clients[i];
		const bool gone = is_gone(c);

		e.client = c->client_id;
		e.event = gone ? "gone" : "here";
		e.text = c->address;
		if (gone != is_gone(find(before, c->client_id)))
			fn(&e, arg);
	}
}

static bool knows(const Gfl__V1__FlStatus *s, int64_t participant)
{
	for (size_t i = 0; s && i < s->n_participants; i++)
		if (s->participants[i]->id == participant)
			return true;
	return false;
}

/* Each participant of one that the other does not know. */
static void differ(const Gfl__V1__FlStatus *one, const Gfl__V1__FlStatus *other,
		   struct gaze_event e, gaze_fn *fn, void *arg)
{
	e.what = "participant";
	for (size_t i = 0; one && i < one->n_participants; i++) {
		e.client = one->participants[i]->id;
		e.text = one->participants[i]->address;
		if (!knows(other, e.client))
			fn(&e, arg);
	}
}

void gaze_compare(const Gfl__V1__FlStatus *before, const Gfl__V1__FlStatus *now,
		  gaze_fn *fn, void *arg)
{
	struct gaze_event e = {.status = now};
	const bool ends = has_ended(now->state);

	compare_clients(before, now, fn, arg);
	e.event = "gone";
	differ(before, now, e, fn, arg);
	e.event = "here";
	differ(now, before, e, fn, arg);
	if (before && now->round > before->round) {
		e.what = "round";
		e.event = "ended";
		fn(&e, arg);
	}
	if (!before || (ends && !has_ended(before->state))) {
		e.what = "server";
		e.event = now->state;
		fn(&e, arg);
	}
}

static void put_scores(struct buf *out, const Gfl__V1__FlStatus *s)
{
	const Gfl__V1__FlEvaluation *e = s->evaluation;

	if (s->round && !gaze_leads(s))
		buf_putf(out, "loss %.4f", s->loss);
	if (s->_accuracy_case)
		buf_putf(out, ", accuracy %.4f", s->accuracy);
	if (e && e->_accuracy_case)
		buf_putf(out,
			 ", %.4f on the clients' data (round %" PRId64
			 ", %" PRId64 " of %" PRId64 ")",
			 e->accuracy, e->round, e->answered, e->asked);
}

static void put_round(struct buf *out, const Gfl__V1__FlStatus *s)
{
	buf_putf(out, "round %" PRId64, s->round);
	if (s->rounds)
		buf_putf(out, "/%" PRId64, s->rounds);
}

void gaze_words(struct buf *out, const struct gaze_event *e)
{
	if (!strcmp(e->what, "round")) {
		put_round(out, e->status);
		buf_puts(out, gaze_leads(e->status) ? " ended" : " ended: ");
		put_scores(out, e->status);
		return;
	}
	buf_puts(out, e->what);
	if (e->client)
		buf_putf(out, " %" PRId64, e->client);
	buf_putf(out, " %s", e->event);
	if (e->text && *e->text)
		buf_putf(out, ": %s", e->text);
}

static void put_trouble(struct buf *line, const Gfl__V1__FlStatus *s)
{
	if (gaze_leads(s)) {
		buf_putf(line, "%" PRId64 " instructions have failed",
			 s->missed);
		return;
	}
	buf_putf(line,
		 "%" PRId64 " updates missed, %" PRId64
		 " rounds repeated, refused: %" PRId64,
		 s->missed, s->voided, gaze_refused(s));
	for (size_t i = 0; i < s->n_refused_for; i++)
		if (s->refused_for[i]->updates)
			buf_putf(line, " %s %" PRId64,
				 s->refused_for[i]->reason,
				 s->refused_for[i]->updates);
}

static void put_head(struct screen_page *p, const char *url,
		     const Gfl__V1__FlStatus *s, struct buf *line)
{
	buf_putf(line, "server %s: ", url);
	if (!s) {
		buf_puts(line, "looking for it");
		screen_line(p, line);
		return;
	}
	buf_putf(line, "%s, ", s->state);
	put_round(line, s);
	buf_putf(line, " (%s), %.0f s since the last", s->mode,
		 (double)s->quiet_ms / 1000);
	if (*s->model)
		buf_putf(line, "; model %s", s->model);
	if (*s->active)
		buf_putf(line, "; the active one is %s", s->active);
	screen_line(p, line);
	buf_putf(line,
		 "%" PRId64 " %s here, %" PRId64 " needed; %" PRId64
		 " of %" PRId64 " have answered in this round",
		 gaze_here(s), gaze_leads(s) ? "participants" : "clients",
		 s->needed, s->admitted, s->activated);
	screen_line(p, line);
	put_scores(line, s);
	screen_line(p, line);
	put_trouble(line, s);
	screen_line(p, line);
	screen_line(p, line);
}

static void put_clients(struct screen_page *p, const Gfl__V1__FlStatus *s,
			struct buf *line)
{
	buf_puts(line,
		 "  ID STATUS     HOSTS EXAMPLES ROUND TAKEN REFUSED MISSED "
		 "SENT_MB GOT_MB   LOSS ADDRESS");
	screen_line(p, line);
	for (size_t i = 0; i < s->n_clients; i++) {
		const Gfl__V1__FlClient *c = s->clients[i];

		buf_putf(line,
			 "%4" PRId64 " %-10s %5d %8" PRId64 " %5" PRId64
			 " %5" PRId64 " %7" PRId64 " %6" PRId64
			 " %7.1f %6.1f %6.3f %s",
			 c->client_id, c->state, c->logical, c->examples,
			 c->round, c->accepted, c->refused, c->missed,
			 (double)c->bytes_sent / 1e6,
			 (double)c->bytes_received / 1e6, c->loss, c->address);
		screen_line(p, line);
	}
	screen_line(p, line);
}

static void put_participants(struct screen_page *p, const Gfl__V1__FlStatus *s,
			     struct buf *line)
{
	buf_puts(line, "  ID STATUS  ANSWERED FAILED VIA      ADDRESS");
	screen_line(p, line);
	for (size_t i = 0; i < s->n_participants; i++) {
		const Gfl__V1__Participant *one = s->participants[i];

		buf_putf(line,
			 "%4" PRId64 " %-7s %8" PRId64 " %6" PRId64 " %-8s %s",
			 one->id, one->state, one->answered, one->failed,
			 one->via, one->address);
		screen_line(p, line);
	}
	screen_line(p, line);
}

void gaze_draw(struct buf *out, const char *url, const Gfl__V1__FlStatus *s,
	       char *const *events, size_t nevents, size_t width, size_t height)
{
	struct screen_page p = {out, width, height};
	struct buf line = BUF_INIT(0);
	size_t first;

	put_head(&p, url, s, &line);
	if (s && gaze_leads(s))
		put_participants(&p, s, &line);
	else if (s)
		put_clients(&p, s, &line);
	first = nevents > p.left ? nevents - p.left : 0;
	for (size_t i = first; i < nevents; i++) {
		buf_puts(&line, events[i]);
		screen_line(&p, &line);
	}
	buf_release(&line);
}
