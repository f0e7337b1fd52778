#include "fl/answers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "fl/theta.h"

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
	*a = (struct answers){0};
}

void answers_reset(struct answers *a)
{
	a->n = 0;
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

int answers_keep(struct answers *a, const TrainResult *r, char **path,
		 struct err *err)
{
	struct buf npz = BUF_INIT(0);
	int rc = theta_pack(&npz, r->theta, r->n_theta, err);

	*path = path_of(a, a->n + 1);
	if (!rc)
		rc = write_file(*path, &npz, err);
	if (a->files < a->n + 1)
		a->files = a->n + 1;
	a->n += !rc;
	buf_release(&npz);
	if (!rc)
		return 0;
	free(*path);
	*path = NULL;
	return rc;
}
