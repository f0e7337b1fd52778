#include "nn/idx.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "nn/cache.h"

enum { HEAD_MAX = 4 + 4 * IDX_DIMS, TYPE_U8 = 0x08 };

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static int too_short(const char *path, size_t len, size_t expected,
		     struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "%s ends at byte %zu, expected %zu bytes", path, len,
		       expected);
}

/* Read dims, dim, at and len from the first len bytes. */
static int parse_head(struct idx *idx, const char *path, const uint8_t *p,
		      size_t len, struct err *err)
{
	if (len < 4)
		return too_short(path, len, 4, err);
	if (p[0] || p[1] || p[2] != TYPE_U8 || p[3] < 1 || p[3] > IDX_DIMS)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s at byte 0: magic %02x%02x%02x%02x, expected "
			       "000008 and 01 to 04 (IDX of unsigned bytes)",
			       path, p[0], p[1], p[2], p[3]);
	idx->dims = p[3];
	idx->at = 4 + 4 * (size_t)idx->dims;
	idx->len = 1;
	if (len < idx->at)
		return too_short(path, len, idx->at, err);
	for (int i = 0; i < idx->dims; i++) {
		idx->dim[i] = be32(p + 4 + 4 * i);
		if (!idx->dim[i] || idx->dim[i] > IDX_BYTES_MAX / idx->len)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "%s at byte %d: dimension %u, expected "
				       "1 or more and at most %zu bytes in all",
				       path, 4 + 4 * i, idx->dim[i],
				       IDX_BYTES_MAX);
		idx->len *= idx->dim[i];
	}
	return 0;
}

/* Take the mapping if it is a whole IDX file; it stays the caller's if not. */
static int take_map(struct idx *idx, const char *path, void *map, size_t len,
		    struct err *err)
{
	struct idx got = {.map = map, .map_len = len};

	if (parse_head(&got, path, map, len, err))
		return (int)err->code;
	if (len < got.at + got.len)
		return too_short(path, len, got.at + got.len, err);
	if (len > got.at + got.len)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has %zu bytes, expected %zu: its dimensions "
			       "and its length disagree",
			       path, len, got.at + got.len);
	got.p = (const uint8_t *)map + got.at;
	*idx = got;
	return 0;
}

static int map_file(struct idx *idx, const char *path, int fd, size_t len,
		    struct err *err)
{
	void *map;

	if (!len)
		return too_short(path, 0, 4, err);
	map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return err_sys(err, "map %s", path);
	if (take_map(idx, path, map, len, err)) {
		munmap(map, len);
		return (int)err->code;
	}
	return 0;
}

/* What zlib says of a stream that gave got bytes of expected. */
static int gz_fault(const char *path, gzFile gz, size_t got, size_t expected,
		    struct err *err)
{
	int code;
	const char *why = gzerror(gz, &code);

	if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s ends at byte %zu of what it unpacks to, "
			       "expected %zu bytes",
			       path, got, expected);
	if (code == Z_ERRNO)
		return err_sys(err, "read %s", path);
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "%s at byte %zu of what it unpacks to: %s, expected "
		       "gzip data",
		       path, got, why);
}

/* Read exactly len bytes; *got says how many came, on failure too. */
static int gz_read(gzFile gz, uint8_t *p, size_t len, size_t *got)
{
	*got = 0;
	while (*got < len) {
		size_t left = len - *got;
		int n = gzread(gz, p + *got,
			       left > 1 << 20 ? 1 << 20 : (unsigned)left);

		if (n <= 0)
			return -1;
		*got += (size_t)n;
	}
	return 0;
}

/* Behind the last byte must come a good end of stream, checksum included. */
static int gz_end(const char *path, gzFile gz, size_t len, struct err *err)
{
	uint8_t more;
	int n = gzread(gz, &more, 1), code;

	gzerror(gz, &code);
	if (n > 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s at byte %zu of what it unpacks to: more "
			       "data, expected its end",
			       path, len);
	if (n == 0 && code == Z_BUF_ERROR)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s ends early, expected gzip's checksum behind "
			       "byte %zu of what it unpacks to",
			       path, len);
	if (n < 0)
		return gz_fault(path, gz, len, len, err);
	return 0;
}

/* Unpack into memory of our own; what it should hold is in its head. */
static int unpack(struct idx *idx, const char *path, gzFile gz, struct err *err)
{
	uint8_t head[HEAD_MAX] = {0};
	struct idx want;
	size_t got, rest, total;
	uint8_t *map;
	int rc;

	if (gz_read(gz, head, 4, &got))
		return gz_fault(path, gz, got, 4, err);
	rest = head[3] <= IDX_DIMS ? 4 * (size_t)head[3] : 0;
	if (gz_read(gz, head + 4, rest, &got))
		return gz_fault(path, gz, 4 + got, 4 + rest, err);
	if (parse_head(&want, path, head, sizeof(head), err))
		return (int)err->code;
	total = want.at + want.len;
	map = mmap(NULL, total, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return err_sys(err, "memory for %s", path);
	memcpy(map, head, want.at);
	if (gz_read(gz, map + want.at, want.len, &got))
		rc = gz_fault(path, gz, want.at + got, total, err);
	else
		rc = gz_end(path, gz, total, err);
	if (!rc)
		rc = take_map(idx, path, map, total, err);
	if (rc)
		munmap(map, total);
	return rc;
}

/* Map the cached file; any fault means that there is none. */
static int cache_open(struct idx *idx, const char *cache)
{
	struct err err;
	size_t len;
	void *map = cache_map(cache, &len);

	if (!map)
		return -1;
	if (!take_map(idx, cache, map, len, &err))
		return 0;
	munmap(map, len);
	return -1;
}

/* Put the unpacked file into the cache and map it from there; where that
 * fails the private copy serves. */
static void cache_put(struct idx *idx, const char *cache)
{
	const struct file_part part = {idx->map, idx->map_len};
	struct idx shared;
	struct err err;

	if (file_replace(cache, &part, 1, &err) || cache_open(&shared, cache))
		return;
	idx_close(idx);
	*idx = shared;
}

static int open_gz(struct idx *idx, const char *path, int fd,
		   const struct stat *st, struct err *err)
{
	char *cache = cache_path(path, st, "");
	gzFile gz;
	int rc;

	if (cache && !cache_open(idx, cache)) {
		free(cache);
		return 0;
	}
	gz = gzdopen(dup(fd), "rb");
	rc = gz ? unpack(idx, path, gz, err) : err_sys(err, "open %s", path);
	if (gz)
		gzclose(gz);
	if (!rc && cache)
		cache_put(idx, cache);
	free(cache);
	return rc;
}

int idx_open(struct idx *idx, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t magic[2];
	struct stat st;
	int rc;

	if (fd < 0)
		return err_sys(err, "open %s", path);
	if (fstat(fd, &st))
		rc = err_sys(err, "open %s", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "%s is not a regular file", path);
	else if (pread(fd, magic, 2, 0) == 2 && magic[0] == 0x1f &&
		 magic[1] == 0x8b)
		rc = open_gz(idx, path, fd, &st, err);
	else
		rc = map_file(idx, path, fd, (size_t)st.st_size, err);
	close(fd);
	return rc;
}

void idx_close(struct idx *idx)
{
	if (idx->map)
		munmap(idx->map, idx->map_len);
	*idx = (struct idx){0};
}
