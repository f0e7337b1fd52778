/* memfile.h - bytes as a file that is in memory only, for loaders that take a
 * path. */
#ifndef FUZZ_MEMFILE_H
#define FUZZ_MEMFILE_H

#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

struct memfile {
	int fd;
	char path[64];
};

static inline void memfile_open(struct memfile *f, const void *p, size_t len)
{
	f->fd = memfd_create("input", MFD_CLOEXEC);
	FUZZ_CHECK(f->fd >= 0);
	FUZZ_CHECK(write(f->fd, p, len) == (ssize_t)len);
	snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", f->fd);
}

#endif
