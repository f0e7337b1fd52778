/* What the server asked for: the model comes, is trained, and goes back. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "fl/floats.h"
#include "fl/spoke_impl.h"

enum {
	PULL_MS = 600000,
	PULL_PATIENCE_MS = 20000,
	PULL_SOON_MS = 4000, /* where another server may give it */
};

static void pull(struct spoke *s);
static void begin_work(struct spoke *s);

static void free_task(struct spoke_task *t)
{
	free(t->logical);
	*t = (struct spoke_task){0};
}

static void free_work(struct spoke_work *w)
{
	if (!w)
		return;
	free(w->base);
	free(w->failure);
	spoke_own_release(w);
	buf_release(&w->values);
	free(w);
}

static void forget_work(struct spoke *s)
{
	free_work(s->work);
	s->work = NULL;
}

/* --- one task after the other ----------------------------------------------
 */

static void finish(struct spoke *s)
{
	free_task(&s->task);
	s->task = s->next;
	s->next = (struct spoke_task){0};
	if (s->task.id)
		pull(s);
	spoke_ask(s);
}

void spoke_task_drop(struct spoke *s, const char *why)
{
	forget_work(s);
	log_warn("task_dropped", "round=%lld reason=%s",
		 (long long)s->task.round, why);
	finish(s);
}

static bool makes_sense(const struct spoke *s, const Gfl__V1__FlInstruction *in)
{
	const bool scores = in->code == GFL__V1__FL_CODE__EVALUATE_PARAMS;
	bool ok = in->activation > 0 && in->n_logical &&
		  (scores || in->code == GFL__V1__FL_CODE__ACTIVATION);

	for (size_t i = 0; ok && i < in->n_logical; i++)
		ok = in->logical[i] >= 0 && in->logical[i] < s->opts.nclients &&
		     (!scores || spoke_tests(s, in->logical[i]));
	if (!ok)
		log_warn("not_understood", "code=%d activation=%lld",
			 (int)in->code, (long long)in->activation);
	return ok;
}

void spoke_begin(struct spoke *s, const Gfl__V1__FlInstruction *in)
{
	bool busy = s->task.id;
	struct spoke_task *t = busy ? &s->next : &s->task;

	if (in->activation == s->task.id || in->activation == s->next.id ||
	    !makes_sense(s, in))
		return; /* told once more, or what nobody should */
	free_task(t);
	*t = (struct spoke_task){
		.id = in->activation,
		.term = s->term,
		.code = in->code,
		.round = in->round,
		.version = in->version,
		.logical = mem_dup(in->logical,
				   in->n_logical * sizeof(*in->logical)),
		.n = in->n_logical,
	};
	if (!busy)
		pull(s);
}

/* --- the model comes -------------------------------------------------------
 */

size_t spoke_model_size(const struct spoke *s)
{
	const struct model *m = s->learner->model;

	return 4 * (m->len + (s->training.control ? m->n : 0));
}

static int pull_begin(const struct tensor_info *info, void *arg,
		      struct err *err)
{
	struct spoke *s = arg;

	if (strcmp(info->dtype, "F32") != 0 ||
	    info->size != spoke_model_size(s) ||
	    strcmp(info->layout, s->layout) != 0)
		return err_set(err, ERR_DATA_LOSS, "a model that does not fit");
	if (!s->base)
		s->base = mem_zero(1, spoke_model_size(s));
	s->task.version = info->version;
	return 0;
}

static int pull_bytes(uint64_t offset, const void *p, size_t len, void *arg,
		      struct err *err)
{
	struct spoke *s = arg;

	(void)err;
	memcpy(s->base + offset, p, len);
	return 0;
}

static const ProtobufCMessage *pull_ask(uint64_t offset, const char *sha256,
					void *arg)
{
	struct spoke *s = arg;
	Gfl__V1__FlPullRequest *in = &s->pull_ask;

	gfl__v1__fl_pull_request__init(in);
	in->client_id = s->id;
	in->session = s->session;
	in->version = s->task.version;
	in->offset = offset;
	in->sha256 = (char *)(uintptr_t)sha256;
	in->brief = true;
	return &in->base;
}

/* --- the work --------------------------------------------------------------
 */

/* The order of a logical client's examples in a round is its own, and the same
 * whenever the round is trained again. */
static void use_examples(struct learner *l, const struct spoke_work *w)
{
	const struct index *ix = &w->spoke->opts.indexes[w->logical];

	sampler_release(&l->sampler);
	sampler_init_some(&l->sampler, ix->i, ix->n, (size_t)w->examples,
			  w->seed);
}

/* Each round begins without momentum. */
static int train(struct spoke_work *w, struct err *err)
{
	struct learner *l = w->spoke->learner;

	if (!w->spoke->exec)
		use_examples(l, w);
	if (l->velocity)
		memset(l->velocity, 0, l->model->n * sizeof(*l->velocity));
	spoke_own_begin(w);
	if (learner_train(l, &w->steps, &w->loss, err))
		return (int)err->code;
	spoke_own_end(w);
	if (spoke_values(w, err) || spoke_own_write(w, err))
		return (int)err->code;
	w->crc = crc32c_of(0, w->values.p, w->values.len);
	return 0;
}

/* On the worker's thread. */
static void work(void *arg)
{
	struct spoke_work *w = arg;
	struct learner *l = w->spoke->learner;
	int64_t from = clock_us();

	floats_unpack(l->params, w->base, l->model->len);
	if (w->scores ? learner_evaluate(l, &w->score, &w->err)
		      : train(w, &w->err))
		return;
	w->seconds = (double)(clock_us() - from) / 1e6;
	w->err.code = ERR_OK;
}

static void work_again(void *arg)
{
	begin_work(arg);
}

/* A failure is told to the server, which waits for no update then. */
static void worked_outside(struct spoke_work *w)
{
	struct spoke *s = w->spoke;

	if (spoke_exec_worked(s, w) == SPOKE_EXEC_SEND) {
		spoke_send(s);
		return;
	}
	s->base = w->base;
	w->base = NULL;
	forget_work(s);
	timer_set(&s->resend, s->loop, backoff_next(&s->busy_pause, &s->rand),
		  work_again, s);
}

/* A model that cannot be trained from is of others' updates: the server is told
 * so, and may send a better one. */
static void worked(void *arg)
{
	struct spoke_work *w = arg;
	struct spoke *s = w->spoke;
	struct err err = w->err;

	s->working = false;
	if (s->work != w) { /* the task is no more */
		free_work(w);
		if (s->waits)
			begin_work(s);
	} else if (s->exec) {
		worked_outside(w);
	} else if (err.code == ERR_ABORTED) {
		log_warn("not_trained", "logical=%d error=%s", w->logical,
			 err.msg);
		buf_reset(&w->values);
		w->failure = mem_str(err.msg);
		spoke_send(s);
	} else if (err.code) {
		forget_work(s);
		spoke_fail(s, &err);
	} else {
		spoke_send(s);
	}
}

static struct learner_steps steps_of(const struct spoke *s, int64_t n)
{
	const Gfl__V1__FlTraining *t = &s->training;
	int64_t batches = (n + t->batch - 1) / t->batch;

	return (struct learner_steps){
		.epochs = s->exec ? t->epochs : 0,
		.steps = t->epochs ? t->epochs * batches : t->steps,
		.batch = t->batch,
		.lr = t->lr,
		.momentum = t->momentum,
		.weight_decay = t->weight_decay,
		.prox = t->prox,
		.nesterov = t->nesterov,
		.schedule = {t->lr_decay, t->lr_decay_every, t->lr_cosine},
		.round = s->task.round - 1,
	};
}

/* The logical client whose turn it is, from the base that is there. What the
 * worker has of a task that is no more ends first. */
static void begin_work(struct spoke *s)
{
	struct spoke_work *w;
	int32_t logical = s->task.logical[s->task.at];
	int64_t n = (int64_t)s->opts.indexes[logical].n;

	s->waits = s->working;
	if (s->waits)
		return;
	w = mem_zero(1, sizeof(*w));
	w->spoke = s;
	w->base = s->base;
	s->base = NULL;
	w->training = s->training;
	w->client = s->id;
	w->run_seed = s->seed;
	str_copy(w->layout, sizeof(w->layout), s->layout);
	w->logical = logical;
	w->activation = s->task.id;
	w->update_id = rand_id();
	w->scores = s->task.code == GFL__V1__FL_CODE__EVALUATE_PARAMS;
	w->seed = rand_mix(s->seed ^ rand_mix((uint64_t)s->id)) ^
		  rand_mix((uint64_t)s->task.round << 16 ^ (uint64_t)logical);
	w->steps = steps_of(s, n);
	w->examples = w->steps.steps * w->steps.batch < n
			      ? w->steps.steps * w->steps.batch
			      : n;
	s->work = w;
	s->working = true;
	if (worker_submit(s->worker, work, worked, w, &w->err))
		worked(w);
}

static void pulled(const struct err *err, void *arg)
{
	struct spoke *s = arg;

	s->pull = NULL;
	if (err) {
		spoke_task_drop(s, err->msg);
		return;
	}
	s->bytes_received += (int64_t)spoke_model_size(s);
	begin_work(s);
}

static void pull(struct spoke *s)
{
	static const struct tensor_sink sink = {
		.begin = pull_begin, .bytes = pull_bytes, .brief = true};
	const struct rpc_opts opts = {.timeout_ms = PULL_MS,
				      .try_ms = spoke_has_others(s)
							? PULL_SOON_MS
							: PULL_PATIENCE_MS};

	s->pull = tensor_pull(s->client, spoke_url(s),
			      &rpc_methods[RPC_FL_PULL_MODEL], &opts, pull_ask,
			      &sink, pulled, s);
}

/* The next one begins with the same model. What was carried to another server
 * is the last of its task. */
void spoke_task_sent(struct spoke *s)
{
	const bool carried = s->task.id < 0;

	if (!carried) {
		s->base = s->work->base;
		s->work->base = NULL;
	}
	forget_work(s);
	if (!carried && ++s->task.at < s->task.n)
		begin_work(s);
	else
		finish(s);
}

/* The worker frees what it still has when it is done. */
void spoke_task_close(struct spoke *s)
{
	tensor_pull_cancel(s->pull);
	s->pull = NULL;
	client_cancel(s->sending);
	s->sending = NULL;
	timer_stop(&s->resend);
	if (s->working)
		s->work = NULL;
	s->waits = false;
	forget_work(s);
	free_task(&s->task);
	free_task(&s->next);
	free(s->base);
	s->base = NULL;
}

/* A mask that only its activation tells of stays behind. */
static bool is_carried(const struct spoke *s)
{
	const struct spoke_work *w = s->work;

	return w && s->task.term && !w->failure && !w->scores &&
	       s->training.scheme != GFL__V1__SCHEME__STRAT;
}

void spoke_task_part(struct spoke *s)
{
	if (!is_carried(s)) {
		spoke_task_close(s);
		return;
	}
	client_cancel(s->sending);
	s->sending = NULL;
	timer_stop(&s->resend);
	free_task(&s->next);
	s->task.id = -1;
}

void spoke_task_arrive(struct spoke *s)
{
	if (s->task.id >= 0)
		return;
	if (!s->term)
		spoke_task_close(s);
	else if (!s->working)
		spoke_send(s);
}
