#include "raft/waiting.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <uthash.h>

#include "base/mem.h"

struct proposal {
	int64_t index, term;
	bool session, patient;
	driver_done_fn *done;
	void *arg;
	UT_hash_handle hh;
};

struct read {
	int64_t ctx;
	driver_read_fn *done;
	void *arg;
	UT_hash_handle hh;
};

struct known {
	struct err err;
	struct driver_result result;
	driver_done_fn *done;
	void *arg;
	STAILQ_ENTRY(known) next;
};

struct waiting {
	struct proposal *proposals; /* by index */
	struct read *reads;         /* by ctx */
	int64_t last_ctx;
	STAILQ_HEAD(, known) known;
};

struct waiting *waiting_new(void)
{
	struct waiting *w = mem_zero(1, sizeof(*w));

	STAILQ_INIT(&w->known);
	return w;
}

void waiting_free(struct waiting *w)
{
	struct proposal *p, *next;
	struct read *r, *next_read;
	struct known *k;

	HASH_ITER (hh, w->proposals, p, next) {
		HASH_DEL(w->proposals, p);
		free(p);
	}
	HASH_ITER (hh, w->reads, r, next_read) {
		HASH_DEL(w->reads, r);
		free(r);
	}
	while ((k = STAILQ_FIRST(&w->known))) {
		STAILQ_REMOVE_HEAD(&w->known, next);
		free(k);
	}
	free(w);
}

static void end(struct waiting *w, struct proposal *p, const struct err *err,
		const struct driver_result *result)
{
	HASH_DEL(w->proposals, p);
	if (p->done)
		p->done(err, result, p->arg);
	free(p);
}

static void lost(struct waiting *w, struct proposal *p, const char *why)
{
	struct driver_result none = {.index = p->index, .term = p->term};
	struct err err;

	if (p->session)
		err_set(&err, ERR_UNAVAILABLE,
			"%s while the proposal was under way: propose it again",
			why);
	else
		err_set(&err, ERR_ABORTED,
			"%s while the proposal was under way: it may be "
			"applied yet",
			why);
	end(w, p, &err, &none);
}

void waiting_add(struct waiting *w, int64_t index, int64_t term,
		 const struct driver_proposal *what, driver_done_fn *done,
		 void *arg)
{
	struct proposal *p, *old;

	HASH_FIND(hh, w->proposals, &index, sizeof(index), old);
	if (old) /* of an earlier term of ours */
		lost(w, old, "leadership was lost");
	p = mem_zero(1, sizeof(*p));
	p->index = index;
	p->term = term;
	p->session = what->client;
	p->patient = what->patient;
	p->done = done;
	p->arg = arg;
	HASH_ADD(hh, w->proposals, index, sizeof(p->index), p);
}

bool waiting_applied(struct waiting *w, int64_t index, int64_t term,
		     const struct err *err, const struct driver_result *result)
{
	struct proposal *p;
	struct err gone;
	bool patient;

	HASH_FIND(hh, w->proposals, &index, sizeof(index), p);
	if (!p)
		return false;
	patient = p->patient;
	if (p->term == term) {
		end(w, p, err, result);
		return patient;
	}
	err_set(&gone, ERR_UNAVAILABLE,
		"the proposal was lost with the leader of term %lld: propose "
		"it again",
		(long long)p->term);
	end(w, p, &gone, result);
	return false;
}

void waiting_known(struct waiting *w, const struct err *err,
		   const struct driver_result *result, driver_done_fn *done,
		   void *arg)
{
	struct known *k = mem_zero(1, sizeof(*k));

	if (err)
		k->err = *err;
	k->result = *result;
	k->done = done;
	k->arg = arg;
	STAILQ_INSERT_TAIL(&w->known, k, next);
}

void waiting_answer_known(struct waiting *w)
{
	struct known *k;

	while ((k = STAILQ_FIRST(&w->known))) {
		STAILQ_REMOVE_HEAD(&w->known, next);
		k->done(k->err.code ? &k->err : NULL, &k->result, k->arg);
		free(k);
	}
}

int64_t waiting_read(struct waiting *w, driver_read_fn *done, void *arg)
{
	struct read *r = mem_zero(1, sizeof(*r));

	r->ctx = ++w->last_ctx;
	r->done = done;
	r->arg = arg;
	HASH_ADD(hh, w->reads, ctx, sizeof(r->ctx), r);
	return r->ctx;
}

static struct read *take_read(struct waiting *w, int64_t ctx)
{
	struct read *r;

	HASH_FIND(hh, w->reads, &ctx, sizeof(ctx), r);
	if (r)
		HASH_DEL(w->reads, r);
	return r;
}

void waiting_read_undo(struct waiting *w, int64_t ctx)
{
	free(take_read(w, ctx));
}

void waiting_read_done(struct waiting *w, int64_t ctx, const struct err *err)
{
	struct read *r = take_read(w, ctx);

	if (!r)
		return;
	r->done(err, r->arg);
	free(r);
}

void waiting_lost(struct waiting *w, int64_t committed, const char *why)
{
	struct proposal *p, *next;
	struct read *r, *next_read;
	struct err err;

	HASH_ITER (hh, w->proposals, p, next) {
		if (p->index > committed)
			lost(w, p, why);
	}
	err_set(&err, ERR_UNAVAILABLE, "%s while reading: read again", why);
	HASH_ITER (hh, w->reads, r, next_read) {
		waiting_read_done(w, r->ctx, &err);
	}
}
