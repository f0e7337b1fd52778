#include "base/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

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

/* ---- by lines ---- */

struct input {
	int fd;
	char some[STEP];
	size_t at, end; /* what of it is not yet taken */
	bool over;      /* nothing more comes */
	int number;     /* errno of a read that failed, or 0 */
};

int input_open(struct input **out, const char *path, struct err *err)
{
	struct input *in;
	int fd = STDIN_FILENO;
	struct stat st;

	if (strcmp(path, "-"))
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open %s", path);
	if (!fstat(fd, &st) && S_ISDIR(st.st_mode)) {
		if (fd != STDIN_FILENO)
			close(fd);
		errno = EISDIR;
		return err_sys(err, "read %s",
			       strcmp(path, "-") ? path : "standard input");
	}
	in = mem_zero(1, sizeof(*in));
	in->fd = fd;
	*out = in;
	return 0;
}

void input_close(struct input *in)
{
	if (!in)
		return;
	if (in->fd != STDIN_FILENO)
		close(in->fd);
	free(in);
}

/* One read, behind what is there. */
static void fill(struct input *in)
{
	ssize_t n;

	memmove(in->some, in->some + in->at, in->end - in->at);
	in->end -= in->at;
	in->at = 0;
	do
		n = read(in->fd, in->some + in->end, STEP - in->end);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		in->number = errno;
	if (n > 0)
		in->end += (size_t)n;
	else
		in->over = true;
}

static const char *line_end(const struct input *in)
{
	return memchr(in->some + in->at, '\n', in->end - in->at);
}

int input_line(struct input *in, struct buf *line, bool *more, struct err *err)
{
	const char *end;
	bool fits = true, some = false;

	buf_reset(line);
	for (;;) {
		size_t len;

		end = line_end(in);
		len = end ? (size_t)(end - (in->some + in->at))
			  : in->end - in->at;
		fits = fits && !buf_add(line, in->some + in->at, len, NULL);
		some = some || len > 0;
		in->at += len + (end != NULL);
		if (end || in->over)
			break;
		fill(in);
	}
	*more = end || (some && !in->number);
	if (in->number && !end)
		return err_errno(err, in->number, "read a line");
	if (fits)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "a line is longer than %zu bytes", line->max);
}

bool input_ready(struct input *in)
{
	struct pollfd p = {.fd = in->fd, .events = POLLIN};

	for (;;) {
		if (in->over || in->end - in->at == STEP || line_end(in))
			return true;
		if (poll(&p, 1, 0) <= 0)
			return false;
		fill(in);
	}
}
