#include "fl/elect.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/timer.h"
#include "fl/mandate.h"
#include "fl/standby.h"
#include "nn/model.h"

enum { PATIENCE_MS = 2000 }; /* with a leader that is new */

struct elect {
	struct loop *loop;
	struct server *server;
	struct hub_opts how;
	struct elect_opts opts;
	char layout[17];
	size_t max_bytes;
	struct client *client;
	struct mandate *mandate;
	int64_t term; /* in which we are to be active; 0: we are not */
	struct standby *standby; /* one of the two */
	struct hub *hub;
	bool leaving; /* stopped, and active until another one is */
	struct timer limit;
	struct err failure; /* code 0: none */
	loop_fn *ended;
	void *ended_arg;
};

static const struct err *failure_of(const struct elect *e)
{
	if (e->failure.code)
		return &e->failure;
	return e->hub       ? hub_failed(e->hub)
	       : e->standby ? standby_failed(e->standby)
			    : NULL;
}

const struct err *elect_failed(const struct elect *e)
{
	return failure_of(e);
}

static void end(void *arg)
{
	struct elect *e = arg;

	e->ended(e->ended_arg);
}

static void run_over(void *arg)
{
	log_info("over", "reason=%s", "the active server says so");
	end(arg);
}

static void unled(void *arg)
{
	mandate_claim(((struct elect *)arg)->mandate, 0, PATIENCE_MS);
}

/* Another one may have it by now. */
static void left(int64_t term, void *arg)
{
	mandate_claim(((struct elect *)arg)->mandate, term, 0);
}

static int stand_by(struct elect *e, struct err *err)
{
	const struct standby_opts how = {
		.db = e->how.db,
		.layout = e->layout,
		.max_bytes = e->max_bytes,
		.peers = e->opts.peers,
		.over = run_over,
		.unled = unled,
		.left = left,
		.failed = end,
		.arg = e,
	};

	return standby_open(&e->standby, e->client, e->server, &how, err);
}

static void confirmed(void *arg)
{
	hub_confirmed(((struct elect *)arg)->hub);
}

static void confirm(void *arg)
{
	struct elect *e = arg;

	mandate_confirm(e->mandate, confirmed, e);
}

static void take_over(void *arg)
{
	struct elect *e = arg;

	e->how.followers = standby_peers_there(e->standby);
	standby_close(e->standby);
	e->standby = NULL;
	e->how.term = e->term;
	if (hub_open(&e->hub, e->loop, e->server, &e->how, end, e,
		     &e->failure)) {
		end(e);
		return;
	}
	e->failure.code = ERR_OK;
	log_info("active", "term=%lld", (long long)e->term);
}

static void resign(struct elect *e)
{
	log_warn("resigned", "reason=%s", "the node beside it does not lead");
	hub_close(e->hub);
	e->hub = NULL;
	if (stand_by(e, &e->failure))
		end(e);
	else
		e->failure.code = ERR_OK;
}

static void changed(int64_t term, void *arg)
{
	struct elect *e = arg;

	if (elect_failed(e))
		return;
	e->term = term;
	if (e->leaving)
		end(e);
	else if (term)
		standby_survey(e->standby, term, take_over, e);
	else if (e->hub)
		resign(e);
	else
		standby_follow(e->standby);
}

static void limit_reached(void *arg)
{
	log_warn("not_handed_over", "reason=%s", "it took too long");
	end(arg);
}

void elect_stop(struct elect *e)
{
	if (!e->hub || e->leaving || elect_failed(e)) {
		end(e);
		return;
	}
	e->leaving = true;
	if (e->how.ending_ms < INT64_MAX)
		timer_set(&e->limit, e->loop, e->how.ending_ms, limit_reached,
			  e);
	hub_rest(e->hub, end, e);
}

static int read_layout(struct elect *e, struct err *err)
{
	struct model *m;

	if (hub_model_open(&m, e->how.model, e->how.init, err))
		return (int)err->code;
	snprintf(e->layout, sizeof(e->layout), "%016" PRIx64, m->layout);
	/* a rule keeps a few vectors, robust ones one of each client */
	e->max_bytes = m->len * 4 * 1024 + (64 << 20);
	model_free(m);
	return 0;
}

int elect_open(struct elect **out, struct loop *loop, struct server *s,
	       const struct hub_opts *how, const struct elect_opts *opts,
	       loop_fn *ended, void *arg, struct err *err)
{
	struct elect *e = mem_zero(1, sizeof(*e));
	int rc;

	*e = (struct elect){.loop = loop,
			    .server = s,
			    .how = *how,
			    .opts = *opts,
			    .ended = ended,
			    .ended_arg = arg};
	e->how.confirm = confirm;
	e->how.confirm_arg = e;
	rc = read_layout(e, err) ||
	     client_open(&e->client, loop, opts->tls, err) || stand_by(e, err);
	if (rc) {
		elect_close(e);
		return (int)err->code;
	}
	client_bind(e->client, opts->bind);
	e->mandate = mandate_open(e->client, opts->node, changed, e);
	*out = e;
	return 0;
}

void elect_close(struct elect *e)
{
	if (!e)
		return;
	timer_stop(&e->limit);
	mandate_close(e->mandate);
	hub_close(e->hub);
	standby_close(e->standby);
	client_close(e->client);
	free(e);
}
