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

bool succession_takes(const struct succession *s, int64_t term, int64_t version)
{
	const struct succession_word w = {.term = term, .version = version};

	return !s->surveys || is_newer(s, &w);
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

	if (leads && leads >= s->lead && leads >= s->term) {
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

int succession_there(const struct succession *s)
{
	int n = 0;

	for (int i = 0; i < s->n; i++)
		n += s->peer[i].word.there && !s->peer[i].word.leaves;
	return n;
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
		s->peer[i].tries = 0;
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

/* Its time may have been over since we slept, and what did not come may have
 * been asked for before the survey. */
static void ask_once_more(struct succession *s, int peer)
{
	s->peer[peer].answered = false;
	ask(s, peer);
}

void succession_answered(struct succession *s, int peer,
			 const struct succession_word *word)
{
	struct succession_peer *p = &s->peer[peer];

	p->asked = false;
	p->word = *word;
	p->answered = word->there || ++p->tries >= SUCCESSION_TRIES;
	note_active(s, peer);
	look_for_lead(s);
	if (!s->surveys)
		follow(s, peer);
	else if (p->answered)
		look_around(s);
	else
		ask_once_more(s, peer);
}

void succession_waited(struct succession *s, int peer)
{
	if (!s->surveys && !s->peer[peer].asked)
		ask(s, peer);
}

static void follow_on(struct succession *s, int peer, bool taken)
{
	if (taken)
		ask(s, peer);
	else
		act(s, SUCCESSION_LATER, peer);
}

void succession_taken(struct succession *s, int64_t term, int64_t version)
{
	struct succession_peer *p = &s->peer[s->from];

	s->taking = false;
	if (version) {
		s->term = term;
		s->version = version;
	}
	p->word.term = term; /* it may be another one than we asked for */
	p->word.version = version;
	look_for_lead(s);
	if (!s->surveys)
		follow_on(s, s->from, version);
	else if (version || !p->answered || ++p->tries >= SUCCESSION_TRIES)
		look_around(s);
	else
		ask_once_more(s, s->from);
}
