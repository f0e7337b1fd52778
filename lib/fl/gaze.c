#include "fl/gaze.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/timer.h"
#include "registry/active.h"
#include "wire/client.h"
#include "wire/rpc.h"

enum { EVERY_MS = 1000, PATIENCE_MS = 3000 };

struct gaze {
	struct loop *loop;
	struct client *client;
	const struct opt_list *urls;
	size_t at;    /* which of them is asked */
	size_t tried; /* of them, since the last good answer */
	gaze_fn *fn;
	void *arg;
	struct rpc *asking;
	struct timer every;
	Gfl__V1__FlStatus *status; /* NULL: it is looked for */
	Gfl__V1__FlStatus *last;   /* before it was lost, or NULL */
};

static void drop(Gfl__V1__FlStatus *s)
{
	rpc_free(s ? &s->base : NULL);
}

static void tell(struct gaze *g, const char *event, const char *why)
{
	const struct gaze_event e = {.what = "watch",
				     .event = event,
				     .text = why ? why : gaze_url(g),
				     .status = g->status};

	g->fn(&e, g->arg);
}

static void ask(void *arg);

static void lose(struct gaze *g, const struct err *err)
{
	drop(g->last);
	g->last = g->status;
	g->status = NULL;
	tell(g, "lost", err->msg);
}

/* Each of the others once, at once; then all of them again, at each look. */
static void turn_to_next(struct gaze *g)
{
	g->at = (g->at + 1) % g->urls->n;
	if (++g->tried < g->urls->n)
		ask(g);
	else
		g->tried = 0;
}

static void answered(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	struct gaze *g = arg;
	const bool lost = !g->status;
	const Gfl__V1__FlStatus *now = (const Gfl__V1__FlStatus *)out;
	struct err stands_by;

	g->asking = NULL;
	if (!err && g->urls->n > 1 && active_stands_by(now)) {
		active_standby(now, &stands_by);
		err = &stands_by;
	}
	if (err && g->status)
		lose(g, err);
	if (err) {
		turn_to_next(g);
		return;
	}
	g->tried = 0;
	if (g->status) {
		drop(g->last);
		g->last = g->status;
	}
	g->status = (Gfl__V1__FlStatus *)rpc_copy(out);
	if (lost)
		tell(g, "connected", NULL);
	gaze_compare(g->last, g->status, g->fn, g->arg);
}

static void ask(void *arg)
{
	const struct rpc_opts opts = {.timeout_ms = PATIENCE_MS};
	Gfl__V1__FlStatusRequest in = GFL__V1__FL_STATUS_REQUEST__INIT;
	struct gaze *g = arg;

	if (!g->asking)
		g->asking =
			client_call(g->client, gaze_url(g), RPC_FL_GET_STATUS,
				    &in.base, &opts, answered, g);
}

/* Now, so that who mistypes a URL is told. */
static int find(const struct opt_list *urls, const struct client_opts *opts,
		struct err *err)
{
	const struct active whom = {opts, urls};
	Gfl__V1__FlStatus *out;
	int rc = active_look(&whom, &out, err);

	if (!rc)
		rpc_free(&out->base);
	return rc;
}

int gaze_open(struct gaze **out, struct loop *loop, const struct opt_list *urls,
	      const struct client_opts *opts, gaze_fn *fn, void *arg,
	      struct err *err)
{
	struct gaze *g;

	if (find(urls, opts, err))
		return (int)err->code;
	g = mem_zero(1, sizeof(*g));
	*g = (struct gaze){.loop = loop, .urls = urls, .fn = fn, .arg = arg};
	if (client_open_files(&g->client, loop, &opts->tls, err)) {
		gaze_close(g);
		return (int)err->code;
	}
	ask(g);
	timer_every(&g->every, loop, EVERY_MS, ask, g);
	*out = g;
	return 0;
}

void gaze_close(struct gaze *g)
{
	if (!g)
		return;
	timer_stop(&g->every);
	client_cancel(g->asking);
	client_close(g->client);
	drop(g->status);
	drop(g->last);
	free(g);
}

const Gfl__V1__FlStatus *gaze_status(const struct gaze *g)
{
	return g->status;
}

const char *gaze_url(const struct gaze *g)
{
	return g->urls->at[g->at];
}
