/* err.h - failure as a value: a code, one sentence, and perhaps a hint.
 *
 * The codes are gRPC's numbers. A function that can fail returns 0 or a code
 * and takes `struct err *` last; err_set() and its kin record what happened and
 * return the code, so that failing is one line. The sentence grows on the way
 * up (err_wrap) and is printed once by main() or answered once by a handler.
 * ERR_MAP is the one table of names, exit statuses and HTTP statuses. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* X(NAME, gRPC number, name on the wire, exit status, HTTP status) */
#define ERR_MAP(X)                                                             \
	X(CANCELLED, 1, "canceled", 130, 499)                                  \
	X(UNKNOWN, 2, "unknown", 1, 500)                                       \
	X(INVALID_ARGUMENT, 3, "invalid_argument", 2, 400)                     \
	X(DEADLINE_EXCEEDED, 4, "deadline_exceeded", 4, 504)                   \
	X(NOT_FOUND, 5, "not_found", 1, 404)                                   \
	X(ALREADY_EXISTS, 6, "already_exists", 1, 409)                         \
	X(PERMISSION_DENIED, 7, "permission_denied", 8, 403)                   \
	X(RESOURCE_EXHAUSTED, 8, "resource_exhausted", 7, 429)                 \
	X(FAILED_PRECONDITION, 9, "failed_precondition", 5, 400)               \
	X(ABORTED, 10, "aborted", 1, 409)                                      \
	X(OUT_OF_RANGE, 11, "out_of_range", 2, 400)                            \
	X(UNIMPLEMENTED, 12, "unimplemented", 1, 501)                          \
	X(INTERNAL, 13, "internal", 70, 500)                                   \
	X(UNAVAILABLE, 14, "unavailable", 3, 503)                              \
	X(DATA_LOSS, 15, "data_loss", 70, 500)                                 \
	X(UNAUTHENTICATED, 16, "unauthenticated", 8, 401)

enum err_code {
	ERR_OK = 0,
#define ERR_ENUM(NAME, num, name, exit, http) ERR_##NAME = (num),
	ERR_MAP(ERR_ENUM)
#undef ERR_ENUM
};

/* Exit status of a program of which some receivers or lines failed. */
enum { EXIT_PARTLY = 6 };

struct err {
	enum err_code code;
	char msg[768];  /* one sentence, no newline, no full stop */
	char hint[256]; /* what to do next, or empty */
	int retry_s;    /* a queue is full: ask again after so long; else 0 */
};

/* Record a failure; the previous content of err is replaced. Returns code.
 * err may be NULL: then only the code is returned. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
	PRINTF(3, 4);

/* Record a failed system call: the sentence, then what errno says. The code
 * follows errno: ENOENT is NOT_FOUND, EACCES, EMFILE, ENOSPC, EADDRINUSE and
 * their like RESOURCE_EXHAUSTED, ECONNREFUSED UNAVAILABLE, ETIMEDOUT
 * DEADLINE_EXCEEDED, the rest INTERNAL. */
int err_sys(struct err *err, const char *fmt, ...) PRINTF(2, 3);

/* Like err_sys() with errno given (a positive number). */
int err_errno(struct err *err, int number, const char *fmt, ...) PRINTF(3, 4);

/* Prefix the sentence with what was being done: "FMT: SENTENCE". */
int err_wrap(struct err *err, const char *fmt, ...) PRINTF(2, 3);

/* Add the next step for a person, keeping an earlier hint. Returns the code. */
int err_hint(struct err *err, const char *fmt, ...) PRINTF(2, 3);

/* Something is full that soon may not be. Returns the code. */
int err_full(struct err *err, const char *fmt, ...) PRINTF(2, 3);

/* "not_found" for ERR_NOT_FOUND; "ok" for 0; "unknown" for what is none. */
const char *err_name(enum err_code code);

int err_exit(enum err_code code); /* exit status */
int err_http(enum err_code code); /* HTTP status */

#endif
