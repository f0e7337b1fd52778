#include "test.h"

#include <string.h>

#include "fl/gaze.h"

enum { CLIENTS = 3 };

/* A status, with its clients. */
struct bed {
	Gfl__V1__FlStatus s;
	Gfl__V1__FlClient c[CLIENTS], *at[CLIENTS];
};

static void make(struct bed *b, int64_t round, const char *states)
{
	gfl__v1__fl_status__init(&b->s);
	b->s.round = round;
	b->s.state = (char *)"training";
	b->s.clients = b->at;
	b->s.n_clients = strlen(states);
	for (size_t i = 0; i < b->s.n_clients; i++) {
		gfl__v1__fl_client__init(&b->c[i]);
		b->c[i].client_id = (int64_t)i + 1;
		b->c[i].logical = 2;
		b->c[i].state = (char *)(states[i] == 'g' ? "gone" : "idle");
		b->at[i] = &b->c[i];
	}
}

static void note(const struct gaze_event *e, void *arg)
{
	gaze_words(arg, e);
	buf_puts(arg, "\n");
}

static char *between(const Gfl__V1__FlStatus *before,
		     const Gfl__V1__FlStatus *now)
{
	static char text[1000];
	struct buf b = BUF_INIT(0);

	buf_puts(&b, "");
	gaze_compare(before, now, note, &b);
	snprintf(text, sizeof(text), "%s", b.p);
	buf_release(&b);
	return text;
}

TEST(the_first_look_tells_who_is_here)
{
	struct bed b;

	make(&b, 4, "igi");
	CHECK_STR(between(NULL, &b.s),
		  "client 1 here\nclient 3 here\nserver training\n");
	CHECK_INT(gaze_here(&b.s), 4);
}

TEST(participants_that_come_and_go_are_told)
{
	struct bed b, later;
	Gfl__V1__Participant rows[3], *at[] = {&rows[0], &rows[1], &rows[2]};

	for (int i = 0; i < 3; i++) {
		gfl__v1__participant__init(&rows[i]);
		rows[i].id = i + 1;
	}
	make(&b, 4, "");
	make(&later, 5, "");
	b.s.mode = later.s.mode = (char *)"participants";
	b.s.participants = at;
	b.s.n_participants = 2;
	later.s.participants = at + 1;
	later.s.n_participants = 2;
	CHECK_STR(between(NULL, &b.s),
		  "participant 1 here\nparticipant 2 here\n"
		  "server training\n");
	CHECK_STR(between(&b.s, &later.s),
		  "participant 1 gone\nparticipant 3 here\nround 5 ended\n");
	CHECK_INT(gaze_here(&later.s), 2);
}

TEST(what_has_changed_is_told_once)
{
	struct bed a, b;

	make(&a, 4, "ig");
	make(&b, 4, "gii");
	CHECK_STR(between(&a.s, &b.s),
		  "client 1 gone\nclient 2 here\nclient 3 here\n");
	CHECK_STR(between(&b.s, &b.s), "");
	make(&b, 6, "ig");
	b.s.rounds = 9;
	b.s.loss = 0.5;
	CHECK_STR(between(&a.s, &b.s), "round 6/9 ended: loss 0.5000\n");
	make(&a, 9, "ig");
	a.s.state = (char *)"ending";
	CHECK_STR(between(&b.s, &a.s),
		  "round 9 ended: loss 0.0000\nserver ending\n");
}

TEST(a_server_fits_the_terminal)
{
	char *events[] = {(char *)"first", (char *)"last\033[2J"};
	struct buf b = BUF_INIT(0);
	struct bed s;
	size_t lines = 0;

	make(&s, 4, "igi");
	s.s.model = s.s.mode = (char *)"x";
	gaze_draw(&b, "http://a:1", &s.s, events, 2, 40, 11);
	for (char *line = strtok(b.p, "\n"); line; line = strtok(NULL, "\n")) {
		CHECK(strlen(line) <= 40);
		CHECK(!strchr(line, '\033') && strcmp(line, "first") != 0);
		lines++;
	}
	CHECK(lines <= 11);
	buf_release(&b);
	gaze_draw(&b, "http://a:1", NULL, events, 2, 80, 24);
	CHECK_STR(b.p, "server http://a:1: looking for it\nfirst\nlast?[2J\n");
	buf_release(&b);
}
