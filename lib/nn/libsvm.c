#include "nn/libsvm.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/unpack.h"

enum { INDEX_MAX = 1 << 24 };

/* One value of one example. */
struct entry {
	uint32_t example, index; /* from 0 */
	float value;
};

struct reader {
	const char *path;
	size_t line, count;
	int *label; /* -1 to 255 */
	struct entry *entry;
	size_t n_entries, cap_entries, cap_labels;
	uint32_t width;
};

static int bad(const struct reader *r, const char *at, const char *expected,
	       struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "%s line %zu: \"%.20s\", expected %s", r->path, r->line,
		       at, expected);
}

static int read_label(struct reader *r, char **at, struct err *err)
{
	char *end;
	double v = strtod(*at, &end);

	if (end == *at || (*end && !isspace((unsigned char)*end)) ||
	    (examples_label(v) < 0 && v != -1))
		return bad(r, *at, "a label from 0 to 255, or -1", err);
	r->label = mem_grow(r->label, &r->cap_labels, r->count + 1,
			    sizeof(*r->label));
	r->label[r->count++] = (int)v;
	*at = end;
	return 0;
}

/* "INDEX:VALUE", after the index last. */
static int read_entry(struct reader *r, char **at, uint32_t *last,
		      struct err *err)
{
	struct entry e = {.example = (uint32_t)(r->count - 1)};
	char *end;
	unsigned long index = strtoul(*at, &end, 10);

	if (!isdigit((unsigned char)**at) || *end != ':' || index <= *last ||
	    index > INDEX_MAX)
		return bad(r, *at, "INDEX:VALUE, indices from 1 and ascending",
			   err);
	*last = (uint32_t)index;
	e.index = *last - 1;
	*at = end + 1;
	e.value = strtof(*at, &end);
	if (end == *at || (*end && !isspace((unsigned char)*end)) ||
	    !isfinite(e.value))
		return bad(r, *at, "a finite value", err);
	*at = end;
	r->entry = mem_grow(r->entry, &r->cap_entries, r->n_entries + 1,
			    sizeof(e));
	r->entry[r->n_entries++] = e;
	if (*last > r->width)
		r->width = *last;
	return 0;
}

static int read_line(struct reader *r, char *at, struct err *err)
{
	uint32_t last = 0;

	r->line++;
	at[strcspn(at, "#")] = '\0';
	at += strspn(at, " \t\r");
	if (!*at)
		return 0;
	if (read_label(r, &at, err))
		return (int)err->code;
	for (;;) {
		at += strspn(at, " \t\r");
		if (!*at)
			return 0;
		if (read_entry(r, &at, &last, err))
			return (int)err->code;
	}
}

static int read_lines(struct reader *r, char *text, struct err *err)
{
	for (char *next; text; text = next) {
		next = strchr(text, '\n');
		if (next)
			*next++ = '\0';
		if (read_line(r, text, err))
			return (int)err->code;
	}
	return 0;
}

/* Where -1 is among them the labels are -1 and 1. */
static int fill_labels(const struct reader *r, struct examples *e,
		       struct err *err)
{
	bool signs = false;

	for (size_t i = 0; i < r->count; i++)
		signs |= r->label[i] < 0;
	e->labels = mem_zero(r->count, 1);
	for (size_t i = 0; i < r->count; i++) {
		if (signs && r->label[i] != 1 && r->label[i] != -1)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "%s, example %zu: label %d beside -1, "
				       "expected -1 or 1",
				       r->path, i, r->label[i]);
		e->labels[i] = (uint8_t)(r->label[i] < 0 ? 0 : r->label[i]);
	}
	return 0;
}

static int fill(const struct reader *r, struct examples *e, struct err *err)
{
	if (!r->count || !r->width)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has %zu examples of %u values, expected 1 "
			       "or more of each",
			       r->path, r->count, r->width);
	if (r->count > EXAMPLES_BYTES_MAX / sizeof(float) / r->width)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has %zu examples of %u values, expected at "
			       "most %zu bytes in all",
			       r->path, r->count, r->width, EXAMPLES_BYTES_MAX);
	if (fill_labels(r, e, err))
		return (int)err->code;
	e->count = r->count;
	e->shape = (struct shape){(int)r->width, 1, 1};
	e->values = mem_zero(r->count * r->width, sizeof(float));
	for (size_t i = 0; i < r->n_entries; i++) {
		const struct entry *n = &r->entry[i];

		e->values[(size_t)n->example * r->width + n->index] = n->value;
	}
	return 0;
}

int libsvm_read(struct examples *e, const char *path, struct err *err)
{
	struct reader r = {.path = path};
	char *text;
	size_t len;
	int rc;

	*e = (struct examples){0};
	if (unpack_read(&text, &len, path, EXAMPLES_BYTES_MAX, err))
		return (int)err->code;
	if (strlen(text) != len)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "%s at byte %zu: a NUL, expected text", path,
			     strlen(text));
	else
		rc = read_lines(&r, text, err);
	if (!rc)
		rc = fill(&r, e, err);
	free(r.label);
	free(r.entry);
	free(text);
	if (rc)
		examples_release(e);
	return rc;
}
