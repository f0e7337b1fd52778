/* A whole model from one trainer to another that joins in the middle of a run:
 * PullModel, both sides. */
#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "fl/sparsify.h"
#include "fl/trainer_impl.h"
#include "nn/checkpoint.h"

enum {
	PULLS_MAX = 16,
	FETCH_MS = 300000,
	FETCH_PATIENCE_MS = 10000, /* with a peer that cannot be reached */
	FETCH_AGAIN_MS = 500,
	FETCH_FIRST_MS = 50, /* while nobody may have a model yet */
};
#define FETCH_FILE_MAX (MODEL_PARAMS_MAX * 4 + (16 << 20))

/* --- giving ----------------------------------------------------------------
 */

static void drop_snapshot(struct trainer *t, struct snapshot *s)
{
	if (!s || s->users || s == t->snapshot)
		return;
	free(s->bytes);
	free(s);
}

static void keep_snapshot(struct trainer *t, struct snapshot *s)
{
	struct snapshot *old = t->snapshot;

	t->snapshot = s;
	drop_snapshot(t, old);
}

/* Who does not know the tensors gets a file of them. */
static void describe(const struct trainer *t, struct snapshot *s, size_t size)
{
	const struct tensor_bytes from = {.p = s->bytes};

	s->info = (struct tensor_info){.size = size, .version = t->run.at};
	if (!t->run.brought) {
		strcpy(s->info.dtype, "F32");
		s->info.rank = 1;
		s->info.shape[0] = t->run.learner->model->len;
	}
	trainer_layout(t, s->info.layout);
	if (tensor_hash(&s->info, &from, NULL))
		abort(); /* memory is never cut short */
}

/* Little-endian float32. */
static char *bytes_of(const struct learner *l)
{
	uint32_t *all = mem_zero(l->model->len, sizeof(*all));
	char *bytes = mem_zero(l->model->len, 4);

	for (size_t i = 0; i < l->model->len; i++)
		all[i] = (uint32_t)i;
	sparsify_gather(l->params, all, (uint32_t)l->model->len, bytes);
	free(all);
	return bytes;
}

static char *file_of(const struct learner *l, size_t *size)
{
	struct buf bytes = BUF_INIT(0);
	struct tensors ts = {0};

	checkpoint_put(&ts, l->model, "", l->params);
	tensors_encode(&ts, &bytes);
	tensors_release(&ts);
	*size = bytes.len;
	return buf_take(&bytes);
}

/* The model as it is now. */
static void take_snapshot(struct trainer *t)
{
	const struct learner *l = t->run.learner;
	struct snapshot *s = mem_zero(1, sizeof(*s));
	size_t size = l->model->len * 4;

	s->run = t->run.id;
	s->bytes = t->run.brought ? file_of(l, &size) : bytes_of(l);
	describe(t, s, size);
	keep_snapshot(t, s);
}

static void free_pull(struct pull *p)
{
	struct trainer *t = p->trainer;
	struct snapshot *s = p->from;

	DL_DELETE(t->pulls, p);
	if (s) {
		s->users--;
		drop_snapshot(t, s);
	}
	free(p);
}

static void pull_gone(struct call *call, void *arg)
{
	(void)call;
	free_pull(arg);
}

static void pull_over(void *arg)
{
	free_pull(arg);
}

static void start_pull(struct pull *p, struct snapshot *s)
{
	const struct tensor_bytes from = {.p = s->bytes};
	bool same = !strcmp(p->sha256, s->info.sha256);
	struct tensor_gift *gift;

	p->from = s;
	s->users++;
	gift = tensor_give(p->call, &s->info, &from, same ? p->offset : 0,
			   pull_over, p);
	if (gift)
		p->gift = gift;
}

void trainer_give(struct trainer *t)
{
	struct pull *p, *next;
	bool fresh = false;

	if (!t->run.learner || !t->run.learner->model)
		return;
	DL_FOREACH_SAFE(t->pulls, p, next)
	{
		if (p->from)
			continue;
		if (!fresh)
			take_snapshot(t);
		fresh = true;
		start_pull(p, t->snapshot);
	}
}

static int check_pull(const struct trainer *t,
		      const Gfl__V1__PullModelRequest *r, struct err *err)
{
	char layout[17];
	struct pull *p;
	int n;

	if (!t->run.id || t->run.id != r->run || t->run.over ||
	    t->phase == PHASE_PULLING)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "trainer %lld has no model of run %lld",
			       (long long)t->id, (long long)r->run);
	trainer_layout(t, layout);
	if (*r->layout_hash && t->run.learner->model &&
	    strcmp(r->layout_hash, layout))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "the model of trainer %lld has layout %s",
			       (long long)t->id, layout);
	DL_COUNT(t->pulls, p, n);
	if (n >= PULLS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "%d others are pulling", n);
	return 0;
}

void trainer_on_pull(struct call *call, const ProtobufCMessage *in, void *arg)
{
	const Gfl__V1__PullModelRequest *r =
		(const Gfl__V1__PullModelRequest *)in;
	struct trainer *t = arg;
	struct pull *p;
	struct err err;

	if (check_pull(t, r, &err)) {
		call_fail(call, &err);
		return;
	}
	p = mem_zero(1, sizeof(*p));
	p->trainer = t;
	p->call = call;
	p->offset = r->offset;
	str_copy(p->sha256, sizeof(p->sha256), r->sha256);
	DL_APPEND(t->pulls, p);
	call_on_cancel(call, pull_gone, p);
	if (t->snapshot && t->snapshot->run == r->run && *p->sha256 &&
	    !strcmp(p->sha256, t->snapshot->info.sha256))
		start_pull(p, t->snapshot);
	else if (t->phase != PHASE_WORKING)
		trainer_give(t);
}

/* --- taking ----------------------------------------------------------------
 */

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

	log_warn("pull_failed", "peer=%lld error=%s", (long long)f->peer, why);
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
	float *x = t->run.learner->params;

	if (!sparsify_finite(f->bytes, (uint32_t)(f->len / 4)))
		return err_set(err, ERR_DATA_LOSS,
			       "values that are not finite");
	for (size_t i = 0; i < f->len / 4; i++) {
		uint32_t bits;

		memcpy(&bits, f->bytes + i * 4, 4);
		bits = le32toh(bits);
		memcpy(&x[i], &bits, 4);
	}
	return 0;
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

	log_info("pulled", "peer=%lld round=%lld bytes=%zu", (long long)f->peer,
		 (long long)round, f->len);
	forget_bytes(f);
	f->ntried = 0;
	f->perhaps = false;
	t->run.tally.accuracy_alone = -1; /* it never was */
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
	static const struct tensor_sink sink = {fetch_begin, fetch_bytes};
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

void trainer_pull_close(struct trainer *t)
{
	struct err err;

	err_set(&err, ERR_UNAVAILABLE, "the run is over here");
	while (t->pulls) {
		struct pull *p = t->pulls;
		struct call *call = p->call;

		if (p->gift) {
			tensor_give_end(p->gift, &err);
			continue;
		}
		free_pull(p);
		call_fail(call, &err);
	}
	tensor_pull_cancel(t->fetch.pull);
	timer_stop(&t->again);
	forget_bytes(&t->fetch);
	t->fetch = (struct fetch){0};
	keep_snapshot(t, NULL);
}
