#include "task/silence.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/task.pb-c.h"

enum {
	QUIET_MS = 2000,
	ANSWER_MS = 5000,
};

static void ask(void *arg);

static void say(struct silence *s, char *why)
{
	if (!s->said || strcmp(s->said, why) != 0)
		s->say(why, s->arg);
	free(s->said);
	s->said = why;
}

static void came(const struct err *err, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__MasterStatus *m = (const Gfl__V1__MasterStatus *)msg;
	struct silence *s = arg;

	s->asking = false;
	if (!s->waits)
		return;
	if (err)
		say(s, mem_fmt("the master: %s", err->msg));
	else if (s->put_off)
		say(s, mem_fmt("the master: %s", s->put_off));
	else if (!m->workers)
		say(s, mem_str("a worker: none is there"));
	else if (m->ready && !m->running)
		say(s, mem_fmt("a worker that may: of %d none is at work",
			       m->workers));
	timer_set(&s->timer, s->loop, QUIET_MS, ask, s);
}

static void ask(void *arg)
{
	Gfl__V1__MasterStatusRequest in = GFL__V1__MASTER_STATUS_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = ANSWER_MS};
	struct silence *s = arg;

	s->asking = true;
	client_call(s->client, s->url, RPC_TASK_GET_STATUS, &in.base, &opts,
		    came, s);
}

void silence_wait(struct silence *s, bool waits)
{
	if (waits && !s->waits && !s->asking)
		timer_set(&s->timer, s->loop, QUIET_MS, ask, s);
	else if (!waits)
		timer_stop(&s->timer);
	s->waits = waits;
}

void silence_put_off(struct silence *s, const char *why)
{
	free(s->put_off);
	s->put_off = mem_str(why);
}

static void forget(struct silence *s)
{
	free(s->said);
	free(s->put_off);
	s->said = s->put_off = NULL;
}

void silence_end(struct silence *s)
{
	forget(s);
	if (s->waits && !s->asking)
		timer_set(&s->timer, s->loop, QUIET_MS, ask, s);
}

void silence_release(struct silence *s)
{
	timer_stop(&s->timer);
	forget(s);
}
