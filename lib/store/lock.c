#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

struct lock {
	int fd;
};

/* A directory that is missing or may not be written is the usual reason. */
static int cannot_open(const char *path, struct err *err)
{
	int number = errno;
	char *copy = mem_str(path);
	const char *dir = dirname(copy);
	int rc;

	if (number == ENOENT)
		rc = err_set(err, ERR_NOT_FOUND,
			     "%s: the directory %s does not exist", path, dir);
	else if (number == EROFS || number == EACCES)
		rc = err_set(err, ERR_RESOURCE_EXHAUSTED,
			     "%s: the directory %s cannot be written%s", path,
			     dir, number == EROFS ? " (read-only)" : "");
	else
		rc = err_errno(err, number, "lock %s", path);
	free(copy);
	return rc;
}

static int held(int fd, const char *path, struct err *err)
{
	struct flock f = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (errno != EACCES && errno != EAGAIN)
		return err_sys(err, "lock %s", path);
	if (fcntl(fd, F_GETLK, &f) || f.l_type == F_UNLCK || f.l_pid <= 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "%s is in use by another process", path);
	return err_set(err, ERR_RESOURCE_EXHAUSTED,
		       "%s is in use by process %ld", path, (long)f.l_pid);
}

static bool is_directory(const char *path)
{
	size_t len = strlen(path);
	struct stat st;

	return (len && path[len - 1] == '/') ||
	       (!stat(path, &st) && S_ISDIR(st.st_mode));
}

int lock_open(struct lock **out, const char *path, struct err *err)
{
	struct flock f = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char *name;
	int fd, rc;

	if (is_directory(path))
		return err_errno(err, EISDIR, "open %s", path);
	name = mem_fmt("%s.lock", path);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	free(name);
	if (fd < 0)
		return cannot_open(path, err);
	if (fcntl(fd, F_SETLK, &f)) {
		rc = held(fd, path, err);
		close(fd);
		return rc;
	}
	*out = mem_zero(1, sizeof(**out));
	(*out)->fd = fd;
	return 0;
}

void lock_close(struct lock *l)
{
	if (!l)
		return;
	close(l->fd);
	free(l);
}
