#include "nn/npy.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 8, HEADER_MAX = 1 << 16, ALIGN = 64 };

struct decoder {
	const char *what;
	const char *text; /* the header, NUL behind it */
	const char *at;   /* what comes next of it */
	size_t before;    /* bytes of the file before it */
	bool has_descr, has_order, has_shape;
};

static int bad(const struct decoder *d, const char *expected, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "%s at byte %zu: expected %s of a .npy header", d->what,
		       d->before + (size_t)(d->at - d->text), expected);
}

static bool take(struct decoder *d, const char *token)
{
	const size_t len = strlen(token);

	d->at += strspn(d->at, " \n");
	if (strncmp(d->at, token, len))
		return false;
	d->at += len;
	return true;
}

/* "'<f4'" */
static int decode_descr(struct decoder *d, struct npy *a, struct err *err)
{
	static const char *const known[] = {"f4", "f8", "i1", "i2", "i4", "i8",
					    "u1", "u2", "u4", "u8", "b1"};

	if (!take(d, "'") || strnlen(d->at, 4) < 4)
		return bad(d, "a type in quotes", err);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const char *k = known[i];

		if (strncmp(d->at + 1, k, 2) || d->at[3] != '\'' ||
		    !strchr(k[1] == '1' ? "|<>=" : "<=", d->at[0]))
			continue;
		a->kind = k[0];
		a->size = k[1] - '0';
		d->at += 4;
		return 0;
	}
	return bad(d, "a type such as <f4, <f8, |u1 or <i8", err);
}

/* "(60000, 28, 28)", "(3,)", "()" */
static int decode_shape(struct decoder *d, struct npy *a, struct err *err)
{
	if (!take(d, "("))
		return bad(d, "a shape in parentheses", err);
	a->len = 1;
	for (a->dims = 0; !take(d, ")"); a->dims++) {
		char *end;
		unsigned long long v;

		take(d, "");
		v = strtoull(d->at, &end, 10);
		if (*d->at < '0' || *d->at > '9' || a->dims == NPY_DIMS ||
		    v > NPY_BYTES_MAX || (a->len && v > NPY_BYTES_MAX / a->len))
			return bad(d, "at most 8 dimensions that fit memory",
				   err);
		a->dim[a->dims] = (int64_t)v;
		a->len *= (size_t)v;
		d->at = end;
		if (!take(d, ",") && *d->at != ')')
			return bad(d, "a comma", err);
	}
	return 0;
}

static int decode_entry(struct decoder *d, struct npy *a, struct err *err)
{
	if (!d->has_descr && take(d, "'descr':")) {
		d->has_descr = true;
		return decode_descr(d, a, err);
	}
	if (!d->has_order && take(d, "'fortran_order':")) {
		d->has_order = true;
		return take(d, "False") ? 0 : bad(d, "False (C order)", err);
	}
	if (!d->has_shape && take(d, "'shape':")) {
		d->has_shape = true;
		return decode_shape(d, a, err);
	}
	return bad(d, "descr, fortran_order and shape, once each", err);
}

static int decode_header(struct decoder *d, struct npy *a, struct err *err)
{
	if (!take(d, "{"))
		return bad(d, "a dictionary", err);
	while (!take(d, "}")) {
		if (decode_entry(d, a, err))
			return (int)err->code;
		if (!take(d, ",") && *d->at != '}')
			return bad(d, "a comma", err);
	}
	if (!d->has_descr || !d->has_order || !d->has_shape)
		return bad(d, "descr, fortran_order and shape", err);
	take(d, "");
	return *d->at ? bad(d, "nothing behind the dictionary", err) : 0;
}

/* Length of magic, version and header's length, and that of the header. */
static int decode_lengths(const unsigned char *p, size_t len, const char *what,
			  size_t *before, size_t *header, struct err *err)
{
	const bool wide = len > 6 && p[6] >= 2;

	if (len >= 7 && (memcmp(p, "\x93NUMPY", 6) || p[6] < 1 || p[6] > 3))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s at byte 0: expected the magic of a .npy "
			       "file, version 1 to 3",
			       what);
	*before = wide ? 12 : 10;
	if (len < *before)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s ends at byte %zu, expected the head of a "
			       ".npy file",
			       what, len);
	*header = p[MAGIC] | (size_t)p[MAGIC + 1] << 8;
	if (wide)
		*header |= (size_t)p[MAGIC + 2] << 16 | (size_t)p[MAGIC + 3]
								<< 24;
	if (*header > HEADER_MAX || *header > len - *before)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s at byte %d: a header of %zu bytes, expected "
			       "at most %zu",
			       what, MAGIC, *header,
			       len - *before < HEADER_MAX ? len - *before
							  : HEADER_MAX);
	return 0;
}

/* All but whether the bytes are as many as *size, which the head says. */
static int decode_head(struct npy *a, const void *p, size_t len,
		       const char *what, size_t *size, struct err *err)
{
	struct decoder d = {.what = what};
	size_t header = 0;
	char *text;
	int rc;

	*a = (struct npy){0};
	if (decode_lengths(p, len, what, &d.before, &header, err))
		return (int)err->code;
	text = strndup((const char *)p + d.before, header);
	if (!text)
		abort();
	d.text = d.at = text;
	rc = strlen(text) == header ? decode_header(&d, a, err)
				    : bad(&d, "text without a NUL", err);
	free(text);
	if (rc)
		return rc;
	a->at = d.before + header;
	a->data = (const char *)p + a->at;
	*size = a->at + a->len * (size_t)a->size;
	return 0;
}

static int bad_size(const char *what, size_t len, size_t size, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "%s ends at byte %zu, expected %zu as its shape says",
		       what, len, size);
}

int npy_decode(struct npy *a, const void *p, size_t len, const char *what,
	       struct err *err)
{
	size_t size;

	if (decode_head(a, p, len, what, &size, err))
		return (int)err->code;
	return len == size ? 0 : bad_size(what, len, size, err);
}

int npy_first(struct npy *a, const void *p, size_t len, const char *what,
	      size_t *used, struct err *err)
{
	if (decode_head(a, p, len, what, used, err))
		return (int)err->code;
	return len >= *used ? 0 : bad_size(what, len, *used, err);
}

static double float_value(const char *p, int size)
{
	uint64_t bits = 0;
	double wide;
	float narrow;

	memcpy(&bits, p, (size_t)size);
	if (size == 8) {
		memcpy(&wide, &bits, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, &bits, sizeof(narrow));
	return (double)narrow;
}

double npy_value(const struct npy *a, size_t i)
{
	const char *p = (const char *)a->data + i * (size_t)a->size;
	uint64_t bits = 0;
	const int shift = 64 - 8 * a->size;

	if (a->kind == 'f')
		return float_value(p, a->size);
	memcpy(&bits, p, (size_t)a->size);
	bits = le64toh(bits);
	if (a->kind == 'i')
		return (double)((int64_t)(bits << shift) >> shift);
	return (double)bits;
}

void npy_encode(struct buf *b, int dims, const int64_t *dim,
		const float *values)
{
	struct buf h = BUF_INIT(0);
	size_t len = 1, total;

	buf_puts(&h, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
	for (int i = 0; i < dims; i++) {
		buf_putf(&h, "%s%lld", i ? ", " : "", (long long)dim[i]);
		len *= (size_t)dim[i];
	}
	buf_puts(&h, dims == 1 ? ",), }" : "), }");
	total = 10 + h.len + 1;
	for (size_t pad = -total % ALIGN; pad; pad--)
		buf_putc(&h, ' ');
	buf_putc(&h, '\n');
	buf_put(b, "\x93NUMPY\x01\x00", 8);
	buf_putc(b, (char)(h.len & 0xff));
	buf_putc(b, (char)(h.len >> 8));
	buf_put(b, h.p, h.len);
	buf_put(b, values, len * sizeof(*values));
	buf_release(&h);
}
