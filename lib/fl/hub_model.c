/* The newest model, given to whoever was asked to train or evaluate it. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fl/exec.h"
#include "fl/floats.h"
#include "fl/hub_impl.h"
#include "nn/checkpoint.h"
#include "nn/convert.h"

/* A model of no more bytes has its SHA-256 once somebody asks for it, which then
 * takes 4 ms of the loop's time at most; where a pull of it breaks off it is
 * pulled anew. */
enum { UNNAMED_MAX = 4 << 20 };

int hub_model_open(struct model **out, const char *model, const char *init,
		   struct err *err)
{
	struct tensors ts;
	int rc;

	if (strcmp(model, EXEC_MODEL) != 0)
		return model_open(out, model, err);
	if (convert_read(&ts, init, NULL, err))
		return (int)err->code;
	rc = checkpoint_bare(out, &ts, init, err);
	tensors_release(&ts);
	return rc;
}

const char *hub_model_name(const struct hub *h)
{
	return *h->model->text ? h->model->text : EXEC_MODEL;
}

static void name_model(struct hub_model *m)
{
	const struct tensor_bytes from = {.p = m->bytes};

	if (!*m->info.sha256 && tensor_hash(&m->info, &from, NULL))
		abort(); /* memory is never cut short */
}

/* On the worker's thread: from params. */
struct hub_model *hub_model_make(const struct hub *h, int64_t version)
{
	struct hub_model *m = mem_zero(1, sizeof(*m));
	const float *control = aggregate_control(h->rule);
	const size_t len = h->model->len + (control ? h->model->n : 0);

	m->users = 1;
	m->version = version;
	m->bytes = mem_zero(len, 4);
	floats_pack(m->bytes, h->params, h->model->len);
	if (control)
		floats_pack(m->bytes + 4 * h->model->len, control, h->model->n);
	m->info = (struct tensor_info){
		.dtype = "F32",
		.rank = 1,
		.shape = {len},
		.size = len * 4,
		.version = version,
	};
	str_copy(m->info.layout, sizeof(m->info.layout), h->layout);
	if (m->info.size > UNNAMED_MAX)
		name_model(m);
	return m;
}

void hub_model_drop(struct hub_model *m)
{
	if (--m->users)
		return;
	free(m->bytes);
	free(m);
}

void hub_model_use(struct hub *h, struct hub_model *m)
{
	struct hub_model *old = h->given;

	h->given = m;
	if (old)
		hub_model_drop(old);
}

static void over(void *arg)
{
	hub_model_drop(arg);
}

/* The newest; or the one that it is to evaluate. */
static struct hub_model *model_for(const struct hub_client *c)
{
	const struct hub_activation *g = &c->given;
	struct hub *h = c->hub;

	if (g->code == GFL__V1__FL_CODE__EVALUATE_PARAMS && !g->over &&
	    h->scoring.model)
		return h->scoring.model;
	return h->given;
}

static void serve_pull(struct call *call, const ProtobufCMessage *in, void *arg)
{
	const Gfl__V1__FlPullRequest *r = (const Gfl__V1__FlPullRequest *)in;
	struct hub *h = arg;
	struct hub_client *c;
	struct hub_model *m;
	struct err err;

	c = hub_client_of(h, call, r->client_id, r->session, &err);
	if (!c) {
		call_fail(call, &err);
		return;
	}
	hub_client_heard(c);
	if (r->version > h->given->version) {
		err_set(&err, ERR_FAILED_PRECONDITION,
			"the model is at version %lld, not yet at %lld",
			(long long)h->given->version, (long long)r->version);
		call_fail(call, &err);
		return;
	}
	m = model_for(c);
	if (!r->brief)
		name_model(m);
	m->users++;
	c->bytes_sent += (int64_t)m->info.size;
	hub_changed(h, c);
	h->now.bytes_sent += (int64_t)m->info.size;
	tensor_give(call, &m->info, &(struct tensor_bytes){.p = m->bytes},
		    strcmp(r->sha256, m->info.sha256) ? 0 : r->offset, over, m);
}

void hub_serve_model(struct hub *h)
{
	server_handle(h->server, RPC_FL_PULL_MODEL, serve_pull, h);
}
