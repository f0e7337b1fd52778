/* A coordinator and its participants, by streams and by requests, in one
 * loop. */
#include "test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "fl/participant.h"
#include "fl/participants.h"
#include "nn/npy.h"
#include "nn/npz.h"
#include "world.h"

#define ASK "/gfl.v1.ParticipantService/Ask"

enum { MANY = 2000, GONE = 500 };

enum manner { ANSWERS, SILENT, FAILS, IGNORANT, GARBLED, CROWDED };

struct bed;

/* One participant. */
struct one {
	struct bed *b;
	struct participant *p;
	enum manner manner;
	int asked, lost, over;
	int64_t after_ms;
	struct err err;
};

struct bed {
	struct world w;
	struct participants *ps;
	struct one ones[8];
	struct one *many;
	struct instruction *in;
	int enough;
	int ok, failed, codes[20];
	int64_t who, tries;
	size_t theta;
	struct err err;
};

/* ---- the participants' side ---- */

static void consume(const CoordinatorMessage *in, void *arg)
{
	ParticipantMessage m = PARTICIPANT_MESSAGE__INIT;
	TrainResult r = TRAIN_RESULT__INIT;
	static NDArray bad = NDARRAY__INIT, *bads[NPZ_MEMBERS_MAX + 1];
	struct one *o = arg;

	o->asked++;
	m.message_case = PARTICIPANT_MESSAGE__MESSAGE_TRAIN_RESULT;
	m.train_result = &r;
	r.n_theta = in->train_config->n_theta;
	r.theta = in->train_config->theta;
	switch (o->manner) {
	case SILENT:
		return;
	case FAILS:
		m.message_case = PARTICIPANT_MESSAGE__MESSAGE_FAILED;
		m.failed = (char *)"no data";
		break;
	case IGNORANT:
		m.message_case =
			PARTICIPANT_MESSAGE__MESSAGE_UNKOWN_INSTRUCTION;
		m.unkown_instruction = true;
		break;
	case GARBLED:
		bad.ndarray.data = (uint8_t *)"no array";
		bad.ndarray.len = 8;
		bads[0] = &bad;
		r.theta = bads;
		r.n_theta = 1;
		break;
	case CROWDED:
		bad.ndarray.data = (uint8_t *)"\x93NUMPY.....";
		bad.ndarray.len = 11;
		r.theta = bads;
		r.n_theta = NPZ_MEMBERS_MAX + 1;
		for (size_t i = 0; i < r.n_theta; i++)
			bads[i] = &bad;
		break;
	case ANSWERS:
		break;
	}
	CHECK(participant_dispatch(o->p, &m));
	CHECK(!participant_dispatch(o->p, &m)); /* once */
}

static void lost(const struct err *err, int64_t after_ms, void *arg)
{
	struct one *o = arg;

	o->lost++;
	o->after_ms = after_ms;
	o->err = err ? *err : (struct err){0};
}

static void over(const struct err *err, void *arg)
{
	struct one *o = arg;

	o->over++;
	o->err = err ? *err : (struct err){0};
}

static const struct participant_hooks hooks = {consume, lost, over};

static void come_as(struct bed *b, struct one *o, enum manner manner)
{
	const struct participant_opts opts = {
		.url = server_url(b->w.server),
		.tls = b->w.client_tls,
		.first_ms = 20,
		.max_ms = 100,
	};

	*o = (struct one){.b = b, .manner = manner};
	o->p = participant_open(b->w.loop, &opts, &hooks, o);
}

static void come(struct bed *b, int i, enum manner manner)
{
	size_t before = participants_count(b->ps);

	come_as(b, &b->ones[i], manner);
	UNTIL(&b->w, participants_count(b->ps) == before + 1);
}

static void go(struct one *o)
{
	participant_close(o->p);
	o->p = NULL;
}

/* ---- the coordinator's ---- */

/* Arrays of n values each. */
static struct instruction *train(size_t arrays, int64_t n)
{
	CoordinatorMessage m = COORDINATOR_MESSAGE__INIT;
	TrainConfig t = TRAIN_CONFIG__INIT;
	NDArray a = NDARRAY__INIT, *theta[8] = {&a, &a, &a, &a, &a, &a, &a, &a};
	struct buf b = BUF_INIT(0);
	float *values = mem_zero((size_t)n, sizeof(*values));
	struct instruction *i;

	npy_encode(&b, 1, &n, values);
	a.ndarray.data = (uint8_t *)b.p;
	a.ndarray.len = b.len;
	t.n_theta = arrays;
	t.theta = theta;
	m.message_case = COORDINATOR_MESSAGE__MESSAGE_TRAIN_CONFIG;
	m.train_config = &t;
	i = instruction_new(&m);
	buf_release(&b);
	free(values);
	return i;
}

static void done(const struct err *err, const struct run_answer *a, void *arg)
{
	struct bed *b = arg;

	b->who = a->who;
	b->tries = a->tries;
	b->ok += !err;
	b->failed += err != NULL;
	b->codes[err ? err->code : 0]++;
	b->err = err ? *err : (struct err){0};
	CHECK((err != NULL) == (a->msg == NULL));
	if (a->msg)
		b->theta = a->msg->train_result->n_theta;
}

static int64_t run_for(struct bed *b, struct run_opts opts)
{
	int64_t run = 0;

	CHECK(!participants_run(b->ps, b->in, &opts, done, b, &run, NULL));
	return run;
}

static int64_t run(struct bed *b)
{
	return run_for(b, (struct run_opts){0});
}

static void bed_open(struct bed *b, struct participants_opts opts)
{
	*b = (struct bed){0};
	world_open(&b->w, (struct server_opts){0});
	participants_open(&b->ps, b->w.loop, b->w.server, &opts);
	b->in = train(2, 10);
}

static void bed_close(struct bed *b)
{
	for (int i = 0; i < 8; i++)
		participant_close(b->ones[i].p);
	instruction_free(b->in);
	participants_close(b->ps, -1);
	world_close(&b->w);
}

TEST(each_answers_what_it_is_told)
{
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	come(&b, 0, ANSWERS);
	come(&b, 1, ANSWERS);
	for (int i = 0; i < 10; i++)
		run(&b);
	UNTIL(&b.w, b.ok == 10);
	CHECK_INT(b.theta, 2);
	CHECK_INT(b.ones[0].asked + b.ones[1].asked, 10);
	CHECK_INT(b.ones[0].asked, 5);
	run_for(&b, (struct run_opts){.who = 2});
	UNTIL(&b.w, b.ok == 11);
	CHECK_INT(b.who, 2);
	CHECK_INT(b.ones[1].asked, 6);
	bed_close(&b);
}

/* More than the server queues: the last word does not fit behind it. */
TEST(who_has_much_to_read_is_sent_away_all_the_same)
{
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	instruction_free(b.in);
	b.in = train(1, 10 << 20);
	come(&b, 0, ANSWERS);
	run(&b);
	UNTIL(&b.w, server_unread(b.w.server) > 20 << 20);
	participants_dismiss(b.ps, 1, 5);
	CHECK_INT(participants_count(b.ps), 0);
	bed_close(&b);
}

static void on_enough(void *arg)
{
	((struct bed *)arg)->enough++;
}

TEST(so_many_participants_are_waited_for)
{
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	participants_get(b.ps, 2, on_enough, &b);
	come(&b, 0, ANSWERS);
	world_turn(&b.w);
	CHECK_INT(b.enough, 0);
	come(&b, 1, ANSWERS);
	UNTIL(&b.w, b.enough == 1);
	participants_get(b.ps, 1, on_enough, &b);
	CHECK_INT(b.enough, 1); /* not within the call */
	UNTIL(&b.w, b.enough == 2);
	go(&b.ones[0]);
	UNTIL(&b.w, participants_count(b.ps) == 1);
	participants_get(b.ps, 2, on_enough, &b);
	come(&b, 0, ANSWERS);
	UNTIL(&b.w, b.enough == 3);
	bed_close(&b);
}

TEST(an_instruction_may_come_before_the_participant)
{
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	run(&b);
	come(&b, 0, ANSWERS);
	UNTIL(&b.w, b.ok == 1);
	bed_close(&b);
}

/* Nobody could get it; whoever it was given to would lose its stream. */
TEST(an_instruction_above_the_bound_is_given_to_nobody)
{
	struct bed b;
	struct err err;

	bed_open(&b, (struct participants_opts){0});
	instruction_free(b.in);
	b.in = train(1, 16 << 20);
	come(&b, 0, ANSWERS);
	CHECK_INT(participants_run(b.ps, b.in, &(struct run_opts){0}, done, &b,
				   NULL, &err),
		  ERR_RESOURCE_EXHAUSTED);
	CHECK_HAS(err.msg, "is above max-message (67108864)");
	instruction_free(b.in);
	b.in = train(1, 10);
	run(&b);
	UNTIL(&b.w, b.ok);
	CHECK_INT(b.who, 1);
	bed_close(&b);
}

TEST(who_does_not_know_an_instruction_says_so)
{
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	come(&b, 0, IGNORANT);
	run(&b);
	UNTIL(&b.w, b.failed);
	CHECK_INT(b.err.code, ERR_UNIMPLEMENTED);
	CHECK_STR(b.err.msg, "participant 1 does not know the instruction");
	bed_close(&b);
}

TEST(an_instruction_that_we_do_not_know_is_answered_as_such)
{
	CoordinatorMessage m = COORDINATOR_MESSAGE__INIT;
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	instruction_free(b.in);
	b.in = instruction_new(&m);
	come(&b, 0, ANSWERS);
	run(&b);
	UNTIL(&b.w, b.failed);
	CHECK_INT(b.err.code, ERR_UNIMPLEMENTED);
	CHECK_INT(b.ones[0].asked, 0);
	bed_close(&b);
}

TEST(what_one_cannot_do_another_does)
{
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	come(&b, 0, FAILS);
	run(&b);
	UNTIL(&b.w, b.failed);
	CHECK_STR(b.err.msg, "participant 1 failed: no data");
	come(&b, 1, ANSWERS);
	run(&b);
	UNTIL(&b.w, b.ok);
	CHECK_INT(b.who, 2);
	CHECK_INT(b.tries, 2);
	bed_close(&b);
}

TEST(who_vanishes_is_noticed_and_another_works)
{
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	come(&b, 0, SILENT);
	run(&b);
	UNTIL(&b.w, b.ones[0].asked);
	come(&b, 1, ANSWERS);
	go(&b.ones[0]);
	UNTIL(&b.w, b.ok);
	CHECK_INT(b.who, 2);
	CHECK_INT(b.tries, 2);
	CHECK_INT(participants_count(b.ps), 1);
	bed_close(&b);
}

static int port_of(int fd, int (*of)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_in a = {0};
	socklen_t len = sizeof(a);

	return of(fd, (struct sockaddr *)&a, &len) ? 0 : ntohs(a.sin_port);
}

/* A machine that loses its power says nothing; the kernel by itself sends it
 * its instruction again and again for a quarter of an hour. */
TEST(whose_machine_falls_silent_is_not_waited_for)
{
	unsigned ms = 0;
	socklen_t len = sizeof(ms);
	struct bed b;
	int found = 0;

	bed_open(&b, (struct participants_opts){0});
	come(&b, 0, SILENT);
	for (int fd = 3; fd < 100; fd++) {
		if (port_of(fd, getsockname) != server_port(b.w.server) ||
		    !port_of(fd, getpeername))
			continue;
		CHECK(!getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms,
				  &len));
		CHECK_INT(ms, 30000);
		found++;
	}
	CHECK_INT(found, 1);
	bed_close(&b);
}

TEST(who_vanishes_is_reported_when_no_other_may)
{
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	come(&b, 0, SILENT);
	run_for(&b, (struct run_opts){.tries = 1});
	UNTIL(&b.w, b.ones[0].asked);
	go(&b.ones[0]);
	UNTIL(&b.w, b.failed);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	CHECK_STR(b.err.msg, "participant 1 has gone");
	bed_close(&b);
}

TEST(an_answer_after_the_deadline_is_thrown_away)
{
	ParticipantMessage m = PARTICIPANT_MESSAGE__INIT;
	TrainResult r = TRAIN_RESULT__INIT;
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	come(&b, 0, SILENT);
	run_for(&b, (struct run_opts){.timeout_ms = 100});
	UNTIL(&b.w, b.failed);
	CHECK_STR(b.err.msg, "participant 1 did not answer in time");
	UNTIL(&b.w, b.ones[0].asked);
	m.message_case = PARTICIPANT_MESSAGE__MESSAGE_TRAIN_RESULT;
	m.train_result = &r;
	run(&b);
	b.ones[0].manner = ANSWERS;
	CHECK(participant_dispatch(b.ones[0].p, &m));
	UNTIL(&b.w, b.ok);
	CHECK_INT(b.ok + b.failed, 2);
	CHECK_INT(b.theta, 2);
	bed_close(&b);
}

TEST(a_run_may_be_withdrawn)
{
	struct bed b;
	int64_t number;

	bed_open(&b, (struct participants_opts){0});
	come(&b, 0, SILENT);
	number = run(&b);
	UNTIL(&b.w, b.ones[0].asked);
	participants_withdraw(b.ps, number);
	participants_withdraw(b.ps, number);
	participants_withdraw(b.ps, run(&b));
	come(&b, 1, ANSWERS);
	participants_withdraw(b.ps, run(&b)); /* given, not yet sent */
	run(&b);
	UNTIL(&b.w, b.ok);
	CHECK_INT(b.ok + b.failed, 1);
	CHECK_INT(b.ones[1].asked, 1);
	bed_close(&b);
}

TEST(who_is_dismissed_comes_back_when_told)
{
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	come(&b, 0, ANSWERS);
	participants_dismiss(b.ps, 1, 1);
	participants_dismiss(b.ps, 1, 1);
	UNTIL(&b.w, b.ones[0].lost);
	CHECK_INT(b.ones[0].after_ms, 1000);
	CHECK_INT(b.ones[0].err.code, 0);
	UNTIL(&b.w, participants_count(b.ps) == 1);
	run(&b);
	UNTIL(&b.w, b.ok);
	CHECK_INT(b.who, 2);
	bed_close(&b);
}

TEST(who_is_one_too_many_is_told_to_come_back)
{
	struct bed b;

	bed_open(&b, (struct participants_opts){.max = 1});
	come(&b, 0, ANSWERS);
	come_as(&b, &b.ones[1], ANSWERS);
	UNTIL(&b.w, b.ones[1].lost);
	CHECK_INT(b.ones[1].after_ms, 30000);
	bed_close(&b);
}

TEST(when_the_work_is_done_all_are_told)
{
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	come(&b, 0, ANSWERS);
	come(&b, 1, SILENT);
	run(&b);
	participants_close(b.ps, -1);
	b.ps = NULL;
	UNTIL(&b.w, b.ones[0].over && b.ones[1].over);
	CHECK_INT(b.ones[0].err.code, 0);
	CHECK_INT(b.failed, 0);
	bed_close(&b);
}

static void on_gone(struct call *call, void *arg)
{
	(void)call;
	((struct bed *)arg)->enough++;
}

static void say_two(struct call *call, const ProtobufCMessage *in, void *arg)
{
	TrainConfig t = TRAIN_CONFIG__INIT;
	CoordinatorMessage m = COORDINATOR_MESSAGE__INIT;

	(void)in;
	m.message_case = COORDINATOR_MESSAGE__MESSAGE_TRAIN_CONFIG;
	m.train_config = &t;
	call_on_cancel(call, on_gone, arg);
	CHECK(!call_send(call, &m.base));
	CHECK(!call_send(call, &m.base));
}

/* Which of them an answer is to, nobody could tell. */
TEST(two_instructions_at_a_time_end_the_stream)
{
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	server_handle(b.w.server, RPC_PARTICIPANT_CONNECT, say_two, &b);
	come_as(&b, &b.ones[0], SILENT);
	UNTIL(&b.w, b.ones[0].over && b.enough);
	CHECK_INT(b.ones[0].asked, 1);
	CHECK_INT(b.ones[0].err.code, ERR_FAILED_PRECONDITION);
	CHECK_HAS(b.ones[0].err.msg, "before the last one is answered");
	bed_close(&b);
}

TEST(a_result_that_is_no_array_is_refused)
{
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	come(&b, 0, GARBLED);
	run(&b);
	UNTIL(&b.w, b.ones[0].over);
	CHECK_INT(b.ones[0].err.code, ERR_INVALID_ARGUMENT);
	CHECK_HAS(b.ones[0].err.msg, "array 0 of the result does not have");
	come(&b, 1, ANSWERS);
	UNTIL(&b.w, b.ok);
	bed_close(&b);
}

TEST(a_result_of_more_arrays_than_an_archive_has_is_refused)
{
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	come(&b, 0, CROWDED);
	run(&b);
	UNTIL(&b.w, b.ones[0].over || b.ok);
	CHECK_INT(b.ones[0].err.code, ERR_INVALID_ARGUMENT);
	CHECK_HAS(b.ones[0].err.msg, "65537 arrays, expected at most 65536");
	come(&b, 1, ANSWERS);
	UNTIL(&b.w, b.ok);
	bed_close(&b);
}

TEST(a_participant_waits_for_its_coordinator)
{
	const struct participant_opts opts = {
		.url = "http://127.0.0.1:1", .first_ms = 1, .max_ms = 10};
	struct bed b;

	bed_open(&b, (struct participants_opts){0});
	b.ones[0] = (struct one){.b = &b};
	b.ones[0].p = participant_open(b.w.loop, &opts, &hooks, &b.ones[0]);
	UNTIL(&b.w, b.ones[0].lost == 5);
	CHECK_INT(b.ones[0].err.code, ERR_UNAVAILABLE);
	CHECK_HAS(b.ones[0].err.msg, "Connection refused");
	bed_close(&b);
}

/* ---- by requests ---- */

static char *ask(struct bed *b, int fd, const char *fmt, ...)
{
	char body[1024], *got;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(body, sizeof(body), fmt, ap);
	va_end(ap);
	post(&b->w, fd, ASK, JSON, body, "");
	got = hear(&b->w, fd);
	return got;
}

static void token_of(const char *answer, char token[33])
{
	const char *at = strstr(answer, "\"participant\":\"");

	CHECK(at);
	snprintf(token, 33, "%.32s", at + 15);
}

#define RESULT                                                  \
	"\"answer\":{\"trainResult\":{\"theta\":[{\"ndarray\":" \
	"\"k05VTVBZAQACAHt9AAA=\"}]}}"

TEST(the_same_by_requests_that_are_held)
{
	struct bed b;
	char token[33], *got;
	int fd;

	bed_open(&b, (struct participants_opts){0});
	fd = dial(&b.w);
	run(&b);
	run(&b);
	got = ask(&b, fd, "{}");
	token_of(got, token);
	CHECK_HAS(got, "\"instruction\":\"1\"");
	CHECK_HAS(got, "\"trainConfig\":{\"theta\":[{\"ndarray\":\"k05VTVBZ");
	free(got);
	/* The answer is the next question; again, it was lost. */
	got = ask(&b, fd, "{\"participant\":\"%s\"}", token);
	CHECK_HAS(got, "\"instruction\":\"1\"");
	free(got);
	got = ask(&b, fd,
		  "{\"participant\":\"%s\",\"instruction\":1," RESULT "}",
		  token);
	CHECK_HAS(got, "\"instruction\":\"2\"");
	free(got);
	CHECK_INT(b.ok, 1);
	CHECK_INT(b.theta, 1);
	got = ask(&b, fd,
		  "{\"participant\":\"%s\",\"instruction\":2,\"answer\":"
		  "{\"failed\":\"no\"},\"leave\":true}",
		  token);
	CHECK_HAS(got, "200 OK");
	free(got);
	CHECK_INT(participants_count(b.ps), 0);
	got = ask(&b, fd, "{\"participant\":\"%s\"}", token);
	CHECK_HAS(got, "\"code\":\"not_found\"");
	free(got);
	close(fd);
	bed_close(&b);
}

/* It would be given the same again, and nobody would come with the request. */
TEST(what_cannot_be_meant_is_refused)
{
	struct bed b;
	char token[33], *got;
	int fd;

	bed_open(&b, (struct participants_opts){0});
	fd = dial(&b.w);
	got = ask(&b, fd, "{\"instruction\":7,\"working\":true}");
	CHECK_HAS(got, "instruction 7, and not which participant has it");
	free(got);
	got = ask(&b, fd, "{\"instruction\":7," RESULT "}");
	CHECK_HAS(got, "\"code\":\"invalid_argument\"");
	free(got);
	CHECK_INT(participants_count(b.ps), 0);
	run(&b);
	got = ask(&b, fd, "{}");
	token_of(got, token);
	CHECK_HAS(got, "\"instruction\":\"1\"");
	free(got);
	got = ask(&b, fd, "{\"participant\":\"%s\"," RESULT "}", token);
	CHECK_HAS(got, "an answer, and not which instruction it is to");
	free(got);
	CHECK_INT(b.ok, 0);
	close(fd);
	bed_close(&b);
}

TEST(a_request_is_held_and_its_end_is_noticed)
{
	struct bed b;
	int fd;

	bed_open(&b, (struct participants_opts){0});
	fd = dial(&b.w);
	post(&b.w, fd, ASK, JSON, "{}", "");
	UNTIL(&b.w, participants_count(b.ps) == 1);
	close(fd);
	UNTIL(&b.w, !participants_count(b.ps));
	bed_close(&b);
}

TEST(who_has_waited_for_long_asks_again)
{
	struct bed b;
	char token[33], *got;
	int fd;

	bed_open(&b,
		 (struct participants_opts){.hold_ms = 20, .lease_ms = 600});
	fd = dial(&b.w);
	got = ask(&b, fd, "{}");
	token_of(got, token);
	CHECK_HAS(got, "\"reconnectIn\":0");
	free(got);
	got = ask(&b, fd, "{\"participant\":\"%s\"}", token);
	CHECK_HAS(got, "\"reconnectIn\":0");
	free(got);
	CHECK_INT(participants_count(b.ps), 1);
	UNTIL(&b.w, !participants_count(b.ps)); /* and does not */
	close(fd);
	bed_close(&b);
}

TEST(a_deadline_of_the_client_is_kept)
{
	struct bed b;
	char *got;
	int fd;

	bed_open(&b, (struct participants_opts){0});
	fd = dial(&b.w);
	post(&b.w, fd, ASK, JSON, "{}", "connect-timeout-ms: 800\r\n");
	got = hear(&b.w, fd);
	CHECK_HAS(got, "\"reconnectIn\":0");
	free(got);
	CHECK_INT(participants_count(b.ps), 1);
	close(fd);
	bed_close(&b);
}

TEST(a_later_request_takes_the_place)
{
	struct bed b;
	char token[33], body[64], *got;
	int one, two;

	bed_open(&b, (struct participants_opts){.hold_ms = 5000});
	one = dial(&b.w);
	two = dial(&b.w);
	run(&b);
	got = ask(&b, one, "{}");
	token_of(got, token);
	free(got);
	got = ask(&b, one,
		  "{\"participant\":\"%s\",\"instruction\":1,"
		  "\"answer\":{}}",
		  token);
	CHECK_HAS(got, "\"code\":\"invalid_argument\"");
	free(got);
	run(&b);
	got = ask(&b, one,
		  "{\"participant\":\"%s\",\"instruction\":1," RESULT "}",
		  token);
	CHECK_HAS(got, "\"instruction\":\"2\"");
	free(got);
	snprintf(body, sizeof(body), "{\"participant\":\"%s\"}", token);
	participants_withdraw(b.ps, 2);
	post(&b.w, one, ASK, JSON, body, "");
	world_turn(&b.w);
	for (int i = 0; i < 20; i++)
		world_turn(&b.w);
	post(&b.w, two, ASK, JSON, body, "");
	hear_part(&b.w, one, "\"code\":\"aborted\"");
	run(&b);
	hear_part(&b.w, two, "\"instruction\":\"3\"");
	close(one);
	close(two);
	bed_close(&b);
}

/* ---- by requests that say it works ---- */

#define WORKS "{\"participant\":\"%s\",\"instruction\":%d,\"working\":true}"

static void post_fmt(struct bed *b, int fd, const char *fmt, ...)
{
	char body[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(body, sizeof(body), fmt, ap);
	va_end(ap);
	post(&b->w, fd, ASK, JSON, body, "");
}

/* A participant by requests that has instruction 1. */
static int begin_by_requests(struct bed *b, const char *first, char token[33])
{
	int fd = dial(&b->w);
	char *got;

	run(b);
	got = ask(b, fd, first);
	token_of(got, token);
	CHECK_HAS(got, "\"instruction\":\"1\"");
	free(got);
	return fd;
}

/* One such request is held; that it took another one's place tells. */
static int say_works(struct bed *b, const char *token, int instruction)
{
	int fds[] = {dial(&b->w), dial(&b->w)}, lost;
	struct pollfd p[] = {{.fd = fds[0], .events = POLLIN},
			     {.fd = fds[1], .events = POLLIN}};

	post_fmt(b, fds[0], WORKS, token, instruction);
	post_fmt(b, fds[1], WORKS, token, instruction);
	UNTIL(&b->w, poll(p, 2, 0) > 0);
	lost = p[0].revents ? 0 : 1;
	hear_part(&b->w, fds[lost], "took the place");
	close(fds[lost]);
	return fds[!lost];
}

TEST(who_vanishes_at_work_is_noticed_and_its_answer_refused)
{
	struct bed b;
	char token[33], *got;
	int asks, works;

	bed_open(&b, (struct participants_opts){0});
	asks = begin_by_requests(&b, "{}", token);
	works = say_works(&b, token, 1);
	come(&b, 0, ANSWERS);
	CHECK_INT(b.ok, 0);
	close(works);
	UNTIL(&b.w, b.ok);
	CHECK_INT(b.who, 2);
	CHECK_INT(b.tries, 2);
	got = ask(&b, asks,
		  "{\"participant\":\"%s\",\"instruction\":1," RESULT "}",
		  token);
	CHECK_HAS(got, "\"code\":\"not_found\"");
	CHECK_HAS(got,
		  "the answer to instruction 1 is refused: its participant "
		  "was taken for gone");
	free(got);
	CHECK_INT(b.ok + b.failed, 1);
	close(asks);
	bed_close(&b);
}

TEST(who_works_says_so_again_or_is_gone)
{
	struct bed b;
	char token[33], *got;
	int fd;

	bed_open(&b,
		 (struct participants_opts){.hold_ms = 40, .lease_ms = 700});
	fd = begin_by_requests(&b, "{}", token);
	for (int i = 0; i < 20; i++) { /* for longer than the lease */
		got = ask(&b, fd, WORKS, token, 1);
		CHECK_HAS(got, "\"instruction\":\"1\"");
		CHECK_HAS(got, "\"reconnectIn\":0");
		free(got);
	}
	CHECK_INT(participants_count(b.ps), 1);
	UNTIL(&b.w, !participants_count(b.ps));
	CHECK_INT(b.ok + b.failed, 0); /* it waits for another */
	close(fd);
	bed_close(&b);
}

TEST(who_promised_to_say_that_it_works_does)
{
	struct bed b;
	char token[33];
	int fd;

	bed_open(&b, (struct participants_opts){.lease_ms = 50});
	fd = begin_by_requests(&b, "{\"working\":true}", token);
	come_as(&b, &b.ones[0], ANSWERS); /* maybe when the first has gone */
	UNTIL(&b.w, b.ok);
	CHECK_INT(b.who, 2);
	close(fd);
	bed_close(&b);
}

TEST(who_works_is_told_when_that_is_in_vain)
{
	struct bed b;
	char token[33], *got;
	int asks, works;

	bed_open(&b, (struct participants_opts){0});
	asks = begin_by_requests(&b, "{}", token);
	got = ask(&b, asks, WORKS, token, 2);
	CHECK_HAS(got, "participant 1 does not work on instruction 2");
	free(got);
	works = say_works(&b, token, 1);
	participants_withdraw(b.ps, 1);
	hear_part(&b.w, works, "the instruction has ended without an answer");
	close(works);
	run(&b);
	got = ask(&b, asks, "{\"participant\":\"%s\"}", token);
	CHECK_HAS(got, "\"instruction\":\"2\"");
	free(got);
	works = say_works(&b, token, 2);
	run(&b);
	got = ask(&b, asks,
		  "{\"participant\":\"%s\",\"instruction\":2," RESULT "}",
		  token);
	CHECK_HAS(got, "\"instruction\":\"3\"");
	CHECK_INT(b.ok, 1);
	free(got);
	hear_part(&b.w, works, "took the place");
	close(asks);
	close(works);
	bed_close(&b);
}

/* ---- many ---- */

static size_t resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t all, here = 0;

	CHECK(f && fscanf(f, "%zu %zu", &all, &here) == 2);
	fclose(f);
	return here * (size_t)sysconf(_SC_PAGESIZE);
}

static void raise_limit(void)
{
	struct rlimit l;

	CHECK(!getrlimit(RLIMIT_NOFILE, &l));
	l.rlim_cur = l.rlim_max;
	CHECK(!setrlimit(RLIMIT_NOFILE, &l));
	CHECK(l.rlim_max >= 2 * MANY + 100);
}

TEST(of_two_thousand_a_quarter_vanishes_and_all_is_done)
{
	struct bed b;
	int64_t began_ms;
	size_t before;
	int asked = 0;

	raise_limit();
	bed_open(&b, (struct participants_opts){0});
	b.many = mem_zero(MANY, sizeof(*b.many));
	for (int i = 0; i < MANY; i++) {
		come_as(&b, &b.many[i], i < GONE ? SILENT : ANSWERS);
		if (i % 50 == 49)
			UNTIL(&b.w, participants_count(b.ps) == (size_t)i + 1);
	}
	before = resident();
	for (int i = 0; i < MANY; i++)
		run(&b);
	while (asked < GONE) {
		world_turn(&b.w);
		asked = 0;
		for (int i = 0; i < GONE; i++)
			asked += b.many[i].asked;
	}
	began_ms = clock_ms();
	for (int i = 0; i < GONE; i++)
		go(&b.many[i]);
	UNTIL(&b.w, participants_count(b.ps) == MANY - GONE);
	printf("# %d vanished in %d ms\n", GONE, (int)(clock_ms() - began_ms));
	UNTIL(&b.w, b.ok == MANY);
	CHECK_INT(b.failed, 0);
	CHECK(resident() < before + (64 << 20));
	for (int i = 0; i < MANY; i++)
		participant_close(b.many[i].p);
	free(b.many);
	bed_close(&b);
}

TEST(large_instructions_are_sent_as_they_are_read)
{
	struct bed b;
	size_t peak = 0;

	bed_open(&b, (struct participants_opts){.max_unread = 4 << 20});
	instruction_free(b.in);
	b.in = train(4, 128 << 10); /* 2 MiB */
	b.many = mem_zero(40, sizeof(*b.many));
	for (int i = 0; i < 40; i++)
		come_as(&b, &b.many[i], SILENT);
	UNTIL(&b.w, participants_count(b.ps) == 40);
	for (int i = 0; i < 40; i++)
		run(&b);
	for (int asked = 0; asked < 40;) {
		world_turn(&b.w);
		if (server_unread(b.w.server) > peak)
			peak = server_unread(b.w.server);
		asked = 0;
		for (int i = 0; i < 40; i++)
			asked += b.many[i].asked;
	}
	CHECK(peak >= 2 << 20);
	CHECK(peak < 8 << 20);
	for (int i = 0; i < 40; i++)
		participant_close(b.many[i].p);
	free(b.many);
	bed_close(&b);
}

TEST(who_does_not_read_holds_up_nobody_else)
{
	struct bed b;
	int fd;

	bed_open(&b, (struct participants_opts){.max_unread = 1 << 20});
	instruction_free(b.in);
	b.in = train(1, 4 << 20); /* 16 MiB */
	fd = dial(&b.w);
	post(&b.w, fd, ASK, JSON, "{}", "");
	UNTIL(&b.w, participants_count(b.ps) == 1);
	run(&b);
	UNTIL(&b.w, server_unread(b.w.server) > 1 << 20);
	come(&b, 0, ANSWERS);
	run(&b);
	UNTIL(&b.w, b.ok);
	CHECK_INT(b.who, 2);
	CHECK(server_unread(b.w.server) > 1 << 20);
	close(fd);
	bed_close(&b);
}

TEST(who_is_long_to_wait_for_what_it_was_given_asks_again)
{
	struct bed b;
	char token[33], *got;
	int idle, asks;

	bed_open(&b, (struct participants_opts){.max_unread = 1 << 20,
						.hold_ms = 1});
	instruction_free(b.in);
	b.in = train(1, 4 << 20);
	idle = dial(&b.w);
	run(&b);
	post(&b.w, idle, ASK, JSON, "{}", "");
	UNTIL(&b.w, server_unread(b.w.server) > 1 << 20);
	instruction_free(b.in);
	b.in = train(1, 10);
	asks = dial(&b.w);
	run(&b);
	got = ask(&b, asks, "{}");
	token_of(got, token);
	CHECK_HAS(got, "\"reconnectIn\":0");
	while (!strstr(got, "\"instruction\":\"2\"")) {
		free(got);
		got = ask(&b, asks, "{\"participant\":\"%s\"}", token);
	}
	free(got);
	close(idle);
	close(asks);
	bed_close(&b);
}
