/* npz.h - numpy's archives: .npy files in a zip, by libzip. */
#ifndef NN_NPZ_H
#define NN_NPZ_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum { NPZ_MEMBERS_MAX = 65536 };

struct npz; /* an archive that is being read */

/* Open an archive; what is none is INVALID_ARGUMENT. npz_close() frees *out. */
int npz_open(struct npz **out, const char *path, struct err *err) MUST_CHECK;
void npz_close(struct npz *z);

/* The same of bytes, borrowed until npz_close() and called what in messages. */
int npz_open_bytes(struct npz **out, const void *p, size_t len,
		   const char *what, struct err *err) MUST_CHECK;

/* How many arrays there are, and the i-th one's name without ".npy"; a member
 * that is none has no name: NULL. Valid until npz_close(). */
size_t npz_count(const struct npz *z);
const char *npz_name(const struct npz *z, size_t i);

/* The place of the array of that name; NOT_FOUND. */
int npz_find(const struct npz *z, const char *name, size_t *i);

/* The bytes of the i-th member, which the caller frees: for npy_decode(). The
 * zip's checksum is checked. */
int npz_read(struct npz *z, size_t i, char **out, size_t *len,
	     struct err *err) MUST_CHECK;

/* A member to write: its name without ".npy", and the bytes of npy_encode(). */
struct npz_member {
	const char *name;
	struct buf bytes;
};

/* Append an archive, called what in messages, to b. */
int npz_pack(struct buf *b, const struct npz_member *members, size_t n,
	     const char *what, struct err *err) MUST_CHECK;

/* Write an archive, as one step. */
int npz_write(const char *path, const struct npz_member *members, size_t n,
	      struct err *err) MUST_CHECK;

#endif
