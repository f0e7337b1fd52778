#include "base/outfields.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

/* ---- choosing ---- */

static int unknown(const struct outfields *fs, const char *name, size_t len,
		   struct err *err)
{
	struct buf list = BUF_INIT(0);

	for (size_t i = 0; i < fs->ncols; i++)
		buf_putf(&list, "%s%s", i ? ", " : "", fs->cols[i].key);
	err_set(err, ERR_INVALID_ARGUMENT,
		"--fields: '%.*s' is no column; there are %s", (int)len, name,
		list.p);
	buf_release(&list);
	return (int)err->code;
}

static void add(struct outfields *fs, const char *key, size_t len, size_t at,
		bool member)
{
	fs->f = mem_grow(fs->f, &fs->cap, fs->n + 1, sizeof(*fs->f));
	fs->f[fs->n++] = (struct outfield){
		.key = mem_fmt("%.*s", (int)len, key),
		.type = member ? OUT_REAL : fs->cols[at].type,
		.at = at,
		.member = member,
	};
}

/* The column of this name, else the one whose object may have it; ncols: none. */
static size_t find(const struct outfields *fs, const char *name, size_t len,
		   bool *member)
{
	size_t spread = fs->ncols;

	*member = false;
	for (size_t i = 0; i < fs->ncols; i++) {
		const struct out_col *c = &fs->cols[i];

		if (!strncmp(c->key, name, len) && !c->key[len])
			return i;
		if (c->type == OUT_SPREAD)
			spread = i;
	}
	*member = len && spread < fs->ncols;
	return *member ? spread : fs->ncols;
}

int outfields_choose(struct outfields *fs, const struct out_col *cols,
		     size_t ncols, const char *fields, struct err *err)
{
	*fs = (struct outfields){.cols = cols, .ncols = ncols};
	for (size_t i = 0; !fields && i < ncols; i++)
		add(fs, cols[i].key, strlen(cols[i].key), i, false);
	while (fields && *fields) {
		size_t len = strcspn(fields, ",");
		bool member;
		size_t at = find(fs, fields, len, &member);

		if (at == ncols)
			return unknown(fs, fields, len, err);
		add(fs, fields, len, at, member);
		fields += len + (fields[len] == ',');
	}
	if (!fs->n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--fields: no column is named");
	fs->cells = mem_zero(fs->n, sizeof(*fs->cells));
	return 0;
}

void outfields_drop(struct outfields *fs, size_t i)
{
	free(fs->f[i].key);
	fs->n--;
	memmove(&fs->f[i], &fs->f[i + 1], (fs->n - i) * sizeof(*fs->f));
}

/* ---- a record ---- */

static void forget(struct outfields *fs)
{
	json_decref(fs->object);
	fs->object = NULL;
	for (size_t i = 0; i < fs->n; i++) {
		free(fs->f[i].text);
		fs->f[i].text = NULL;
	}
}

static struct out_cell cell_of(struct outfield *f, json_t *v)
{
	f->found |= v != NULL;
	if (!v || json_is_null(v))
		return out_none();
	if (json_is_string(v))
		return out_text(json_string_value(v));
	if (json_is_integer(v))
		return out_int(json_integer_value(v));
	if (json_is_real(v))
		return out_real(json_real_value(v));
	if (json_is_boolean(v))
		return out_bool(json_is_true(v));
	f->text = json_dumps(v, JSON_COMPACT | JSON_REAL_PRECISION(15));
	return out_json(f->text);
}

static json_t *member(struct outfields *fs, const struct outfield *f,
		      const struct out_cell *c)
{
	if (!fs->object && !c->none)
		fs->object = json_loadb(c->p, c->len, 0, NULL);
	fs->objects |= json_object_size(fs->object) > 0;
	return json_object_get(fs->object, f->key);
}

const struct out_cell *outfields_pick(struct outfields *fs,
				      const struct out_cell *cells)
{
	forget(fs);
	for (size_t i = 0; i < fs->n; i++) {
		struct outfield *f = &fs->f[i];
		const struct out_cell *c = &cells[f->at];

		fs->cells[i] = f->member ? cell_of(f, member(fs, f, c)) : *c;
	}
	return fs->cells;
}

int outfields_check(const struct outfields *fs, struct err *err)
{
	for (size_t i = 0; fs->objects && i < fs->n; i++) {
		const struct outfield *f = &fs->f[i];

		if (f->member && !f->found)
			return unknown(fs, f->key, strlen(f->key), err);
	}
	return 0;
}

void outfields_release(struct outfields *fs)
{
	forget(fs);
	for (size_t i = 0; i < fs->n; i++)
		free(fs->f[i].key);
	free(fs->f);
	free(fs->cells);
}
