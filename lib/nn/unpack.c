#include "nn/unpack.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"

enum { STEP = 1 << 16 };

static int gz_fault(const char *path, gzFile gz, size_t at, struct err *err)
{
	int code;
	const char *why = gzerror(gz, &code);

	if (code == Z_ERRNO)
		return err_sys(err, "read %s", path);
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "%s at byte %zu of what it unpacks to: %s, expected "
		       "gzip data to its end",
		       path, at, code == Z_OK ? "it ends early" : why);
}

/* gzread() passes plain files through. */
static int read_all(struct buf *b, const char *path, gzFile gz, size_t max,
		    struct err *err)
{
	int n, code;

	do {
		n = gzread(gz, buf_room(b, STEP), STEP);
		if (n < 0)
			return gz_fault(path, gz, b->len, err);
		b->len += (size_t)n;
		if (b->len > max)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "%s has more than %zu bytes", path, max);
	} while (n > 0);
	gzerror(gz, &code);
	if (code != Z_OK && code != Z_STREAM_END)
		return gz_fault(path, gz, b->len, err);
	buf_puts(b, "");
	return 0;
}

int unpack_read(char **out, size_t *len, const char *path, size_t max,
		struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf b = BUF_INIT(0);
	struct stat st;
	gzFile gz;
	int rc;

	if (fd < 0 || fstat(fd, &st)) {
		rc = err_sys(err, "open %s", path);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	gz = S_ISREG(st.st_mode) ? gzdopen(fd, "rb") : NULL;
	if (!gz) {
		close(fd);
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s is not a regular file", path);
	}
	rc = read_all(&b, path, gz, max, err);
	gzclose(gz);
	*len = b.len;
	*out = rc ? NULL : buf_take(&b);
	buf_release(&b);
	return rc;
}
