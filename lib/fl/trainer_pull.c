/* A whole model from one trainer to another that joins in the middle of a run:
 * PullModel, both sides. */
#include <endian.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "fl/sparsify.h"
#include "fl/trainer_impl.h"

enum {
	CHUNK = 1 << 20,
	AHEAD = 4 << 20, /* bytes queued for a slow reader */
	PULLS_MAX = 16,
	FETCH_MS = 300000,
	FETCH_AGAIN_MS = 500,
};

static void sha256_of(const void *p, size_t len, char hex[65])
{
	unsigned char sum[32];

	if (!EVP_Digest(p, len, sum, NULL, EVP_sha256(), NULL))
		abort();
	str_hex(hex, sum, sizeof(sum));
}

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

/* The model as it is now: bytes are little-endian float32. */
static void take_snapshot(struct trainer *t)
{
	const struct learner *l = t->run.learner;
	struct snapshot *s = mem_zero(1, sizeof(*s));
	uint32_t *all = mem_zero(l->model->n, sizeof(*all));

	for (size_t i = 0; i < l->model->n; i++)
		all[i] = (uint32_t)i;
	s->run = t->run.id;
	s->round = t->run.at;
	s->len = l->model->n * 4;
	s->bytes = mem_zero(s->len, 1);
	sparsify_gather(l->params, all, (uint32_t)l->model->n, s->bytes);
	sha256_of(s->bytes, s->len, s->sha256);
	free(all);
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

/* As much as the reader takes now; the rest when it has taken that. */
static void give_more(struct call *call, void *arg)
{
	struct pull *p = arg;
	struct snapshot *s = p->from;

	while (p->at < s->len && call_queued(call) < AHEAD) {
		Gfl__V1__ModelChunk c = GFL__V1__MODEL_CHUNK__INIT;
		size_t left = s->len - p->at;
		char layout[17];

		trainer_layout(p->trainer, layout);
		c.round = s->round;
		c.layout_hash = layout;
		c.size = s->len;
		c.sha256 = s->sha256;
		c.offset = p->at;
		c.data.data = (uint8_t *)s->bytes + p->at;
		c.data.len = left < CHUNK ? left : CHUNK;
		p->at += c.data.len;
		if (call_send(call, &c.base))
			return; /* it failed, and p is gone */
	}
	if (p->at < s->len)
		return;
	free_pull(p);
	call_end(call);
}

static void start_pull(struct pull *p, struct snapshot *s)
{
	p->from = s;
	s->users++;
	if (!strcmp(p->sha256, s->sha256) && p->offset < s->len)
		p->at = p->offset;
	call_on_drain(p->call, give_more, p);
	give_more(p->call, p);
}

void trainer_give(struct trainer *t)
{
	struct pull *p, *next;
	bool fresh = false;

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
	if (*r->layout_hash && strcmp(r->layout_hash, layout))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "the model of trainer %lld has layout %s",
			       (long long)t->id, layout);
	DL_COUNT(t->pulls, p, n);
	if (n >= PULLS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "%d others are pulling", n);
	return 0;
}

static void serve_pull(struct call *call, const ProtobufCMessage *in, void *arg)
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
	    !strcmp(p->sha256, t->snapshot->sha256))
		start_pull(p, t->snapshot);
	else if (t->phase != PHASE_WORKING)
		trainer_give(t);
}

void trainer_serve_pull(struct trainer *t)
{
	server_handle(t->server, RPC_TRAINER_PULL_MODEL, serve_pull, t);
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
	f->len = f->size = 0;
	f->sha256[0] = '\0';
}

static void fetch_next(void *arg)
{
	trainer_fetch(arg);
}

static void fetch_failed(struct trainer *t, enum err_code code, const char *why)
{
	struct fetch *f = &t->fetch;

	log_warn("pull_failed", "peer=%lld reason=%s", (long long)f->peer, why);
	forget_bytes(f);
	f->perhaps |= code != ERR_FAILED_PRECONDITION;
	if (f->ntried < sizeof(f->tried) / sizeof(f->tried[0]))
		f->tried[f->ntried++] = f->peer;
	timer_set(&t->again, t->loop, 0, fetch_next, t);
}

static void take_chunk(const ProtobufCMessage *out, void *arg)
{
	const Gfl__V1__ModelChunk *c = (const Gfl__V1__ModelChunk *)out;
	struct trainer *t = arg;
	struct fetch *f = &t->fetch;
	size_t size = t->run.learner->model->n * 4;

	if (!f->bytes) {
		f->bytes = mem_zero(size, 1);
		f->size = c->size;
		f->round = c->round;
		str_copy(f->sha256, sizeof(f->sha256), c->sha256);
	}
	if (c->size != size || c->offset != f->len ||
	    c->data.len > size - f->len || strcmp(c->sha256, f->sha256) ||
	    f->round < -1 || f->round >= t->run.rounds) {
		client_cancel(f->rpc);
		f->rpc = NULL;
		fetch_failed(t, ERR_DATA_LOSS, "chunks that do not fit");
		return;
	}
	if (c->data.len)
		memcpy(f->bytes + f->len, c->data.data, c->data.len);
	f->len += c->data.len;
}

static void use_model(struct trainer *t)
{
	struct fetch *f = &t->fetch;
	float *x = t->run.learner->params;
	int64_t round = f->round;

	for (size_t i = 0; i < f->len / 4; i++) {
		uint32_t bits;

		memcpy(&bits, f->bytes + i * 4, 4);
		bits = le32toh(bits);
		memcpy(&x[i], &bits, 4);
	}
	log_info("pulled", "peer=%lld round=%lld bytes=%zu", (long long)f->peer,
		 (long long)round, f->len);
	forget_bytes(f);
	f->ntried = 0;
	f->perhaps = false;
	t->run.tally.accuracy_alone = -1; /* it never was */
	trainer_begin_rounds(t, round);
}

static void fetch_done(const struct err *err, const ProtobufCMessage *out,
		       void *arg)
{
	struct trainer *t = arg;
	struct fetch *f = &t->fetch;
	char sum[65] = "";

	(void)out;
	f->rpc = NULL;
	if (!err && f->bytes && f->len == f->size)
		sha256_of(f->bytes, f->len, sum);
	if (err)
		fetch_failed(t, err->code, err->msg);
	else if (!*sum || strcmp(sum, f->sha256))
		fetch_failed(t, ERR_DATA_LOSS, "the sum does not match");
	else if (!sparsify_finite(f->bytes, (uint32_t)(f->len / 4)))
		fetch_failed(t, ERR_DATA_LOSS, "values that are not finite");
	else
		use_model(t);
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
	bool begin = f->ntried && !f->perhaps && is_lowest(t);

	f->ntried = 0;
	f->perhaps = false;
	if (!begin) {
		timer_set(&t->again, t->loop, FETCH_AGAIN_MS, fetch_next, t);
		return;
	}
	log_warn("begins_anew", "run=%lld reason=%s", (long long)t->run.id,
		 "no trainer has the model");
	trainer_begin_rounds(t, -1);
}

void trainer_fetch(struct trainer *t)
{
	Gfl__V1__PullModelRequest in = GFL__V1__PULL_MODEL_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = FETCH_MS};
	const Gfl__V1__Trainer *peer = best_peer(t);
	char layout[17];

	t->phase = PHASE_PULLING;
	if (!peer) {
		fetch_again(t);
		return;
	}
	trainer_layout(t, layout);
	t->fetch.peer = peer->id;
	in.run = t->run.id;
	in.layout_hash = layout;
	t->fetch.rpc =
		client_stream(t->client, peer->url, RPC_TRAINER_PULL_MODEL,
			      &in.base, &opts, take_chunk, fetch_done, t);
}

void trainer_pull_close(struct trainer *t)
{
	struct err err;

	err_set(&err, ERR_UNAVAILABLE, "the run is over here");
	while (t->pulls) {
		struct call *call = t->pulls->call;

		free_pull(t->pulls);
		call_fail(call, &err);
	}
	client_cancel(t->fetch.rpc);
	timer_stop(&t->again);
	forget_bytes(&t->fetch);
	t->fetch = (struct fetch){0};
	keep_snapshot(t, NULL);
}
