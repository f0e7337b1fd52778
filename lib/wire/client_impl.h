/* client_impl.h - what the files of a client share. */
#ifndef WIRE_CLIENT_IMPL_H
#define WIRE_CLIENT_IMPL_H

#include <sys/queue.h>

#include "base/rand.h"
#include "base/timer.h"
#include "wire/backoff.h"
#include "wire/client.h"
#include "wire/curl_loop.h"
#include "wire/frames.h"
#include "wire/transfer.h"

enum {
	CLIENT_CHANNELS = RPC_BULK + 1,
	CLIENT_EASY_KEPT = 64, /* handles that wait for the next call */
};

TAILQ_HEAD(rpc_list, rpc);

struct channel {
	struct curl_loop *curl;
	CURL *idle[CLIENT_EASY_KEPT];
	int nidle;
};

struct client {
	struct loop *loop;
	struct tls *tls;    /* or NULL */
	struct tls *own;    /* that, if it is ours */
	char *bind;         /* or NULL */
	unsigned tls_count; /* of what idle handles know of it */
	struct channel channels[CLIENT_CHANNELS];
	struct rpc_list all, ready; /* ready: to be delivered */
	struct rand chance;
	bool delivering;
	uint64_t bytes; /* of the call whose done runs */
	int64_t us;
};

struct rpc {
	TAILQ_ENTRY(rpc) all, ready;
	struct client *c;
	const struct rpc_method *method;
	rpc_each_fn *each;
	rpc_bytes_fn *bytes_each; /* or the same, not unpacked */
	rpc_done_fn *done;
	void *arg;
	char *base, *target;
	char *request;
	bool retry;
	int64_t deadline_ms; /* by clock_ms(); 0: none */
	int64_t try_ms;      /* for an attempt, or 0 */
	struct backoff backoff;
	struct timer timer; /* until the next attempt, or an early failure */

	struct transfer t;
	struct frames answer;
	ProtobufCMessage *out;
	uint64_t bytes, messages;
	int64_t first_us, last_us;
	bool is_ready, is_busy, is_cancelled;
	bool is_over;    /* libcurl has finished, with code */
	bool has_status; /* err has the answer's status, or a failure */
	bool is_foreign;
	bool is_unsent; /* the attempt did not reach the server */
	bool is_lost;   /* it may have, but nothing came back */
	bool is_cut;    /* by its own time */
	CURLcode code;
	struct err err;
};

/* client.c: a handle for a transfer of r, and back, with its connection if the
 * transfer is over. */
CURL *client_easy(struct rpc *r, curl_write_callback on_body);
void client_easy_back(struct rpc *r);
void client_deliver(void *c); /* all that is ready */

/* client_call.c: one call, with its attempts. */
void client_call_ready(struct rpc *r);
void client_call_deliver(struct rpc *r);
void client_call_destroy(struct rpc *r);

#endif
