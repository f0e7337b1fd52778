/* A trainer that joins in the middle of a run takes the whole model from one of
 * those who have it. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "fl/aggregate.h"
#include "fl/floats.h"
#include "fl/trainer_impl.h"
#include "nn/checkpoint.h"

enum {
	FETCH_MS = 300000,
	FETCH_PATIENCE_MS = 10000, /* with a peer that cannot be reached */
	FETCH_AGAIN_MS = 500,
	FETCH_FIRST_MS = 50, /* while nobody may have a model yet */
};
#define FETCH_FILE_MAX (MODEL_PARAMS_MAX * 4 + (16 << 20))

static bool was_tried(const struct fetch *f, int64_t id)
{
	for (size_t i = 0; i < f->ntried; i++)
		if (f->tried[i] == id)
			return true;
	return false;
}

/* The live peer with the fastest link to us that was not asked yet, or NULL. */
static const Gfl__V1__Trainer *best_peer(const struct trainer *t)
{
	const struct state *s = trainer_state(t);
	const Gfl__V1__Trainer *best = NULL;
	int32_t best_level = INT32_MIN;

	for (size_t i = 0; i < s->ntrainers; i++) {
		const Gfl__V1__Trainer *p = s->trainers[i];
		const struct bandwidth_cell *c =
			bandwidth_find(&s->bandwidth, p->id, t->id);
		int32_t level = c ? c->level : 0;

		if (p->id == t->id || p->no_runs || !*p->url ||
		    p->liveness != GFL__V1__LIVENESS__LIVE ||
		    was_tried(&t->fetch, p->id) || level < best_level ||
		    (best && level == best_level))
			continue;
		best = p;
		best_level = level;
	}
	return best;
}

static bool is_live(const struct trainer *t, int64_t id)
{
	const Gfl__V1__Trainer *p = state_trainer(trainer_state(t), id);

	return p && p->liveness == GFL__V1__LIVENESS__LIVE;
}

static void forget_bytes(struct fetch *f)
{
	free(f->bytes);
	f->bytes = NULL;
	f->len = 0;
}

static void fetch_next(void *arg)
{
	trainer_fetch(arg);
}

static void fetch_failed(struct trainer *t, enum err_code code, const char *why)
{
	struct fetch *f = &t->fetch;

	if (!t->run.learner->model && code == ERR_FAILED_PRECONDITION)
		log_debug("nothing_to_pull", "trainer=%lld peer=%lld",
			  (long long)t->id, (long long)f->peer);
	else
		log_warn("pull_failed", "trainer=%lld peer=%lld error=%s",
			 (long long)t->id, (long long)f->peer, why);
	forget_bytes(f);
	f->perhaps |= code != ERR_FAILED_PRECONDITION;
	if (f->ntried < sizeof(f->tried) / sizeof(f->tried[0]))
		f->tried[f->ntried++] = f->peer;
	timer_set(&t->again, t->loop, 0, fetch_next, t);
}

static bool is_size(const struct trainer *t, uint64_t size)
{
	return t->run.brought ? size <= FETCH_FILE_MAX
			      : size == t->run.learner->model->len * 4;
}

static int fetch_begin(const struct tensor_info *info, void *arg,
		       struct err *err)
{
	struct trainer *t = arg;
	struct fetch *f = &t->fetch;

	if (strcmp(info->dtype, t->run.brought ? "" : "F32") != 0 ||
	    !is_size(t, info->size) ||
	    (*f->layout && strcmp(info->layout, f->layout) != 0) ||
	    info->version < -1 || info->version >= t->run.rounds)
		return err_set(err, ERR_DATA_LOSS, "a model that does not fit");
	str_copy(f->layout, sizeof(f->layout), info->layout);
	f->round = info->version;
	f->len = (size_t)info->size;
	f->bytes = mem_zero(f->len, 1);
	return 0;
}

static int fetch_bytes(uint64_t offset, const void *p, size_t len, void *arg,
		       struct err *err)
{
	struct trainer *t = arg;

	(void)err;
	memcpy(t->fetch.bytes + offset, p, len);
	return 0;
}

static int use_values(struct trainer *t, struct err *err)
{
	const struct fetch *f = &t->fetch;
	const size_t n = f->len / sizeof(float);
	float *values = mem_zero(n, sizeof(*values));
	int rc = 0;

	floats_unpack(values, f->bytes, n);
	if (aggregate_is_finite(values, n))
		memcpy(t->run.learner->params, values, f->len);
	else
		rc = err_set(err, ERR_DATA_LOSS, "values that are not finite");
	free(values);
	return rc;
}

/* Its tensors are ours, or become so. */
static int use_file(struct trainer *t, struct err *err)
{
	static const char what[] = "the model of a peer";
	struct learner *l = t->run.learner;
	bool known = l->model;
	struct tensors ts;
	int rc = tensors_decode(&ts, t->fetch.bytes, t->fetch.len, what, err);

	if (rc)
		return rc;
	rc = known ? checkpoint_get_all(&ts, l->model, what, l->params, err)
		   : learner_adopt(l, &ts, what, err);
	tensors_release(&ts);
	if (!rc && !known)
		trainer_begin_exchange(t);
	return rc;
}

static void use_model(struct trainer *t)
{
	struct fetch *f = &t->fetch;
	int64_t round = f->round;

	log_info("pulled", "trainer=%lld peer=%lld round=%lld bytes=%zu",
		 (long long)t->id, (long long)f->peer, (long long)round,
		 f->len);
	forget_bytes(f);
	f->ntried = 0;
	f->perhaps = false;
	t->run.tally.accuracy_alone = -1; /* it never was */
	trainer_meet_resumed(t, NULL);
	trainer_begin_rounds(t, round);
}

static void fetch_done(const struct err *err, void *arg)
{
	struct trainer *t = arg;
	struct err wrong;

	t->fetch.pull = NULL;
	if (err)
		fetch_failed(t, err->code, err->msg);
	else if (t->run.brought ? use_file(t, &wrong) : use_values(t, &wrong))
		fetch_failed(t, wrong.code, wrong.msg);
	else
		use_model(t);
}

static const ProtobufCMessage *fetch_ask(uint64_t offset, const char *sha256,
					 void *arg)
{
	struct trainer *t = arg;
	Gfl__V1__PullModelRequest *in = &t->fetch.ask;

	gfl__v1__pull_model_request__init(in);
	in->to = t->fetch.peer;
	in->run = t->run.id;
	in->layout_hash = t->fetch.layout;
	in->offset = offset;
	in->sha256 = (char *)(uintptr_t)sha256;
	return &in->base;
}

static bool is_lowest(const struct trainer *t)
{
	const struct state *s = trainer_state(t);

	for (size_t i = 0; i < s->ntrainers && s->trainers[i]->id < t->id; i++)
		if (s->trainers[i]->liveness == GFL__V1__LIVENESS__LIVE &&
		    !s->trainers[i]->no_runs)
			return false;
	return true;
}

/* Everybody was asked in vain. A model from chance would undo what the others
 * have learnt, so ask again, and again; but when all of them said that they
 * have none either, one has to begin. */
static void fetch_again(struct trainer *t)
{
	struct fetch *f = &t->fetch;
	bool known = t->run.learner->model;
	bool begin = !f->perhaps && (known ? f->ntried && is_lowest(t)
					   : trainer_exec_is_first(t));

	f->ntried = 0;
	f->perhaps = false;
	if (!begin) {
		timer_set(&t->again, t->loop,
			  known ? FETCH_AGAIN_MS : FETCH_FIRST_MS, fetch_next,
			  t);
		return;
	}
	if (!known) {
		trainer_exec_begin(t);
		return;
	}
	log_warn("begins_anew", "run=%lld reason=%s", (long long)t->run.id,
		 "no trainer has the model");
	trainer_begin_rounds(t, -1);
}

void trainer_fetch(struct trainer *t)
{
	static const struct tensor_sink sink = {.begin = fetch_begin,
						.bytes = fetch_bytes};
	const struct rpc_opts opts = {.timeout_ms = FETCH_MS,
				      .try_ms = FETCH_PATIENCE_MS};
	const Gfl__V1__Trainer *peer = best_peer(t);

	t->phase = PHASE_PULLING;
	if (!peer) {
		fetch_again(t);
		return;
	}
	trainer_layout(t, t->fetch.layout);
	if (!t->run.learner->model)
		*t->fetch.layout = '\0';
	t->fetch.peer = peer->id;
	t->fetch.pull = tensor_pull(t->client, peer->url,
				    &rpc_methods[RPC_TRAINER_PULL_MODEL], &opts,
				    fetch_ask, &sink, fetch_done, t);
}

/* Who gives is down or has left: no need to wait until patience ends. */
void trainer_fetch_look(struct trainer *t)
{
	struct fetch *f = &t->fetch;

	if (!f->pull || is_live(t, f->peer))
		return;
	tensor_pull_cancel(f->pull);
	f->pull = NULL;
	fetch_failed(t, ERR_UNAVAILABLE, "it is down");
}

void trainer_fetch_close(struct trainer *t)
{
	tensor_pull_cancel(t->fetch.pull);
	timer_stop(&t->again);
	forget_bytes(&t->fetch);
	t->fetch = (struct fetch){0};
}
