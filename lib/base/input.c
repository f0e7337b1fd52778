#include "base/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { STEP = 65536 };

static int read_all(struct buf *out, int fd, const char *name, struct err *err)
{
	char some[STEP];

	for (;;) {
		ssize_t n = read(fd, some, sizeof(some));

		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "read %s", name);
		if (buf_add(out, some, (size_t)n, err))
			return err_wrap(err, "%s", name);
	}
}

int input_read(struct buf *out, const char *path, struct err *err)
{
	int fd, rc;

	if (!strcmp(path, "-"))
		return read_all(out, STDIN_FILENO, "standard input", err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open %s", path);
	rc = read_all(out, fd, path, err);
	close(fd);
	return rc;
}

int input_line(struct buf *line, FILE *f, bool *more, struct err *err)
{
	bool fits = true;
	int c;

	buf_reset(line);
	while ((c = getc_unlocked(f)) != EOF && c != '\n') {
		char one = (char)c;

		fits = fits && !buf_add(line, &one, 1, NULL);
	}
	*more = c != EOF || line->len > 0 || !fits;
	if (ferror(f)) {
		*more = false;
		return err_sys(err, "read a line");
	}
	if (fits)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "a line is longer than %zu bytes", line->max);
}
