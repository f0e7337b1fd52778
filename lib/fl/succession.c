#include "fl/succession.h"

static void act(struct succession *s, enum succession_what what, int peer)
{
	s->acts[s->nacts++] = (struct succession_act){what, peer};
}

struct succession_act succession_next(struct succession *s)
{
	if (s->at < s->nacts)
		return s->acts[s->at++];
	s->at = s->nacts = 0;
	return (struct succession_act){SUCCESSION_NOTHING, 0};
}

static bool is_active(const struct succession *s,
		      const struct succession_word *w)
{
	return w->leads && w->leads == s->lead;
}

static bool is_newer(const struct succession *s,
		     const struct succession_word *w)
{
	return w->term > s->term ||
	       (w->term == s->term && w->version > s->version);
}

static bool is_wanted(const struct succession *s,
		      const struct succession_word *w)
{
	if (!w->version)
		return false;
	if (s->surveys)
		return is_newer(s, w);
	return is_active(s, w) &&
	       (w->term != s->term || w->version != s->version);
}

static void ask(struct succession *s, int peer)
{
	const struct succession_peer *p = &s->peer[peer];

	/* first of all: who are you? */
	act(s, !s->surveys && p->word.leads ? SUCCESSION_HOLD : SUCCESSION_ASK,
	    peer);
	s->peer[peer].asked = true;
}

static void take(struct succession *s, int peer)
{
	s->taking = true;
	s->from = peer;
	act(s, SUCCESSION_TAKE, peer);
}

/* --- is there an active one? ------------------------------------------------
 */

static void note_active(struct succession *s, int peer)
{
	int64_t leads = s->peer[peer].word.leads;

	if (leads && leads >= s->lead) {
		s->lead = leads;
		s->led = true;
		s->active = peer;
	} else if (s->led && s->active == peer) {
		s->led = false;
	}
}

static void look_for_lead(struct succession *s)
{
	bool led = s->led || s->surveys || s->taking;

	for (int i = 0; i < s->n; i++)
		led = led || s->peer[i].word.knows;
	if (s->unled == !led)
		return;
	s->unled = !led;
	act(s, led ? SUCCESSION_LED : SUCCESSION_UNLED, 0);
}

int64_t succession_knows(const struct succession *s)
{
	if (s->surveys)
		return s->surveys;
	return s->led ? s->lead : 0;
}

/* --- events ---------------------------------------------------------------- */

static void look_around(struct succession *s)
{
	int best = -1;

	for (int i = 0; i < s->n; i++) {
		const struct succession_word *w = &s->peer[i].word;

		if (!s->peer[i].answered)
			return;
		if (is_wanted(s, w) &&
		    (best < 0 || w->term > s->peer[best].word.term ||
		     (w->term == s->peer[best].word.term &&
		      w->version > s->peer[best].word.version)))
			best = i;
	}
	if (s->taking)
		return; /* looks again after that */
	if (best < 0)
		act(s, SUCCESSION_READY, 0);
	else
		take(s, best);
}

static void follow(struct succession *s, int peer)
{
	const struct succession_word *w = &s->peer[peer].word;

	if (w->over && is_active(s, w))
		act(s, SUCCESSION_OVER, peer);
	else if (is_wanted(s, w) && !s->taking)
		take(s, peer);
	else if (is_active(s, w) && !is_wanted(s, w) && !w->leaves)
		ask(s, peer);
	else
		act(s, SUCCESSION_LATER, peer);
	if (w->leaves && is_active(s, w) && !is_wanted(s, w))
		act(s, SUCCESSION_CLAIM, peer);
}

static void ask_all(struct succession *s)
{
	for (int i = 0; i < s->n; i++) {
		s->peer[i].answered = false;
		if (s->surveys || !s->taking || i != s->from)
			ask(s, i);
	}
}

void succession_follow(struct succession *s)
{
	s->surveys = 0;
	look_for_lead(s);
	ask_all(s);
}

void succession_survey(struct succession *s, int64_t term)
{
	s->surveys = term;
	look_for_lead(s);
	ask_all(s);
	look_around(s);
}

void succession_answered(struct succession *s, int peer,
			 const struct succession_word *word)
{
	struct succession_peer *p = &s->peer[peer];

	p->asked = false;
	p->answered = true;
	p->word = *word;
	note_active(s, peer);
	look_for_lead(s);
	if (s->surveys)
		look_around(s);
	else
		follow(s, peer);
}

void succession_waited(struct succession *s, int peer)
{
	if (!s->surveys && !s->peer[peer].asked)
		ask(s, peer);
}

void succession_taken(struct succession *s, int64_t term, int64_t version)
{
	int peer = s->from;

	s->taking = false;
	if (version) {
		s->term = term;
		s->version = version;
	} else {
		s->peer[peer].word.term = s->peer[peer].word.version = 0;
	}
	look_for_lead(s);
	if (s->surveys)
		look_around(s);
	else if (version)
		ask(s, peer);
	else
		act(s, SUCCESSION_LATER, peer);
}
