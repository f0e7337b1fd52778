/* file.h - whole files: read within a bound, replaced as one step; and the
 * directories that they go into. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>

#include "base/err.h"

/* One run of bytes to write. */
struct file_part {
	const void *p;
	size_t len;
};

/* Write the parts one after another to a temporary name beside path, sync,
 * rename to path and sync the folder: path has either its old content or all
 * of the new. On failure the temporary file is gone. A device or a FIFO, and
 * what is below /dev/fd, takes the bytes as they are written. Errors name path.
 */
int file_replace(const char *path, const struct file_part *parts, int n,
		 struct err *err) MUST_CHECK;

/* Whether file_replace() could begin: for who writes path only after hours. */
int file_replaceable(const char *path, struct err *err) MUST_CHECK;

/* Write the parts to path, whose old content is gone at once: for what need not
 * outlive the machine. Errors name path. */
int file_put(const char *path, const struct file_part *parts, int n,
	     struct err *err) MUST_CHECK;

/* Remove what file_replace() left beside path in processes that were killed.
 * Only where nobody else writes path. */
void file_sweep(const char *path);

/* Make the file from, of which fd is open, the file to: sync it, rename it and
 * sync the folder, which is that of both. A to that is no regular file is
 * INVALID_ARGUMENT. Errors name to. */
int file_become(int fd, const char *from, const char *to,
		struct err *err) MUST_CHECK;

/* The content of a regular file of at most max bytes, a NUL behind it; the
 * caller frees *out. A longer file is INVALID_ARGUMENT. Errors name path. */
int file_read(char **out, size_t *len, const char *path, size_t max,
	      struct err *err) MUST_CHECK;

/* The same of a file that only its owner may read; else INVALID_ARGUMENT with a
 * hint. */
int file_read_secret(char **out, size_t *len, const char *path, size_t max,
		     struct err *err) MUST_CHECK;

/* Make the directory dir and what leads to it, for us alone (0700). It may
 * exist. For a program's own state; a directory that a person named should
 * exist. */
int file_make_dirs(const char *dir, struct err *err) MUST_CHECK;

#endif
