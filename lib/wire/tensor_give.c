/* The server's sides of tensors: giving and taking. */
#include <stdlib.h>

#include "base/mem.h"
#include "wire/tensor_impl.h"

enum { TURN = TENSOR_AHEAD / TENSOR_CHUNK }; /* chunks at once */

/* ---- giving ---- */

struct tensor_gift {
	struct call *call;
	struct tensor_out out;
	tensor_over_fn *over;
	void *arg;
};

static void gift_free(struct tensor_gift *g)
{
	tensor_out_release(&g->out);
	if (g->over)
		g->over(g->arg);
	free(g);
}

static void gift_gone(struct call *call, void *arg)
{
	(void)call;
	gift_free(arg);
}

void tensor_give_end(struct tensor_gift *g, const struct err *err)
{
	struct call *call = g->call;

	gift_free(g);
	call_fail(call, err);
}

/* A turn's worth, so that others get theirs; the rest when that is taken.
 * False: it is over, and g is no more. */
static bool give(struct tensor_gift *g)
{
	struct call *call = g->call;
	struct tensor_piece piece;
	struct err err;

	for (int n = 0; n < TURN && tensor_out_more(&g->out); n++) {
		if (tensor_out_next(&g->out, &piece, &err)) {
			tensor_give_end(g, &err);
			return false;
		}
		tensor_piece_sum(&piece);
		if (call_send(call, &piece.chunk.base))
			return false; /* it failed, and the hook has run */
	}
	if (tensor_out_more(&g->out))
		return true;
	gift_free(g);
	call_end(call);
	return false;
}

static void give_more(struct call *call, void *arg)
{
	(void)call;
	give(arg);
}

struct tensor_gift *tensor_give(struct call *call,
				const struct tensor_info *info,
				const struct tensor_bytes *from,
				uint64_t offset, tensor_over_fn *over,
				void *arg)
{
	struct tensor_gift *g = mem_zero(1, sizeof(*g));

	g->call = call;
	g->out.info = *info;
	g->out.from = *from;
	g->out.at = offset <= info->size ? offset : 0;
	g->over = over;
	g->arg = arg;
	call_on_cancel(call, gift_gone, g);
	call_on_drain(call, give_more, g);
	return give(g) ? g : NULL;
}

/* ---- taking ---- */

struct taking {
	struct tensor_in in;
	tensor_taken_fn *done;
	void *arg;
};

static void taking_free(struct taking *t)
{
	tensor_in_release(&t->in);
	free(t);
}

static void taking_gone(struct call *call, void *arg)
{
	struct taking *t = arg;
	struct err err;

	err_set(&err, ERR_CANCELLED, "the sender of the tensor has gone");
	t->done(call, &err, t->arg);
	taking_free(t);
}

static int take_chunk(struct tensor_in *in, const Gfl__V1__TensorChunk *c,
		      struct err *err)
{
	int rc = 0;

	if (c->data.len > TENSOR_CHUNK)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a chunk of %zu bytes, more than %d",
			       c->data.len, TENSOR_CHUNK);
	if (c->head)
		rc = tensor_in_head(in, c->head, err);
	if (!rc)
		rc = tensor_in_data(in, c->data.data, c->data.len,
				    c->_crc32c_case ? &c->crc32c : NULL, err);
	return rc;
}

static void on_message(struct call *call, const ProtobufCMessage *msg,
		       void *arg)
{
	struct taking *t = arg;
	struct err err;
	int rc;

	if (msg)
		rc = take_chunk(&t->in, (const Gfl__V1__TensorChunk *)msg,
				&err);
	else
		rc = tensor_in_end(&t->in, &err);
	if (msg && !rc)
		return;
	call_on_cancel(call, NULL, NULL);
	t->done(call, rc ? &err : NULL, t->arg);
	taking_free(t);
	if (rc)
		call_fail(call, &err);
}

void tensor_take(struct call *call, const struct tensor_sink *sink,
		 tensor_taken_fn *done, void *arg)
{
	struct taking *t = mem_zero(1, sizeof(*t));

	t->in.sink = sink;
	t->in.arg = arg;
	t->done = done;
	t->arg = arg;
	call_on_cancel(call, taking_gone, t);
	call_on_message(call, on_message, t);
}
