#include "fl/participant.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "wire/backoff.h"
#include "wire/duplex.h"

enum { STALL_MS = 30000 };

struct participant {
	struct loop *loop;
	char *url;
	const char *bind;
	struct tls *tls;
	const struct participant_hooks *hooks;
	void *arg;
	struct duplex *stream; /* NULL: between two */
	struct timer again;
	struct backoff backoff;
	struct rand rand;
	int64_t opened_ms;
	bool owes;      /* an answer */
	bool finishing; /* no more of them */
};

static void go(void *arg);

static bool is_final(const struct err *err)
{
	switch (err->code) {
	case ERR_INVALID_ARGUMENT:
	case ERR_FAILED_PRECONDITION:
	case ERR_UNIMPLEMENTED:
	case ERR_PERMISSION_DENIED:
	case ERR_UNAUTHENTICATED:
	case ERR_UNKNOWN:
		return true;
	default:
		return false;
	}
}

/* The last thing that a callback does: the hook may close us. */
static void come_back(struct participant *p, const struct err *err,
		      int64_t after_ms)
{
	timer_set(&p->again, p->loop, after_ms, go, p);
	p->hooks->lost(err, after_ms, p->arg);
}

static void on_done(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	struct participant *p = arg;

	(void)out;
	p->stream = NULL;
	p->owes = false;
	if (!err || p->finishing || is_final(err)) {
		p->hooks->over(p->finishing ? NULL : err, p->arg);
		return;
	}
	if (clock_ms() - p->opened_ms > p->backoff.max_ms)
		p->backoff.now_ms = 0;
	come_back(p, err, backoff_next(&p->backoff, &p->rand));
}

static void say(struct participant *p, const ParticipantMessage *msg)
{
	/* The queue never fills: an answer follows an instruction, which
	 * follows the one before. */
	(void)!duplex_send(p->stream, &msg->base);
}

static void say_unknown(struct participant *p)
{
	ParticipantMessage m = PARTICIPANT_MESSAGE__INIT;

	m.message_case = PARTICIPANT_MESSAGE__MESSAGE_UNKOWN_INSTRUCTION;
	m.unkown_instruction = true;
	say(p, &m);
}

static bool is_instruction(const CoordinatorMessage *in)
{
	return in->message_case !=
	       COORDINATOR_MESSAGE__MESSAGE_RECONNECT_IN;
}

/* Two at a time: which of them an answer is to, nobody could tell. */
static void refuse(struct participant *p)
{
	struct err err;

	err_set(&err, ERR_FAILED_PRECONDITION,
		"%s gives an instruction before the last one is answered",
		p->url);
	duplex_cancel(p->stream);
	p->stream = NULL;
	p->owes = false;
	p->hooks->over(&err, p->arg);
}

static void on_message(const ProtobufCMessage *msg, void *arg)
{
	const CoordinatorMessage *in = (const CoordinatorMessage *)msg;
	struct participant *p = arg;

	p->backoff.now_ms = 0;
	if (p->owes && is_instruction(in)) {
		refuse(p);
		return;
	}
	if (p->finishing)
		return;
	switch (in->message_case) {
	case COORDINATOR_MESSAGE__MESSAGE_RECONNECT_IN:
		duplex_cancel(p->stream);
		p->stream = NULL;
		p->owes = false;
		come_back(p, NULL,
			  in->reconnect_in > 0
				  ? (int64_t)in->reconnect_in * 1000
				  : backoff_next(&p->backoff, &p->rand));
		break;
	case COORDINATOR_MESSAGE__MESSAGE_TRAIN_CONFIG:
		p->owes = true;
		p->hooks->consume(in, p->arg);
		break;
	default:
		say_unknown(p);
	}
}

/* Open a stream, and hand over the initiative. */
static void go(void *arg)
{
	const ParticipantMessage empty = PARTICIPANT_MESSAGE__INIT;
	struct participant *p = arg;
	const struct rpc_opts opts = {
		.bind = p->bind,
		.tls = p->tls,
		.stall_ms = STALL_MS,
	};

	timer_stop(&p->again);
	p->opened_ms = clock_ms();
	p->stream = duplex_open(p->loop, p->url,
				&rpc_methods[RPC_PARTICIPANT_CONNECT], &opts,
				on_message, on_done, p);
	say(p, &empty);
}

struct participant *participant_open(struct loop *loop,
				     const struct participant_opts *opts,
				     const struct participant_hooks *hooks,
				     void *arg)
{
	struct participant *p = mem_zero(1, sizeof(*p));

	p->loop = loop;
	p->url = mem_str(opts->url);
	p->bind = opts->bind;
	p->tls = opts->tls;
	p->hooks = hooks;
	p->arg = arg;
	p->backoff.first_ms = opts->first_ms ? opts->first_ms : 200;
	p->backoff.max_ms = opts->max_ms ? opts->max_ms : 30000;
	rand_os(&p->rand.state, sizeof(p->rand.state));
	go(p);
	return p;
}

bool participant_dispatch(struct participant *p, const ParticipantMessage *msg)
{
	if (!p->owes)
		return false;
	p->owes = false;
	say(p, msg);
	if (p->finishing)
		duplex_finish(p->stream);
	return true;
}

static void on_finished(void *arg)
{
	struct participant *p = arg;

	p->hooks->over(NULL, p->arg);
}

void participant_finish(struct participant *p)
{
	p->finishing = true;
	if (!p->stream)
		timer_set(&p->again, p->loop, 0, on_finished, p);
	else if (!p->owes)
		duplex_finish(p->stream);
}

void participant_close(struct participant *p)
{
	if (!p)
		return;
	timer_stop(&p->again);
	duplex_cancel(p->stream);
	free(p->url);
	free(p);
}
