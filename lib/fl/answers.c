#include "fl/answers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/file.h"
#include "base/mem.h"
#include "fl/theta.h"
#include "wire/utf8.h"

static void remove_all(const struct answers *a)
{
	DIR *dir = opendir(a->dir);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (strstr(e->d_name, ".npz"))
			unlinkat(dirfd(dir), e->d_name, 0);
	if (dir)
		closedir(dir);
}

int answers_open(struct answers *a, const char *dir, struct err *err)
{
	if (file_make_dirs(dir, err))
		return (int)err->code;
	*a = (struct answers){.dir = mem_str(dir)};
	remove_all(a);
	return 0;
}

void answers_close(struct answers *a)
{
	if (!a->dir)
		return;
	remove_all(a);
	rmdir(a->dir);
	free(a->dir);
	buf_release(&a->lines);
	*a = (struct answers){0};
}

void answers_reset(struct answers *a)
{
	a->n = a->failed = 0;
	buf_reset(&a->lines);
}

static char *path_of(const struct answers *a, size_t i)
{
	return mem_fmt("%s/%zu.npz", a->dir, i);
}

/* Files are used again, as ext4 takes its time to give away what was just
 * deleted. */
void answers_trim(struct answers *a)
{
	char *path;

	for (; a->files > a->n; a->files--) {
		path = path_of(a, a->files);
		unlink(path);
		free(path);
	}
}

/* Cut off at the end, since ext4 would write what is truncated first to the disk
 * at once. */
static int write_file(const char *path, const struct buf *b, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	size_t at = 0;
	ssize_t n = 0;

	while (fd >= 0 && at < b->len && n >= 0) {
		n = write(fd, b->p + at, b->len - at);
		at += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0 && n >= 0)
		n = ftruncate(fd, (off_t)b->len);
	if (fd < 0 || n < 0)
		err_sys(err, "write %s", path);
	if (fd >= 0)
		close(fd);
	return fd < 0 || n < 0 ? (int)err->code : 0;
}

static int keep(struct answers *a, const TrainResult *r, json_t *row,
		struct err *err)
{
	struct buf npz = BUF_INIT(0);
	char *path = path_of(a, a->n + 1);
	int rc = theta_pack(&npz, r->theta, r->n_theta, err);

	if (!rc)
		rc = write_file(path, &npz, err);
	if (a->files < a->n + 1)
		a->files = a->n + 1;
	a->n += !rc;
	json_object_set_new(row, "arrays", json_integer((int)r->n_theta));
	json_object_set_new(row, "file", json_string(path));
	buf_release(&npz);
	free(path);
	return rc;
}

/* The sentence may have been cut within a character. */
static void add_error(json_t *row, const struct err *err)
{
	struct buf text = BUF_INIT(0);

	utf8_put(&text, err->msg, strlen(err->msg));
	json_object_set_new(row, "code", json_string(err_name(err->code)));
	json_object_set_new(row, "error", json_string(text.p));
	buf_release(&text);
}

static void add_line(struct answers *a, json_t *row)
{
	char *text = json_dumps(row, JSON_COMPACT);

	if (!text)
		abort();
	buf_puts(&a->lines, text);
	buf_putc(&a->lines, '\n');
	free(text);
}

int answers_add(struct answers *a, const struct err *why,
		const struct run_answer *what, struct err *err)
{
	json_t *row = json_pack(
		"{s:I,s:s,s:f,s:i}", "participant", (json_int_t)what->who,
		"state", why ? "failed" : "answered", "seconds",
		(double)what->took_ms / 1000, "tries", what->tries);
	int rc = 0;

	if (why) {
		add_error(row, why);
		a->failed++;
	} else {
		rc = keep(a, what->msg->train_result, row, err);
	}
	if (!rc)
		add_line(a, row);
	json_decref(row);
	return rc;
}
