#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct row {
	enum err_code code;
	const char *name;
	int exit, http;
} rows[] = {
	{ERR_OK, "ok", 0, 200},
#define ERR_ROW(NAME, num, name, exit, http) {ERR_##NAME, name, exit, http},
	ERR_MAP(ERR_ROW)
#undef ERR_ROW
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static const struct row *row_of(enum err_code code)
{
	unsigned i = (unsigned)code;

	return &rows[i < ROWS ? i : ERR_UNKNOWN];
}

const char *err_name(enum err_code code)
{
	return row_of(code)->name;
}

int err_exit(enum err_code code)
{
	return row_of(code)->exit;
}

int err_http(enum err_code code)
{
	return row_of(code)->http;
}

static void record(struct err *err, enum err_code code, const char *fmt,
		   va_list ap)
{
	if (!err)
		return;
	err->code = code;
	err->hint[0] = '\0';
	err->retry_s = 0;
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	record(err, code, fmt, ap);
	va_end(ap);
	return (int)code;
}

int err_full(struct err *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	record(err, ERR_RESOURCE_EXHAUSTED, fmt, ap);
	va_end(ap);
	if (err)
		err->retry_s = 1;
	return (int)ERR_RESOURCE_EXHAUSTED;
}

static enum err_code code_of_errno(int number)
{
	switch (number) {
	case ENOENT:
	case ENOTDIR:
		return ERR_NOT_FOUND;
	case EACCES:
	case EPERM:
	case EROFS:
	case EMFILE:
	case ENFILE:
	case ENOSPC:
	case EDQUOT:
	case EADDRINUSE:
	case EADDRNOTAVAIL:
	case EAGAIN:
	case ENOMEM:
	case EISDIR:
	case EBUSY:
	case ETXTBSY:
		return ERR_RESOURCE_EXHAUSTED;
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EPIPE:
		return ERR_UNAVAILABLE;
	case ETIMEDOUT:
		return ERR_DEADLINE_EXCEEDED;
	case ENAMETOOLONG:
	case EINVAL:
		return ERR_INVALID_ARGUMENT;
	default:
		return ERR_INTERNAL;
	}
}

/* The sentence, then ": WHY", cut where the room ends. */
static int record_errno(struct err *err, int number, const char *fmt,
			va_list ap)
{
	char why[128];
	size_t len;

	record(err, code_of_errno(number), fmt, ap);
	if (err) {
		len = strlen(err->msg);
		snprintf(err->msg + len, sizeof(err->msg) - len, ": %s",
			 strerror_r(number, why, sizeof(why)));
	}
	return (int)code_of_errno(number);
}

int err_errno(struct err *err, int number, const char *fmt, ...)
{
	va_list ap;
	int code;

	va_start(ap, fmt);
	code = record_errno(err, number, fmt, ap);
	va_end(ap);
	return code;
}

int err_sys(struct err *err, const char *fmt, ...)
{
	int number = errno, code;
	va_list ap;

	va_start(ap, fmt);
	code = record_errno(err, number, fmt, ap);
	va_end(ap);
	return code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char inner[sizeof(err->msg)];
	size_t len;
	va_list ap;

	if (!err)
		return ERR_UNKNOWN;
	memcpy(inner, err->msg, sizeof(inner));
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", inner);
	return (int)err->code;
}

int err_hint(struct err *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return ERR_UNKNOWN;
	if (err->hint[0])
		return (int)err->code;
	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	return (int)err->code;
}
