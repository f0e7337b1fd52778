#include "registry/active.h"

#include <string.h>

#include "registry/hedge.h"
#include "wire/rpc.h"

bool active_stands_by(const Gfl__V1__FlStatus *s)
{
	return !strcmp(s->mode, "standby");
}

int active_standby(const Gfl__V1__FlStatus *s, struct err *err)
{
	if (*s->active)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "this server stands by, the active one is %s",
			       s->active);
	return err_set(err, ERR_FAILED_PRECONDITION,
		       "this server stands by, and knows of no active one");
}

/* Answers, of which a better one takes the place of the one before. */
struct heard {
	ProtobufCMessage *out;
	bool status;
};

static bool hear(const ProtobufCMessage *out, size_t i, void *arg)
{
	struct heard *h = arg;

	(void)i;
	rpc_free(h->out);
	h->out = rpc_copy(out);
	return !h->status || !active_stands_by((const Gfl__V1__FlStatus *)out);
}

static int ask(const struct active *a, enum rpc_name name,
	       const ProtobufCMessage *in, struct heard *h, struct err *err)
{
	const struct hedge_opts how = {
		.urls = a->servers->at,
		.n = a->servers->n,
		.together = a->servers->n,
		.name = name,
		.in = in,
		.timeout_ms = a->opts->timeout_ms,
		.tls = &a->opts->tls,
		.any_failure = true,
	};

	if (!hedge_now(&how, hear, h, err))
		return 0;
	if (err->code == ERR_UNAVAILABLE)
		err_hint(err, "start gfl-server, or name one with --server or "
			      "GFL_SERVER");
	return (int)err->code;
}

int active_call(const struct active *a, enum rpc_name name,
		const ProtobufCMessage *in, ProtobufCMessage **out,
		struct err *err)
{
	struct heard h = {0};
	int rc = ask(a, name, in, &h, err);

	*out = h.out;
	return rc;
}

int active_look(const struct active *a, Gfl__V1__FlStatus **out,
		struct err *err)
{
	Gfl__V1__FlStatusRequest in = GFL__V1__FL_STATUS_REQUEST__INIT;
	struct heard h = {.status = true};
	int rc = ask(a, RPC_FL_GET_STATUS, &in.base, &h, err);

	*out = (Gfl__V1__FlStatus *)h.out;
	return rc;
}

int active_status(const struct active *a, Gfl__V1__FlStatus **out,
		  struct err *err)
{
	Gfl__V1__FlStatus *s;
	int rc = active_look(a, &s, err);

	if (rc)
		return rc;
	if (active_stands_by(s)) {
		rc = active_standby(s, err);
	} else if (!strcmp(s->mode, "participants")) {
		rc = err_set(err, ERR_FAILED_PRECONDITION,
			     "this server leads participants, and has no model "
			     "to train");
		err_hint(err, "gfl-list participants shows them");
	}
	if (rc)
		rpc_free(&s->base);
	else
		*out = s;
	return rc;
}
