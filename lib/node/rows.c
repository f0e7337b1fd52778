#include "node/rows.h"

#include <stdlib.h>

#include "base/mem.h"

/* Where they are put may move, until rows_end(). */
static size_t put(struct rows *r, const void *p, int len)
{
	size_t at = r->bytes.len;

	buf_put(&r->bytes, p ? p : "", p ? (size_t)len : 0);
	buf_putc(&r->bytes, '\0');
	return at;
}

Gfl__V1__MessageItem *rows_add(struct rows *r, sqlite3_stmt *s, int64_t *number)
{
	Gfl__V1__MessageItem *m;
	struct rows_at *at;

	r->items =
		mem_grow(r->items, &r->items_cap, r->n + 1, sizeof(*r->items));
	r->where =
		mem_grow(r->where, &r->where_cap, r->n + 1, sizeof(*r->where));
	m = &r->items[r->n];
	at = &r->where[r->n++];
	gfl__v1__message_item__init(m);
	*number = sqlite3_column_int64(s, 0);
	at->id = put(r, sqlite3_column_text(s, 1), sqlite3_column_bytes(s, 1));
	m->from = sqlite3_column_int64(s, 2);
	m->to = sqlite3_column_int64(s, 3);
	m->type = sqlite3_column_int(s, 4);
	m->payload.len = (size_t)sqlite3_column_bytes(s, ROWS_PAYLOAD);
	at->payload = put(r, sqlite3_column_blob(s, ROWS_PAYLOAD),
			  (int)m->payload.len);
	m->sent_ms = sqlite3_column_int64(s, 6);
	return m;
}

void rows_end(struct rows *r)
{
	r->at = mem_zero(r->n + 1, sizeof(*r->at));
	for (size_t i = 0; i < r->n; i++) {
		Gfl__V1__MessageItem *m = &r->items[i];

		m->id = r->bytes.p + r->where[i].id;
		m->payload.data = (uint8_t *)r->bytes.p + r->where[i].payload;
		r->at[i] = m;
	}
}

void rows_release(struct rows *r)
{
	free(r->items);
	free(r->at);
	free(r->where);
	buf_release(&r->bytes);
}
