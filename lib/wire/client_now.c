#include "wire/client.h"

#include <stdlib.h>

struct waiter {
	struct loop *loop;
	struct rpc *rpc;
	ProtobufCMessage **out;
	rpc_more_fn *each;
	void *arg;
	struct err *err;
	int rc;
};

static void on_done(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	struct waiter *w = arg;

	if (err) {
		w->rc = err->code;
		if (w->err)
			*w->err = *err;
	} else if (w->out) {
		*w->out = rpc_copy(out);
	}
	loop_stop(w->loop);
}

static void on_each(const ProtobufCMessage *out, void *arg)
{
	struct waiter *w = arg;

	if (w->each(out, w->arg))
		return;
	client_cancel(w->rpc);
	loop_stop(w->loop);
}

static int run(struct waiter *w, const struct tls_opts *tls, const char *url,
	       enum rpc_name name, const ProtobufCMessage *in,
	       int64_t timeout_ms, struct err *err)
{
	struct rpc_opts opts = {.timeout_ms = timeout_ms};
	struct client *c = NULL;
	int rc = loop_open(&w->loop, err);

	if (rc)
		return rc;
	w->err = err;
	rc = client_open_files(&c, w->loop, tls, err);
	if (!rc) {
		w->rpc = client_stream(c, url, name, in, &opts,
				       w->each ? on_each : NULL, on_done, w);
		loop_run(w->loop);
		rc = w->rc;
	}
	client_close(c);
	loop_close(w->loop);
	return rc;
}

int client_now(const struct tls_opts *tls, const char *url, enum rpc_name name,
	       const ProtobufCMessage *in, int64_t timeout_ms,
	       ProtobufCMessage **out, struct err *err)
{
	struct waiter w = {.out = out};

	return run(&w, tls, url, name, in, timeout_ms, err);
}

int client_stream_now(const struct tls_opts *tls, const char *url,
		      enum rpc_name name, const ProtobufCMessage *in,
		      int64_t timeout_ms, rpc_more_fn *each, void *arg,
		      struct err *err)
{
	struct waiter w = {.each = each, .arg = arg};

	return run(&w, tls, url, name, in, timeout_ms, err);
}
