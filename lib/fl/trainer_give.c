/* PullModel, as it is served: the model as it is between two rounds, to a
 * trainer that joins as its values, to anybody else as a file. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "fl/floats.h"
#include "fl/trainer_impl.h"
#include "nn/tensors.h"

enum { PULLS_MAX = 16 };
#define MODEL_MAX_BYTES ((size_t)1 << 33)

/* --- snapshots ------------------------------------------------------------- */

static void drop_snapshot(struct trainer *t, struct snapshot *s)
{
	if (!s || s->users || s == t->kept[s->file])
		return;
	free(s->bytes);
	free(s);
}

static void keep_snapshot(struct trainer *t, bool file, struct snapshot *s)
{
	struct snapshot *old = t->kept[file];

	t->kept[file] = s;
	drop_snapshot(t, old);
}

/* Little-endian float32, one after the other; who joins knows their names,
 * unless a command brought the model. */
static void take_values(const struct trainer *t, struct snapshot *s)
{
	const struct learner *l = t->run.learner;

	s->info = (struct tensor_info){
		.dtype = "F32",
		.rank = 1,
		.shape = {l->model->len},
		.size = l->model->len * 4,
		.version = t->run.at,
	};
	trainer_layout(t, s->info.layout);
	s->bytes = mem_zero(l->model->len, 4);
	floats_pack(s->bytes, l->params, l->model->len);
}

static void take_file(const struct trainer *t, struct snapshot *s)
{
	struct tensors ts = {0};
	struct buf b = BUF_INIT(0);

	trainer_put_model(&ts, t->run.learner, t->id, t->run.id, t->run.at,
			  t->run.tally.accuracy);
	tensors_encode(&ts, &b);
	tensors_release(&ts);
	s->info = (struct tensor_info){.size = b.len, .version = t->run.at};
	trainer_layout(t, s->info.layout);
	s->bytes = buf_take(&b);
}

/* What the last run left. */
static int take_last(const struct trainer *t, struct snapshot *s,
		     struct err *err)
{
	size_t len;

	if (!t->last_model)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "the run left no model");
	if (file_read(&s->bytes, &len, t->last_model, MODEL_MAX_BYTES, err))
		return (int)err->code;
	s->info = (struct tensor_info){.size = len};
	return 0;
}

static int take_snapshot(struct trainer *t, bool file, struct err *err)
{
	struct snapshot *s = mem_zero(1, sizeof(*s));
	struct tensor_bytes from;

	s->file = file;
	s->run = t->run.id;
	if (!file && !t->run.brought) {
		take_values(t, s);
	} else if (t->run.id) {
		take_file(t, s);
	} else if (take_last(t, s, err)) {
		free(s);
		return (int)err->code;
	}
	from = (struct tensor_bytes){.p = s->bytes};
	if (tensor_hash(&s->info, &from, NULL))
		abort(); /* memory is never cut short */
	keep_snapshot(t, file, s);
	return 0;
}

/* --- those who pull -------------------------------------------------------- */

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

static void fail_pull(struct pull *p, const struct err *err)
{
	struct call *call = p->call;

	if (p->gift) {
		tensor_give_end(p->gift, err);
		return;
	}
	free_pull(p);
	call_fail(call, err);
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
	bool fresh[2] = {false, false};
	struct pull *p, *next;
	struct err err;

	if (t->run.id && (!t->run.learner || !t->run.learner->model))
		return;
	DL_FOREACH_SAFE(t->pulls, p, next)
	{
		if (p->from)
			continue;
		if (!fresh[p->file] && take_snapshot(t, p->file, &err)) {
			fail_pull(p, &err);
			continue;
		}
		fresh[p->file] = true;
		start_pull(p, t->kept[p->file]);
	}
}

/* A file is of whatever there is, unless a run is named; a run that is about to
 * end leaves one. */
static bool has_model(const struct trainer *t,
		      const Gfl__V1__PullModelRequest *r)
{
	const bool any = r->file && !r->run;

	if (!t->run.id)
		return any && t->last_model;
	return t->phase != PHASE_PULLING &&
	       (any || (t->run.id == r->run && !t->run.over));
}

/* Of which a part has arrived already. */
static struct snapshot *begun_before(const struct trainer *t,
				     const Gfl__V1__PullModelRequest *r)
{
	struct snapshot *s = t->kept[r->file];

	if (!s || (r->run && s->run != r->run))
		return NULL;
	return strcmp(r->sha256, s->info.sha256) ? NULL : s;
}

static int check_model(const struct trainer *t,
		       const Gfl__V1__PullModelRequest *r, struct err *err)
{
	char layout[17];

	if (!has_model(t, r))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       r->run ? "trainer %lld has no model of run %lld"
				      : "trainer %lld has no model now",
			       (long long)t->id, (long long)r->run);
	trainer_layout(t, layout);
	if (*r->layout_hash && t->run.learner && t->run.learner->model &&
	    strcmp(r->layout_hash, layout))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "the model of trainer %lld has layout %s",
			       (long long)t->id, layout);
	return 0;
}

static int check_pull(const struct trainer *t,
		      const Gfl__V1__PullModelRequest *r, struct err *err)
{
	struct pull *p;
	int n;

	DL_COUNT(t->pulls, p, n);
	if (n >= PULLS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "%d others are pulling", n);
	return begun_before(t, r) ? 0 : check_model(t, r, err);
}

void trainer_on_pull(struct call *call, const ProtobufCMessage *in, void *arg)
{
	const Gfl__V1__PullModelRequest *r =
		(const Gfl__V1__PullModelRequest *)in;
	struct trainer *t = arg;
	struct snapshot *s = begun_before(t, r);
	struct pull *p;
	struct err err;

	if (check_pull(t, r, &err)) {
		call_fail(call, &err);
		return;
	}
	p = mem_zero(1, sizeof(*p));
	p->trainer = t;
	p->call = call;
	p->file = r->file;
	p->offset = r->offset;
	str_copy(p->sha256, sizeof(p->sha256), r->sha256);
	DL_APPEND(t->pulls, p);
	call_on_cancel(call, pull_gone, p);
	if (s)
		start_pull(p, s);
	else if (t->phase != PHASE_WORKING)
		trainer_give(t);
}

/* A file is good beyond its run. */
void trainer_give_close(struct trainer *t, bool files)
{
	struct pull *p, *next;
	struct err err;

	err_set(&err, ERR_UNAVAILABLE, "the run is over here");
	DL_FOREACH_SAFE(t->pulls, p, next)
	if (files || !p->file)
		fail_pull(p, &err);
	keep_snapshot(t, false, NULL);
	if (files)
		keep_snapshot(t, true, NULL);
}
