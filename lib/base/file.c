#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define TEMP ".tmp-"
enum { TEMP_CHANCE = 6 }; /* characters behind it */

static int write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The mode that open() would have given: 0666 without the umask. */
static mode_t usual_mode(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

static int write_synced(int fd, const struct file_part *parts, int n)
{
	for (int i = 0; i < n; i++)
		if (write_all(fd, parts[i].p, parts[i].len))
			return -1;
	return fchmod(fd, usual_mode()) || fsync(fd) ? -1 : 0;
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? mem_fmt("%.*s", (int)(slash - path) + 1, path)
		     : mem_str(".");
}

static int open_folder_of(const char *path)
{
	char *dir = folder_of(path);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	free(dir);
	return fd;
}

static int sync_folder_of(const char *path)
{
	int fd = open_folder_of(path);
	int rc = fd < 0 ? -1 : fsync(fd);

	if (fd >= 0)
		close(fd);
	return rc;
}

static bool is_temp_of(const char *name, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	size_t len = strlen(base);

	return !strncmp(name, base, len) &&
	       !strncmp(name + len, TEMP, strlen(TEMP)) &&
	       strlen(name) == len + strlen(TEMP) + TEMP_CHANCE;
}

void file_sweep(const char *path)
{
	int fd = open_folder_of(path);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	for (struct dirent *e; dir && (e = readdir(dir));)
		if (is_temp_of(e->d_name, path))
			unlinkat(fd, e->d_name, 0);
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

/* A device, a FIFO, or what a shell opened for us: replaced, it would be gone
 * for everybody. */
static bool is_stream(const char *path)
{
	struct stat st;

	if (!strncmp(path, "/dev/std", 8) || !strncmp(path, "/dev/fd/", 8) ||
	    !strncmp(path, "/proc/", 6))
		return true;
	return !stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

static int write_at(const char *path, int flags, const struct file_part *parts,
		    int n, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0666);
	int failed = fd < 0;

	for (int i = 0; i < n && !failed; i++)
		failed = write_all(fd, parts[i].p, parts[i].len);
	if (failed)
		err_sys(err, "write %s", path);
	if (fd >= 0 && close(fd) && !failed)
		failed = err_sys(err, "write %s", path);
	return failed ? (int)err->code : 0;
}

static int replace(const char *path, const struct file_part *parts, int n,
		   struct err *err)
{
	char *temp = mem_fmt("%s" TEMP "XXXXXX", path);
	int fd = mkostemp(temp, O_CLOEXEC);
	int failed;

	if (fd < 0) {
		free(temp);
		return err_sys(err, "write %s", path);
	}
	failed = write_synced(fd, parts, n);
	if (close(fd) && !failed)
		failed = -1;
	if (!failed)
		failed = rename(temp, path);
	if (failed) {
		err_sys(err, "write %s", path);
		unlink(temp);
		free(temp);
		return (int)err->code;
	}
	free(temp);
	if (sync_folder_of(path))
		return err_sys(err, "sync the folder of %s", path);
	return 0;
}

int file_replace(const char *path, const struct file_part *parts, int n,
		 struct err *err)
{
	return is_stream(path) ? write_at(path, 0, parts, n, err)
			       : replace(path, parts, n, err);
}

int file_replaceable(const char *path, struct err *err)
{
	struct stat st;
	char *folder;
	int failed;

	if (is_stream(path))
		return 0;
	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return err_errno(err, EISDIR, "write %s", path);
	folder = folder_of(path);
	failed = access(folder, W_OK | X_OK);
	if (failed)
		err_sys(err, "write %s", path);
	free(folder);
	return failed ? (int)err->code : 0;
}

int file_put(const char *path, const struct file_part *parts, int n,
	     struct err *err)
{
	return write_at(path, O_CREAT | O_TRUNC, parts, n, err);
}

int file_become(int fd, const char *from, const char *to, struct err *err)
{
	if (is_stream(to))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s is not a regular file", to);
	if (fsync(fd) || rename(from, to))
		return err_sys(err, "write %s", to);
	if (sync_folder_of(to))
		return err_sys(err, "sync the folder of %s", to);
	return 0;
}

static int read_all(int fd, char *p, size_t len)
{
	while (len) {
		ssize_t n = read(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n ? errno : EIO; /* it shrank meanwhile */
			return -1;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int check(const struct stat *st, const char *path, size_t max,
		 bool secret, struct err *err)
{
	if (!S_ISREG(st->st_mode))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s is not a regular file", path);
	if ((size_t)st->st_size > max)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has %lld bytes, expected at most %zu", path,
			       (long long)st->st_size, max);
	if (!secret || !(st->st_mode & (S_IRWXG | S_IRWXO)))
		return 0;
	err_set(err, ERR_INVALID_ARGUMENT,
		"%s is a secret, but others may use it (mode %04o)", path,
		(unsigned)st->st_mode & 07777);
	return err_hint(err, "chmod 600 %s", path);
}

static int read_file(char **out, size_t *len, const char *path, size_t max,
		     bool secret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO */
	struct stat st;
	int rc = 0;
	char *p;

	if (fd < 0)
		return err_sys(err, "open %s", path);
	if (fstat(fd, &st))
		rc = err_sys(err, "read %s", path);
	else
		rc = check(&st, path, max, secret, err);
	if (rc) {
		close(fd);
		return rc;
	}
	p = mem_zero((size_t)st.st_size + 1, 1);
	if (read_all(fd, p, (size_t)st.st_size)) {
		rc = err_sys(err, "read %s", path);
		free(p);
	} else {
		*out = p;
		*len = (size_t)st.st_size;
	}
	close(fd);
	return rc;
}

int file_read(char **out, size_t *len, const char *path, size_t max,
	      struct err *err)
{
	return read_file(out, len, path, max, false, err);
}

int file_read_secret(char **out, size_t *len, const char *path, size_t max,
		     struct err *err)
{
	return read_file(out, len, path, max, true, err);
}

int file_make_dirs(const char *dir, struct err *err)
{
	char *path = mem_str(dir);
	int rc = 0;

	for (char *p = path + 1;; p++) {
		char end = *p;

		if (end && end != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) && errno != EEXIST)
			rc = err_sys(err, "make directory %s", path);
		*p = end;
		if (rc || !end)
			break;
	}
	free(path);
	return rc;
}
