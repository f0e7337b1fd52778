#include "ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/mem.h"

/* Fields of Noop that no version of it has. */
enum { FIELD_OP = 1, FIELD_TEXT = 2 };

enum { KEYS = 4, KEY_TURN = 1000 }; /* operations */

void ledger_release(struct ledger *h)
{
	free(h->op);
	free(h->slot);
	*h = (struct ledger){0};
}

int64_t ledger_begin(struct ledger *h, bool write, int64_t key, int64_t client,
		     int64_t now)
{
	h->op = mem_grow(h->op, &h->ops_cap, h->nops + 1, sizeof(*h->op));
	h->op[h->nops++] = (struct op){
		.client = client,
		.key = key,
		.write = write,
		.start = now,
	};
	return (int64_t)h->nops;
}

void ledger_end(struct ledger *h, int64_t op, int64_t index, int64_t now)
{
	struct op *o = &h->op[op - 1];

	o->end = now;
	o->index = index;
	if (o->write)
		h->writes++;
	else
		h->reads++;
}

/* ---- entries ---- */

struct proposal {
	Gfl__V1__Entry entry;
	Gfl__V1__Noop noop;
	ProtobufCMessageUnknownField field[2];
	uint8_t op[8];
	uint8_t text[]; /* a length of two bytes first */
};

void *ledger_entry(int64_t op, size_t len, Gfl__V1__Entry **out)
{
	struct proposal *p = mem_zero(1, sizeof(*p) + 2 + len);

	gfl__v1__entry__init(&p->entry);
	gfl__v1__noop__init(&p->noop);
	p->entry.kind_case = GFL__V1__ENTRY__KIND_NOOP;
	p->entry.noop = &p->noop;
	memcpy(p->op, &op, sizeof(op));
	len &= 0x3fff;
	p->text[0] = (uint8_t)((len & 0x7f) | 0x80);
	p->text[1] = (uint8_t)(len >> 7);
	memset(p->text + 2, 'x', len);
	p->field[0] = (ProtobufCMessageUnknownField){
		.tag = FIELD_OP,
		.wire_type = PROTOBUF_C_WIRE_TYPE_64BIT,
		.len = 8,
		.data = p->op};
	p->field[1] = (ProtobufCMessageUnknownField){
		.tag = FIELD_TEXT,
		.wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
		.len = 2 + len,
		.data = p->text};
	p->noop.base.n_unknown_fields = 2;
	p->noop.base.unknown_fields = p->field;
	*out = &p->entry;
	return p;
}

void ledger_bytes(int64_t op, uint8_t out[LEDGER_BYTES])
{
	out[0] = FIELD_OP << 3 | PROTOBUF_C_WIRE_TYPE_64BIT;
	memcpy(out + LEDGER_MARK, &op, sizeof(op));
	out[LEDGER_BYTES - 1] =
		FIELD_TEXT << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
}

static int64_t op_of(const Gfl__V1__Entry *e)
{
	const ProtobufCMessage *m;
	int64_t op = 0;

	if (e->kind_case != GFL__V1__ENTRY__KIND_NOOP)
		return 0;
	m = &e->noop->base;
	for (unsigned i = 0; i < m->n_unknown_fields; i++)
		if (m->unknown_fields[i].tag == FIELD_OP &&
		    m->unknown_fields[i].len == sizeof(op))
			memcpy(&op, m->unknown_fields[i].data, sizeof(op));
	return op;
}

static uint64_t hash_of(const Gfl__V1__Entry *e)
{
	size_t len = gfl__v1__entry__get_packed_size(e);
	uint8_t *bytes = mem_zero(1, len + 1);
	uint64_t hash = len;

	gfl__v1__entry__pack(e, bytes);
	hash = hash << 32 | crc32c_of(0, bytes, len);
	free(bytes);
	return hash;
}

/* Keys take turns, so that none has more operations than can be put in order.
 */
int64_t ledger_key(const struct ledger *h, struct rand *r)
{
	return (int64_t)(h->nops / KEY_TURN * KEYS + rand_below(r, KEYS)) + 1;
}

static struct slot *slot_at(struct ledger *h, int64_t index)
{
	size_t n = (size_t)index + 1;

	if (n > h->nslots) {
		h->slot = mem_grow(h->slot, &h->slots_cap, n, sizeof(*h->slot));
		memset(h->slot + h->nslots, 0,
		       (n - h->nslots) * sizeof(*h->slot));
		h->nslots = n;
	}
	return &h->slot[index];
}

static int differs(const Gfl__V1__LogEntry *e, int64_t node, const char *how,
		   struct err *err)
{
	return err_set(err, ERR_DATA_LOSS,
		       "logs differ: entry %" PRId64 " of node %" PRId64
		       " (term %" PRId64 ") %s",
		       e->index, node, e->term, how);
}

static int show_entry(struct ledger *h, struct slot *s,
		      const Gfl__V1__LogEntry *e, int64_t node, struct err *err)
{
	uint64_t hash = hash_of(e->entry);

	if (s->hashed && s->hash != hash)
		return differs(e, node, "has other bytes than was seen", err);
	s->hashed = true;
	s->hash = hash;
	s->op = op_of(e->entry);
	if (s->op < 0 || s->op > (int64_t)h->nops)
		return differs(e, node, "is of no operation", err);
	return 0;
}

int ledger_show(struct ledger *h, const Gfl__V1__LogEntry *e, bool applied,
		int64_t node, struct err *err)
{
	struct slot *s = slot_at(h, e->index);

	if (s->known && s->term != e->term)
		return differs(e, node, "was of another term", err);
	s->known = true;
	s->term = e->term;
	if (e->entry && show_entry(h, s, e, node, err))
		return (int)err->code;
	if (!applied)
		return 0;
	if (s->effect != EFFECT_UNKNOWN &&
	    s->effect != (e->entry ? EFFECT_APPLIED : EFFECT_NONE))
		return differs(e, node,
			       "had an effect on one node and none on another",
			       err);
	s->effect = e->entry ? EFFECT_APPLIED : EFFECT_NONE;
	return 0;
}
