/* Participants by requests who do what they like: whatever happens, each
 * instruction ends once. */
#include "test.h"

#include <inttypes.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/rand.h"
#include "fl/participants.h"
#include "world.h"

#define ASK "/gfl.v1.ParticipantService/Ask"

enum { RUNS = 40, CLIENTS = 12, SEEDS = 8 };

/* One of them: what it has been told, and what it waits for. */
struct client {
	int asks, works; /* sockets; works is -1 but while it says so */
	char token[33];
	int64_t instruction; /* 0: it waits for one */
	bool says;
};

struct bed {
	struct world w;
	struct participants *ps;
	struct rand rand;
	struct client clients[CLIENTS];
	int ended[RUNS + 1], ok, over;
	int vanished, late;
};

static bool chance(struct bed *b, int percent)
{
	return (int)rand_below(&b->rand, 100) < percent;
}

static void done(const struct err *err, const struct run_answer *a, void *arg)
{
	struct bed *b = arg;

	CHECK(a->run > 0 && a->run <= RUNS);
	CHECK_INT(++b->ended[a->run], 1);
	b->over++;
	b->ok += !err;
}

static void say_fmt(struct bed *b, int fd, const char *fmt, ...)
{
	char body[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(body, sizeof(body), fmt, ap);
	va_end(ap);
	post(&b->w, fd, ASK, JSON, body, "");
}

/* ---- what a client does ---- */

static void hang_up(struct client *c)
{
	close(c->asks);
	if (c->works >= 0)
		close(c->works);
	c->works = -1;
}

static void ask(struct bed *b, struct client *c)
{
	c->instruction = 0;
	say_fmt(b, c->asks, "{\"participant\":\"%s\",\"working\":%s}", c->token,
		c->says ? "true" : "false");
}

static void come(struct bed *b, struct client *c)
{
	*c = (struct client){.asks = dial(&b->w), .works = -1};
	c->says = chance(b, 70);
	ask(b, c);
}

static void answer(struct bed *b, struct client *c)
{
	say_fmt(b, c->asks,
		"{\"participant\":\"%s\",\"instruction\":%" PRId64
		",\"working\":%s,\"answer\":{%s}}",
		c->token, c->instruction, c->says ? "true" : "false",
		chance(b, 90) ? "\"trainResult\":{}" : "\"failed\":\"no\"");
	c->instruction = 0;
}

static void say_it_works(struct bed *b, struct client *c)
{
	if (c->works < 0)
		c->works = dial(&b->w);
	say_fmt(b, c->works,
		"{\"participant\":\"%s\",\"instruction\":%" PRId64
		",\"working\":true}",
		c->token, c->instruction);
}

/* Its connections end; it comes as another one, or goes on as if nothing had
 * happened. */
static void vanish(struct bed *b, struct client *c)
{
	hang_up(c);
	b->vanished++;
	if (chance(b, 50)) {
		come(b, c);
		return;
	}
	c->asks = dial(&b->w);
	answer(b, c);
}

/* ---- what it is told ---- */

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return fd >= 0 && poll(&p, 1, 0) > 0;
}

static void hear_instruction(struct bed *b, struct client *c)
{
	char *got = hear(&b->w, c->asks);
	const char *token = strstr(got, "\"participant\":\""),
		   *number = strstr(got, "\"instruction\":\"");

	if (!strstr(got, "200 OK")) {
		CHECK_HAS(got, "\"code\":\"not_found\"");
		b->late += strstr(got, "is refused") != NULL;
		hang_up(c);
		come(b, c);
	} else {
		CHECK(token);
		snprintf(c->token, sizeof(c->token), "%.32s", token + 15);
		if (number)
			c->instruction = strtoll(number + 15, NULL, 10);
		else
			ask(b, c);
	}
	free(got);
}

static void hear_word(struct bed *b, struct client *c)
{
	char *got = hear(&b->w, c->works);
	bool goes_on = strstr(got, "200 OK") && c->instruction;

	free(got);
	if (goes_on && chance(b, 95)) {
		say_it_works(b, c);
		return;
	}
	close(c->works);
	c->works = -1;
}

static void step(struct bed *b, struct client *c)
{
	if (readable(c->works))
		hear_word(b, c);
	if (!c->instruction) {
		if (readable(c->asks))
			hear_instruction(b, c);
	} else if (chance(b, 10)) {
		vanish(b, c);
	} else if (chance(b, 20)) {
		answer(b, c);
	} else if (c->says && c->works < 0) {
		say_it_works(b, c);
	}
}

/* ---- all together ---- */

static void give(struct bed *b, struct instruction *i)
{
	const struct run_opts opts = {
		.timeout_ms = 50 + (int64_t)rand_below(&b->rand, 500)};
	int64_t run;

	CHECK(!participants_run(b->ps, i, &opts, done, b, &run, NULL));
	if (chance(b, 5)) {
		participants_withdraw(b->ps, run);
		CHECK_INT(++b->ended[run], 1);
		b->over++;
	}
}

static void live(struct bed *b)
{
	CoordinatorMessage m = COORDINATOR_MESSAGE__INIT;
	TrainConfig t = TRAIN_CONFIG__INIT;
	struct instruction *i;
	int given = 0;

	m.message_case = COORDINATOR_MESSAGE__MESSAGE_TRAIN_CONFIG;
	m.train_config = &t;
	i = instruction_new(&m);
	for (int n = 0; n < CLIENTS; n++)
		come(b, &b->clients[n]);
	while (b->over < RUNS) {
		if (given < RUNS && chance(b, 30)) {
			give(b, i);
			given++;
		}
		step(b, &b->clients[rand_below(&b->rand, CLIENTS)]);
		world_turn(&b->w);
	}
	for (int n = 0; n < CLIENTS; n++)
		hang_up(&b->clients[n]);
	instruction_free(i);
}

TEST(whatever_participants_do_each_instruction_ends_once)
{
	int ok = 0, vanished = 0, late = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct bed b = {.rand = {seed}};

		world_open(&b.w, (struct server_opts){0});
		participants_open(&b.ps, b.w.loop, b.w.server,
				  &(struct participants_opts){.hold_ms = 20,
							      .lease_ms = 60});
		live(&b);
		UNTIL(&b.w, !participants_count(b.ps)); /* all are missed */
		participants_close(b.ps, -1);
		world_close(&b.w);
		ok += b.ok;
		vanished += b.vanished;
		late += b.late;
	}
	printf("# %d of %d were answered, %d vanished at work, %d came late\n",
	       ok, RUNS * SEEDS, vanished, late);
	CHECK(ok && vanished && late);
}
