#include "nn/cache.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rand.h"

/* The cache's folder, made where it does not exist; NULL without one. */
static char *cache_folder(void)
{
	const char *base = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	char *dir;

	if (base && base[0] == '/')
		dir = mem_fmt("%s/gfl", base);
	else if (home && home[0] == '/')
		dir = mem_fmt("%s/.cache/gfl", home);
	else
		return NULL;
	if (!file_make_dirs(dir, NULL))
		return dir;
	free(dir);
	return NULL;
}

static uint64_t hash_text(uint64_t h, const char *text)
{
	while (*text)
		h = rand_mix(h ^ (unsigned char)*text++);
	return h;
}

char *cache_path(const char *path, const struct stat *st, const char *salt)
{
	char *dir = cache_folder(), *real, *out;
	const char *slash;
	uint64_t h;

	if (!dir)
		return NULL;
	real = realpath(path, NULL);
	h = hash_text(0, real ? real : path);
	h = rand_mix(h ^ (uint64_t)st->st_size);
	h = rand_mix(h ^ (uint64_t)st->st_mtim.tv_sec);
	h = rand_mix(h ^ (uint64_t)st->st_mtim.tv_nsec);
	h = hash_text(h, salt);
	slash = strrchr(path, '/');
	out = mem_fmt("%s/%.64s-%016llx", dir, slash ? slash + 1 : path,
		      (unsigned long long)h);
	free(real);
	free(dir);
	return out;
}

void *cache_map(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *map = MAP_FAILED;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0) {
		*len = (size_t)st.st_size;
		map = mmap(NULL, *len, PROT_READ, MAP_SHARED, fd, 0);
	}
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}
