/* power.c - a disk that can lose its power, preloaded into a node.
 *
 * Writes go to the live files as ever. A sync copies what was written since the
 * last one to the file's shadow; that is what would be there after a loss of
 * power, and the run kills the node and puts it in the place of the live file.
 * A name refers to another file, or to none, once that file or the directory
 * was synced. Nothing is ever synced for real: only a kill is survived.
 *
 * Sectors that were not synced may have reached the disk all the same, in any
 * order; see power.h. */
#include "power.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FDS = 1024, FILES = 256, SECTOR = 512, RANGES = 4096 };

struct range {
	off_t from, to;
};

/* A file by its inode. */
struct file {
	ino_t ino;
	char name[32];
	bool fresh; /* its shadow, if any, is of another file */
	struct range dirty[RANGES];
	int n;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *files[FILES], *of_fd[FDS];
static bool is_dir[FDS];
static const char *live, *shadow;
static struct power none, *power = &none;
static uint64_t chance = 1;

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_ftruncate)(int, off_t);

__attribute__((constructor)) static void begin(void)
{
	const char *control = getenv(POWER_CONTROL);
	int fd;

	*(void **)&real_open = dlsym(RTLD_NEXT, "open64");
	*(void **)&real_close = dlsym(RTLD_NEXT, "close");
	*(void **)&real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
	*(void **)&real_write = dlsym(RTLD_NEXT, "write");
	*(void **)&real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
	live = getenv(POWER_LIVE);
	shadow = getenv(POWER_SHADOW);
	fd = control ? real_open(control, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0 || !live || !shadow)
		return;
	power = mmap(NULL, sizeof(*power), PROT_READ | PROT_WRITE, MAP_SHARED,
		     fd, 0);
	real_close(fd);
	if (power == MAP_FAILED)
		abort();
	chance = (uint64_t)getpid() * 0x9e3779b97f4a7c15u + 1;
}

/* The name below the live directory, or NULL if it is none of ours. */
static const char *name_of(const char *path)
{
	size_t len = live ? strlen(live) : 0;
	size_t n;

	if (!len || strncmp(path, live, len) != 0 || path[len] != '/')
		return NULL;
	path += len + 1;
	n = strlen(path);
	if (strncmp(path, "node.db", 7) != 0 || n >= 32 || strchr(path, '/') ||
	    !strcmp(path + 7, "-shm") || !strcmp(path + 7, ".lock"))
		return NULL;
	return path;
}

static void shadow_path(char out[512], const char *name)
{
	snprintf(out, 512, "%s/%s", shadow, name);
}

static struct file *file_of(ino_t ino, const char *name)
{
	int i = 0;

	while (files[i] && files[i]->ino != ino)
		if (++i == FILES)
			abort();
	if (!files[i]) {
		files[i] = calloc(1, sizeof(*files[i]));
		files[i]->fresh = true;
		files[i]->ino = ino;
	}
	snprintf(files[i]->name, sizeof(files[i]->name), "%s", name);
	return files[i];
}

static void follow(int fd, const char *path, bool created)
{
	const char *name = name_of(path);
	struct stat st;

	if (fd < 0 || fd >= FDS || fstat(fd, &st))
		return;
	pthread_mutex_lock(&lock);
	of_fd[fd] =
		name && S_ISREG(st.st_mode) ? file_of(st.st_ino, name) : NULL;
	/* An inode that was freed and given again is another file. */
	if (of_fd[fd] && created)
		of_fd[fd]->fresh = true;
	is_dir[fd] = live && S_ISDIR(st.st_mode) && !strcmp(path, live);
	pthread_mutex_unlock(&lock);
}

static int open_it(const char *path, int flags, mode_t mode)
{
	struct stat st;
	bool created = (flags & O_CREAT) && stat(path, &st) != 0;
	int fd = real_open(path, flags, mode);

	follow(fd, path, created);
	return fd;
}

#define OPEN(name)                                 \
	int name(const char *path, int flags, ...) \
	{                                          \
		mode_t mode = 0;                   \
		va_list ap;                        \
                                                   \
		va_start(ap, flags);               \
		if (flags & (O_CREAT | O_TMPFILE)) \
			mode = va_arg(ap, mode_t); \
		va_end(ap);                        \
		return open_it(path, flags, mode); \
	}
OPEN(open)
OPEN(open64)

int close(int fd)
{
	if (fd >= 0 && fd < FDS) {
		pthread_mutex_lock(&lock);
		of_fd[fd] = NULL;
		is_dir[fd] = false;
		pthread_mutex_unlock(&lock);
	}
	return real_close(fd);
}

static struct file *followed(int fd)
{
	return fd >= 0 && fd < FDS ? of_fd[fd] : NULL;
}

/* ---- writes ---- */

static void add_range(struct file *f, off_t from, off_t to)
{
	struct range *last = f->n ? &f->dirty[f->n - 1] : NULL;

	if (last && from >= last->from && from <= last->to) {
		last->to = to > last->to ? to : last->to;
		return;
	}
	if (f->n == RANGES) { /* too many to tell apart: all between them */
		for (int i = 1; i < f->n; i++) {
			struct range *r = &f->dirty[i], *all = &f->dirty[0];

			all->from = r->from < all->from ? r->from : all->from;
			all->to = r->to > all->to ? r->to : all->to;
		}
		f->n = 1;
	}
	f->dirty[f->n++] = (struct range){from, to};
}

static bool leaks(void)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return (int)(chance % 100) < power->leak_percent;
}

static bool is_lied_about(const struct file *f)
{
	return power->ignores_sync == POWER_LIES ||
	       (power->ignores_sync == POWER_LIES_OF_WAL &&
		!strcmp(f->name, "node.db-wal"));
}

static void leak(struct file *f, const char *p, size_t len, off_t at)
{
	char path[512];
	int fd;

	shadow_path(path, f->name);
	if (!power->leak_percent || f->fresh || is_lied_about(f) ||
	    (fd = real_open(path, O_WRONLY | O_CLOEXEC)) < 0)
		return;
	for (size_t i = 0; i < len; i += SECTOR)
		if (leaks() &&
		    real_pwrite(fd, p + i, len - i < SECTOR ? len - i : SECTOR,
				at + (off_t)i) < 0)
			abort();
	real_close(fd);
}

static void written(int fd, const char *p, ssize_t n, off_t at)
{
	struct file *f;

	if (n <= 0)
		return;
	pthread_mutex_lock(&lock);
	f = followed(fd);
	if (f) {
		add_range(f, at, at + n);
		leak(f, p, (size_t)n, at);
	}
	pthread_mutex_unlock(&lock);
}

static bool refused(int fd)
{
	if (!followed(fd) || !power->write_errno)
		return false;
	errno = power->write_errno;
	return true;
}

ssize_t pwrite64(int fd, const void *p, size_t len, off_t at)
{
	ssize_t n = refused(fd) ? -1 : real_pwrite(fd, p, len, at);

	written(fd, p, n, at);
	return n;
}

ssize_t pwrite(int fd, const void *p, size_t len, off_t at)
{
	return pwrite64(fd, p, len, at);
}

ssize_t write(int fd, const void *p, size_t len)
{
	off_t at = followed(fd) ? lseek(fd, 0, SEEK_CUR) : 0;
	ssize_t n = refused(fd) ? -1 : real_write(fd, p, len);

	written(fd, p, n, at);
	return n;
}

int ftruncate64(int fd, off_t len)
{
	return refused(fd) ? -1 : real_ftruncate(fd, len);
}

int ftruncate(int fd, off_t len)
{
	return ftruncate64(fd, len);
}

/* ---- syncs ---- */

static void copy(int from, int to, off_t at, off_t end)
{
	char bytes[1 << 16];

	while (at < end) {
		size_t want = (size_t)(end - at);
		ssize_t n;

		if (want > sizeof(bytes))
			want = sizeof(bytes);
		n = pread(from, bytes, want, at);
		if (n <= 0)
			return;
		if (real_pwrite(to, bytes, (size_t)n, at) != n)
			abort();
		at += n;
	}
}

/* Another file takes the name, at once. */
static void copy_whole(int fd, const struct file *f, off_t size)
{
	char path[512], part[512];
	int to;

	shadow_path(path, f->name);
	shadow_path(part, "part");
	to = real_open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (to < 0)
		abort();
	copy(fd, to, 0, size);
	real_close(to);
	if (rename(part, path))
		abort();
}

static void copy_dirty(int fd, const struct file *f, off_t size)
{
	char path[512];
	int to;

	shadow_path(path, f->name);
	to = real_open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (to < 0)
		abort();
	for (int i = 0; i < f->n; i++)
		copy(fd, to, f->dirty[i].from, f->dirty[i].to);
	if (real_ftruncate(to, size))
		abort();
	real_close(to);
}

static void sync_file(int fd, struct file *f)
{
	struct stat st;

	if (is_lied_about(f) || fstat(fd, &st))
		return;
	if (f->fresh)
		copy_whole(fd, f, st.st_size);
	else
		copy_dirty(fd, f, st.st_size);
	f->fresh = false;
	f->n = 0;
}

/* Names that are gone are now gone for good. */
static void sync_dir(void)
{
	DIR *d = power->ignores_sync == POWER_LIES ? NULL : opendir(shadow);
	struct dirent *e;
	char path[512];

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%.31s", live, e->d_name);
		if (!name_of(path) || !access(path, F_OK))
			continue;
		shadow_path(path, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
}

static int sync_fd(int fd)
{
	struct timespec late = {power->sync_ms / 1000,
				power->sync_ms % 1000 * 1000000L};
	struct file *f;

	if (power->sync_ms)
		nanosleep(&late, NULL);
	pthread_mutex_lock(&lock);
	f = followed(fd);
	if (f)
		power->syncs++;
	if (f && power->sync_errno) {
		f->n = 0; /* as Linux does: the pages count as clean */
		errno = power->sync_errno;
		pthread_mutex_unlock(&lock);
		return -1;
	}
	if (f)
		sync_file(fd, f);
	else if (fd >= 0 && fd < FDS && is_dir[fd])
		sync_dir();
	pthread_mutex_unlock(&lock);
	return 0;
}

int fsync(int fd)
{
	return sync_fd(fd);
}

int fdatasync(int fd)
{
	return sync_fd(fd);
}
