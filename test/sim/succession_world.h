/* succession_world.h - servers, the leadership beside them, and the messages
 * between them, all in one queue of events. */
#ifndef SUCCESSION_WORLD_H
#define SUCCESSION_WORLD_H

#include <inttypes.h>

#include "base/rand.h"
#include "fl/succession.h"

enum {
	SERVERS = 3,
	EVENTS = 4096,
	MANY = 1 << 30,
	POLL_MS = 200,
	AGAIN_MS = 200,
	HOLD_MS = 2000,
	FOLLOW_MS = 6000,
	SURVEY_MS = 1000,
	UNLED_MS = 2000,
	SILENT_MS = 6000,
	PULL_MS = 4000,
};

enum kind {
	RESTART,
	POLL,   /* what the node beside it believes */
	ASKED,  /* a message is there: peer asks server */
	ANSWER, /* peer's word is there, or there is none */
	WAITED, /* the moment after which peer is asked again */
	IMPATIENT,
	ARRIVED, /* the state of peer, or there is none */
	WRITTEN, /* … to the disk */
	READY,
	TRAINED, /* the round under way */
	CONFIRMED,
	SAVED,
	LOOK, /* at whoever is held */
};

struct state {
	int64_t term, version;
	uint64_t made; /* unlike that of any other; 0: none */
};

struct event {
	int64_t at;
	uint64_t order;
	enum kind kind;
	int server, peer, life;
	int64_t n; /* of the question, or the patience; a term */
	bool hold;
	struct succession_word word;
	struct state state;
};

struct follower {
	int64_t term, version, until, held_at, asked;
	int life;
	bool held;
};

struct server {
	struct world *w;
	int id, life;
	bool up, active, leaving;
	int64_t paused_until, stale_until; /* the node believes what it did */
	int64_t believes;        /* the term in which its node leads, or 0 */
	int64_t mandate;         /* that was told */
	struct state disk, next; /* next: on its way there */
	struct succession stand;
	int64_t question[SERVERS], patience;
	int64_t surveyed;           /* when that began, … */
	struct state were[SERVERS]; /* … and what all had then */
	int64_t began;              /* to be active, … */
	int expects;                /* … when so many were there */
	bool training, saving;
	struct follower follower[SERVERS];
};

struct world {
	struct rand rand;
	int64_t now, term;
	int leader;
	int64_t led_since;
	struct server server[SERVERS];
	int64_t cut_until[SERVERS][SERVERS];
	int64_t well_since[SERVERS];
	struct event events[EVENTS];
	int nevents;
	uint64_t order, made;
	int64_t begun; /* the highest term in which one is active */
	int64_t told_max, lost, activations, questions;
	int most_lost; /* rounds, when another one becomes active */
	bool blind;    /* planted: nobody confirms */
	const char *wrong;
};

static inline int64_t chance(struct world *w, int64_t n)
{
	return (int64_t)rand_below(&w->rand, (uint64_t)n);
}

static inline struct event *event(struct world *w, int64_t in_ms,
				  enum kind kind, int server)
{
	struct event *e = &w->events[w->nevents++];

	if (w->nevents == EVENTS)
		test_fail(__FILE__, __LINE__, "too many events");
	*e = (struct event){.at = w->now + in_ms,
			    .order = w->order++,
			    .kind = kind,
			    .server = server,
			    .life = w->server[server].life};
	return e;
}

static inline int64_t delay(struct world *w)
{
	return 1 + chance(w, chance(w, 20) ? 10 : 300);
}

static inline bool is_well(const struct server *s)
{
	return s->up && s->w->now >= s->paused_until;
}

static inline bool all_well(const struct world *w)
{
	for (int i = 0; i < SERVERS; i++)
		if (!is_well(&w->server[i]) || w->server[i].leaving)
			return false;
	return true;
}

static inline bool reaches(const struct world *w, int a, int b)
{
	return w->server[b].up && w->now >= w->cut_until[a][b];
}

static inline struct server *any_server(struct world *w)
{
	return &w->server[chance(w, SERVERS)];
}

static inline void world_elect(struct world *w, int leader)
{
	w->term++;
	w->leader = leader;
	w->led_since = w->now;
}

/* ---- standing by ---- */

static inline void do_acts(struct server *s);

static inline void ask_peer(struct server *s, int peer, bool hold)
{
	struct world *w = s->w;
	struct event *e;

	s->question[peer] = ++w->questions;
	if (reaches(w, s->id, peer)) {
		e = event(w, delay(w), ASKED, peer);
		e->peer = s->id;
		e->n = s->question[peer];
		e->hold = hold;
		e->word.term = s->stand.term;
		e->word.version = s->stand.version;
	}
	/* refused at once, or silence until the end of patience */
	e = event(w,
		  w->server[peer].up ? s->stand.surveys ? SURVEY_MS : FOLLOW_MS
				     : 1,
		  ANSWER, s->id);
	e->peer = peer;
	e->n = s->question[peer];
}

static inline void give_answer(struct world *w, int from, int to, int64_t n,
			       const struct succession_word *word)
{
	struct event *e;

	if (!reaches(w, from, to))
		return;
	e = event(w, delay(w), ANSWER, to);
	e->peer = from;
	e->n = n;
	e->word = *word;
}

static inline void take_from(struct server *s, int peer)
{
	struct world *w = s->w;
	const bool comes = reaches(w, s->id, peer) && is_well(&w->server[peer]);
	struct event *e = event(w, comes ? delay(w) : PULL_MS, ARRIVED, s->id);

	e->peer = peer;
	if (comes)
		e->state = w->server[peer].disk;
}

static inline void be_impatient(struct server *s, int64_t more_ms)
{
	event(s->w, UNLED_MS + more_ms, IMPATIENT, s->id)->n = ++s->patience;
}

/* Of the leader in the term that is believed in. */
static inline void claim(struct server *s, int64_t patience_ms)
{
	struct world *w = s->w;

	if (w->now < s->stale_until || w->leader == s->id ||
	    w->now - w->led_since < patience_ms)
		return;
	world_elect(w, s->id);
}

static inline void do_acts(struct server *s)
{
	struct succession_act a;

	while ((a = succession_next(&s->stand)).what) {
		int peer = a.peer >= s->id ? a.peer + 1 : a.peer;

		switch (a.what) {
		case SUCCESSION_ASK:
		case SUCCESSION_HOLD:
			ask_peer(s, peer, a.what == SUCCESSION_HOLD);
			break;
		case SUCCESSION_LATER:
			event(s->w, AGAIN_MS, WAITED, s->id)->peer = a.peer;
			break;
		case SUCCESSION_TAKE:
			take_from(s, peer);
			break;
		case SUCCESSION_READY:
			event(s->w, 0, READY, s->id)->n = s->stand.surveys;
			break;
		case SUCCESSION_CLAIM:
			claim(s, 0);
			break;
		case SUCCESSION_UNLED:
			be_impatient(s, chance(s->w, UNLED_MS / 2));
			break;
		case SUCCESSION_LED:
			s->patience++;
			break;
		default:
			break;
		}
	}
}

static inline void stand_by(struct server *s)
{
	s->active = s->training = s->saving = false;
	s->stand = (struct succession){.n = SERVERS - 1,
				       .term = s->disk.term,
				       .version = s->disk.version};
	succession_follow(&s->stand);
	do_acts(s);
}

/* ---- active ---- */

static inline bool counts(const struct server *s, int i)
{
	return i != s->id && s->w->now < s->follower[i].until;
}

static inline bool has_newest(const struct server *s, int i)
{
	return s->follower[i].term == s->disk.term &&
	       s->follower[i].version == s->disk.version;
}

static inline bool is_idle(const struct server *s)
{
	int n = 0;

	for (int i = 0; i < SERVERS; i++) {
		if (counts(s, i) && !has_newest(s, i))
			return false;
		n += counts(s, i);
	}
	return !s->training && !s->saving &&
	       (n >= s->expects || s->w->now - s->began >= SILENT_MS);
}

static inline struct succession_word word_of(const struct server *s, int to)
{
	struct succession_word word = {.there = true,
				       .term = s->disk.term,
				       .version = s->disk.version};

	if (!s->active) {
		word.knows = succession_knows(&s->stand);
		return word;
	}
	word.leads = word.knows = s->mandate;
	word.leaves = s->leaving && is_idle(s) && has_newest(s, to);
	return word;
}

static inline void look(struct server *s)
{
	struct world *w = s->w;

	if (!s->active)
		return;
	for (int i = 0; i < SERVERS; i++) {
		struct follower *f = &s->follower[i];
		struct succession_word word = word_of(s, i);

		if (!f->held || (has_newest(s, i) && !word.leaves &&
				 w->now - f->held_at < HOLD_MS))
			continue;
		f->held = false;
		give_answer(w, s->id, i, f->asked, &word);
	}
	if (s->leaving || !is_idle(s))
		return;
	s->training = true;
	event(w, 20 + chance(w, 200), TRAINED, s->id);
}

static inline void be_active(struct server *s)
{
	struct world *w = s->w;
	int64_t loss;

	s->active = true;
	s->leaving = false;
	s->began = w->now;
	s->expects = succession_there(&s->stand);
	memset(s->follower, 0, sizeof(s->follower));
	w->activations++;
	if (s->mandate > w->begun)
		w->begun = s->mandate;
	for (int i = 0; i < SERVERS; i++) {
		const struct state *d = &s->were[i];

		/* our own may be replaced by what a last active one had */
		if (i != s->id && is_well(&w->server[i]) &&
		    w->well_since[i] <= s->surveyed &&
		    w->cut_until[s->id][i] <= s->surveyed &&
		    (d->term > s->disk.term ||
		     (d->term == s->disk.term && d->version > s->disk.version)))
			w->wrong = "one is active, and another had more";
	}
	loss = w->told_max - s->disk.version;
	if (loss > 0)
		w->lost += loss;
	if (loss > w->most_lost)
		w->wrong = "too many rounds are lost";
	look(s);
}

static inline void make(struct server *s)
{
	struct world *w = s->w;

	if (!w->blind && (w->leader != s->id || w->term != s->mandate))
		return; /* the next POLL tells */
	if (w->begun > s->mandate)
		w->wrong = "a round is made after another one is active";
	s->next = (struct state){s->mandate, s->disk.version + 1, ++w->made};
	event(w, delay(w), SAVED, s->id);
}

static inline void saved(struct server *s)
{
	struct world *w = s->w;

	s->disk = s->next;
	s->saving = false;
	if (s->disk.version > w->told_max)
		w->told_max = s->disk.version;
	look(s);
}

/* ---- life ---- */

static inline void server_crash(struct server *s)
{
	if (!s->up)
		return;
	for (int i = 0; i < SERVERS; i++) { /* reset, or just gone */
		struct server *o = &s->w->server[i];

		if (o->up && o->question[s->id] && chance(s->w, 2))
			give_answer(s->w, s->id, i, o->question[s->id],
				    &(struct succession_word){0});
	}
	s->life++;
	s->up = s->active = s->leaving = false;
	s->w->well_since[s->id] = INT64_MAX;
}

static inline void server_start(struct server *s)
{
	s->up = true;
	s->w->well_since[s->id] = s->w->now;
	s->mandate = s->believes = 0;
	event(s->w, 1, POLL, s->id);
	event(s->w, 100, LOOK, s->id);
	stand_by(s);
}

static inline void exit_soon(struct server *s)
{
	server_crash(s);
	event(s->w, 300 + chance(s->w, 2000), RESTART, s->id);
}

static inline void server_stop(struct server *s)
{
	if (s->active)
		s->leaving = true;
	else
		exit_soon(s);
}

static inline void mandate(struct server *s, int64_t term)
{
	s->mandate = term;
	if (s->leaving) {
		exit_soon(s);
	} else if (term) {
		s->surveyed = s->w->now;
		for (int i = 0; i < SERVERS; i++)
			s->were[i] = s->w->server[i].disk;
		succession_survey(&s->stand, term);
	} else if (s->active) {
		stand_by(s);
	} else {
		succession_follow(&s->stand);
	}
	if (s->up)
		do_acts(s);
}

static inline void poll_node(struct server *s)
{
	struct world *w = s->w;
	int64_t term = w->leader == s->id ? w->term : 0;

	event(w, POLL_MS, POLL, s->id);
	if (w->now >= s->stale_until)
		s->believes = term;
	if (s->mandate && s->believes != s->mandate)
		mandate(s, 0);
	else if (!s->mandate && s->believes && s->believes == term)
		mandate(s, term); /* as a majority has confirmed */
}

static inline void asked(struct server *s, const struct event *e)
{
	struct follower *f = &s->follower[e->peer];
	struct succession_word word;

	if (s->active) {
		f->term = e->word.term;
		f->version = e->word.version;
		f->until = s->w->now + SILENT_MS;
		f->held_at = s->w->now;
		f->asked = e->n;
		f->held = e->hold;
		if (e->hold) {
			look(s);
			return;
		}
	}
	word = word_of(s, e->peer);
	give_answer(s->w, s->id, e->peer, e->n, &word);
}

static inline int place(const struct server *s, int peer)
{
	return peer > s->id ? peer - 1 : peer;
}

static inline void stood_by(struct server *s, const struct event *e)
{
	struct succession *stand = &s->stand;

	if (s->active)
		return;
	switch (e->kind) {
	case ANSWER:
		if (s->question[e->peer] != e->n)
			return;
		s->question[e->peer] = 0;
		succession_answered(stand, place(s, e->peer), &e->word);
		break;
	case WAITED:
		succession_waited(stand, e->peer);
		break;
	case ARRIVED:
		s->next = e->state;
		if (e->state.made &&
		    succession_takes(stand, e->state.term, e->state.version))
			event(s->w, delay(s->w), WRITTEN, s->id);
		else
			succession_taken(stand, 0, 0);
		break;
	case WRITTEN:
		s->disk = s->next;
		succession_taken(stand, s->disk.term, s->disk.version);
		break;
	default:
		break;
	}
	do_acts(s);
}

static inline void happen(struct world *w, const struct event *e)
{
	struct server *s = &w->server[e->server];

	switch (e->kind) {
	case RESTART:
		server_start(s);
		break;
	case POLL:
		poll_node(s);
		break;
	case ASKED:
		asked(s, e);
		break;
	case IMPATIENT:
		if (s->active || e->n != s->patience)
			break;
		be_impatient(s, 0);
		claim(s, UNLED_MS);
		break;
	case READY:
		if (!s->active && s->stand.surveys == e->n)
			be_active(s);
		break;
	case TRAINED:
		if (!s->active)
			break;
		s->training = false;
		s->saving = true;
		event(w, delay(w), CONFIRMED, s->id)->n = s->mandate;
		break;
	case CONFIRMED:
		if (s->active && e->n == s->mandate)
			make(s);
		break;
	case SAVED:
		if (s->active && s->saving)
			saved(s);
		break;
	case LOOK:
		event(w, 100, LOOK, s->id);
		look(s);
		break;
	default:
		stood_by(s, e);
	}
}

static inline bool is_lost(const struct world *w, const struct event *e)
{
	const struct server *s = &w->server[e->server];

	if (e->kind == RESTART)
		return s->up;
	if (e->kind == ASKED)
		return !s->up;
	return !s->up || e->life != s->life;
}

static inline void run_to(struct world *w, int64_t end)
{
	while (!w->wrong) {
		struct event e;
		int first = 0;

		for (int i = 1; i < w->nevents; i++)
			if (w->events[i].at < w->events[first].at ||
			    (w->events[i].at == w->events[first].at &&
			     w->events[i].order < w->events[first].order))
				first = i;
		if (!w->nevents || w->events[first].at > end)
			break;
		e = w->events[first];
		w->events[first] = w->events[--w->nevents];
		w->now = e.at;
		if (is_lost(w, &e))
			continue;
		if (e.kind != RESTART &&
		    w->now < w->server[e.server].paused_until) {
			e.at = w->server[e.server].paused_until;
			w->events[w->nevents++] = e;
			w->well_since[e.server] = e.at;
			continue;
		}
		happen(w, &e);
	}
	w->now = end;
}

static inline bool all_have(const struct world *w, int64_t version)
{
	const struct state *a = &w->server[0].disk;

	for (int i = 0; i < SERVERS; i++) {
		const struct state *d = &w->server[i].disk;

		if (d->version < version || d->version > a->version + 1 ||
		    d->version < a->version - 1 ||
		    (d->version == a->version && d->made != a->made))
			return false;
	}
	return true;
}

static inline struct world *world_new(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));

	w->rand.state = seed;
	world_elect(w, 0);
	for (int i = 0; i < SERVERS; i++) {
		w->server[i] = (struct server){.w = w, .id = i};
		server_start(&w->server[i]);
	}
	return w;
}

#endif
