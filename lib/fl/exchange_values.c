/* The values of an exchange: which they are, ours as they leave, the peer's as
 * they come, and how these are mixed. */
#include "base/crc.h"
#include "base/mem.h"
#include "fl/exchange_impl.h"
#include "fl/mix.h"
#include "plan/mask.h"

bool exchange_asks(const struct exchange *e)
{
	bool lower = e->self < e->round.peer;

	return e->how.shared && e->round.t % 2 ? !lower : lower;
}

/* Where one chooses, the answer has the same indices. */
struct payload_form exchange_form(const struct exchange *e, bool answer)
{
	return (struct payload_form){
		.dtype = e->how.dtype,
		.codec = e->how.codec,
		.indexed = e->how.topk && (e->how.tells || !answer),
	};
}

static void make_room(struct exchange *e)
{
	e->k = mask_count(e->n, e->round.c);
	e->index = mem_grow(e->index, &e->index_cap, e->k, sizeof(*e->index));
	e->mine = mem_grow(e->mine, &e->mine_cap, e->k, sizeof(*e->mine));
	e->theirs =
		mem_grow(e->theirs, &e->theirs_cap, e->k, sizeof(*e->theirs));
	if (e->how.topk && e->how.tells)
		e->their_index = mem_grow(e->their_index, &e->their_index_cap,
					  e->k, sizeof(*e->their_index));
}

/* NULL: of all. */
static const uint32_t *our_index(const struct exchange *e)
{
	return e->how.topk || e->round.c > 1 ? e->index : NULL;
}

static uint32_t *their_room(const struct exchange *e)
{
	return e->how.topk && e->how.tells ? e->their_index : e->index;
}

static const uint32_t *their_index(const struct exchange *e)
{
	return our_index(e) ? their_room(e) : NULL;
}

void exchange_know(struct exchange *e)
{
	const struct exchange_round *r = &e->round;
	struct mask m = {r->run, r->t, r->seed, e->n, r->c};

	make_room(e);
	if (!e->how.topk && our_index(e))
		mask_indices(&m, e->index);
	e->digest = mask_digest(&m, e->how.topk ? NULL : our_index(e));
}

void exchange_choose(struct exchange *e)
{
	const float *known =
		e->how.tells ? exchange_told_ours(e) : e->how.shared;
	const float *from = e->how.base ? e->how.base : e->x;

	mix_choose(from, known, e->n, e->k, e->index);
}

int exchange_take(struct exchange *e, bool answer, struct err *err)
{
	const struct payload_form form = exchange_form(e, answer);

	buf_reset(&e->bytes);
	mix_gather(e->how.base ? e->how.base : e->x, our_index(e), e->k,
		   e->mine);
	return payload_encode(&form, e->index, e->mine, e->k, e->mine,
			      &e->bytes, err);
}

void exchange_merge(struct exchange *e)
{
	if (e->how.tells) {
		exchange_told_merge(e, our_index(e), their_index(e));
		return;
	}
	mix_pull(e->x, our_index(e), e->k, e->round.weight, e->mine, e->theirs);
	if (!e->how.shared)
		return;
	mix_gather(e->x, e->index, e->k, e->mine);
	mix_scatter(e->how.shared, e->index, e->k, e->mine);
}

static bool same_form(const struct payload_form *a,
		      const struct payload_form *b)
{
	return a->dtype == b->dtype && a->codec == b->codec &&
	       a->indexed == b->indexed;
}

static int check(const struct exchange *e, const struct exchange_message *m,
		 const struct payload_form *form, struct err *err)
{
	if (m->layout != e->layout)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "another model: layout %016llx, not %016llx",
			       (unsigned long long)m->layout,
			       (unsigned long long)e->layout);
	if (m->digest != e->digest)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "another mask: digest %016llx, not %016llx",
			       (unsigned long long)m->digest,
			       (unsigned long long)e->digest);
	if (form && !same_form(&m->form, form))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "values in another form: type %d, codec %d, not "
			       "%d, %d",
			       m->form.dtype, m->form.codec, form->dtype,
			       form->codec);
	if (crc32c_of(0, m->values, m->len) != m->crc)
		return err_set(err, ERR_DATA_LOSS, "checksum does not match");
	return 0;
}

int exchange_read(struct exchange *e, const struct exchange_message *m,
		  bool answer, struct err *err)
{
	const struct payload_form form = exchange_form(e, answer);
	int rc = check(e, m, answer ? NULL : &form, err);

	if (!rc)
		rc = payload_decode(&form, m->values, m->len, e->n, e->k,
				    their_room(e), e->theirs, err);
	if (!rc && e->how.tells)
		exchange_told_agree(e, m->told);
	return rc;
}
