/* How it is, for those who ask a server; and who comes for something else. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fl/director_impl.h"
#include "proto/server.pb-c.h"

static const char *state_of(const struct director *d)
{
	if (d->stopped || d->done || d->err.code)
		return "ending";
	if (d->process)
		return "asking";
	return d->n_led ? "working" : "waiting";
}

static Gfl__V1__FlStatus figures(const struct director *d)
{
	Gfl__V1__FlStatus s = GFL__V1__FL_STATUS__INIT;

	s.mode = (char *)"participants";
	s.state = (char *)state_of(d);
	s.round = d->ended;
	s.rounds = d->opts.rounds;
	s.quiet_ms = clock_ms() - d->ended_ms;
	s.activated = (int64_t)d->n_led;
	s.admitted = d->n_led ? (int64_t)d->answers.n : 0;
	s.needed = d->opts.min_participants;
	s.deadline_ms = d->opts.deadline_ms;
	s.missed = d->all_failed;
	return s;
}

static void serve_status(struct call *call, const ProtobufCMessage *in,
			 void *arg)
{
	const struct director *d = arg;
	Gfl__V1__FlStatus s = figures(d);
	Gfl__V1__Participant *rows;

	(void)in;
	rows = participants_rows(d->ps, &s.n_participants);
	s.participants = mem_zero(s.n_participants + 1, sizeof(rows));
	for (size_t i = 0; i < s.n_participants; i++)
		s.participants[i] = &rows[i];
	call_reply(call, &s.base);
	free(s.participants);
	free(rows);
}

static void serve_trainer(struct call *call, const ProtobufCMessage *in,
			  void *arg)
{
	struct err err;

	(void)in;
	(void)arg;
	err_set(&err, ERR_FAILED_PRECONDITION,
		"this server leads participants, and has no model to train");
	err_hint(&err, "gfl-list participants shows them");
	call_fail(call, &err);
}

void director_serve(struct director *d, struct server *s)
{
	static const enum rpc_name of_trainers[] = {
		RPC_FL_SET_UP, RPC_FL_AWAIT, RPC_FL_PULL_MODEL,
		RPC_FL_UPDATE, RPC_FL_LEAVE, RPC_FL_END};

	for (size_t i = 0; i < sizeof(of_trainers) / sizeof(*of_trainers); i++)
		server_handle(s, of_trainers[i], serve_trainer, d);
	server_handle(s, RPC_FL_GET_STATUS, serve_status, d);
}
