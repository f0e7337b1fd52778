#include "nn/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zip.h>

#include "base/file.h"
#include "base/mem.h"
#include "nn/npy.h"

enum { STEP = 1 << 16 };

static const char suffix[] = ".npy";

struct npz {
	zip_t *zip;
	char *path;
	char **name;
	size_t n;
};

static int fault(const char *path, zip_error_t *why, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "%s: %s, expected an archive "
		       "of .npy files",
		       path, zip_error_strerror(why));
}

static char *bare_name(const char *name)
{
	const size_t len = name ? strlen(name) : 0;
	const size_t end = sizeof(suffix) - 1;

	if (len <= end || strcmp(name + len - end, suffix))
		return NULL;
	return mem_dup(name, len - end);
}

static void read_names(struct npz *z)
{
	z->n = (size_t)zip_get_num_entries(z->zip, 0);
	z->name = mem_zero(z->n + 1, sizeof(*z->name));
	for (size_t i = 0; i < z->n; i++)
		z->name[i] = bare_name(zip_get_name(z->zip, i, 0));
}

/* Takes zip. */
static int open_zip(struct npz **out, zip_t *zip, const char *path,
		    struct err *err)
{
	struct npz *z = mem_zero(1, sizeof(*z));

	z->zip = zip;
	z->path = mem_str(path);
	if (zip_get_num_entries(zip, 0) > NPZ_MEMBERS_MAX) {
		npz_close(z);
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has more than %d members", path,
			       NPZ_MEMBERS_MAX);
	}
	read_names(z);
	*out = z;
	return 0;
}

int npz_open(struct npz **out, const char *path, struct err *err)
{
	struct stat st;
	zip_error_t why;
	int code;
	zip_t *zip;

	if (stat(path, &st))
		return err_sys(err, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s is not a regular file", path);
	zip = zip_open(path, ZIP_RDONLY, &code);
	if (!zip) {
		zip_error_init_with_code(&why, code);
		fault(path, &why, err);
		zip_error_fini(&why);
		return (int)err->code;
	}
	return open_zip(out, zip, path, err);
}

int npz_open_bytes(struct npz **out, const void *p, size_t len,
		   const char *what, struct err *err)
{
	zip_source_t *s;
	zip_error_t why;
	zip_t *zip;

	zip_error_init(&why);
	s = zip_source_buffer_create(p, len, 0, &why);
	zip = s ? zip_open_from_source(s, ZIP_RDONLY, &why) : NULL;
	if (zip)
		return open_zip(out, zip, what, err);
	zip_source_free(s);
	fault(what, &why, err);
	zip_error_fini(&why);
	return (int)err->code;
}

void npz_close(struct npz *z)
{
	if (!z)
		return;
	zip_discard(z->zip);
	for (size_t i = 0; i < z->n; i++)
		free(z->name[i]);
	free(z->name);
	free(z->path);
	free(z);
}

size_t npz_count(const struct npz *z)
{
	return z->n;
}

const char *npz_name(const struct npz *z, size_t i)
{
	return z->name[i];
}

int npz_find(const struct npz *z, const char *name, size_t *i)
{
	for (*i = 0; *i < z->n; ++*i)
		if (z->name[*i] && !strcmp(z->name[*i], name))
			return 0;
	return ERR_NOT_FOUND;
}

/* Also behind the last byte: there the checksum is compared. By steps, because
 * the size is what the archive says. */
static int read_whole(zip_file_t *f, struct buf *b, size_t size)
{
	zip_int64_t n;
	char more;

	while (b->len < size) {
		size_t left = size - b->len;

		left = left < STEP ? left : STEP;
		n = zip_fread(f, buf_room(b, left), left);
		if (n <= 0)
			return -1;
		b->len += (size_t)n;
	}
	return zip_fread(f, &more, 1) == 0 ? 0 : -1;
}

int npz_read(struct npz *z, size_t i, char **out, size_t *len, struct err *err)
{
	struct buf b = BUF_INIT(0);
	zip_stat_t st;
	zip_file_t *f;
	int rc;

	if (zip_stat_index(z->zip, i, 0, &st) || !(st.valid & ZIP_STAT_SIZE))
		return fault(z->path, zip_get_error(z->zip), err);
	if (st.size > NPY_BYTES_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s, member %s: %llu bytes, expected at most "
			       "%zu",
			       z->path, st.name, (unsigned long long)st.size,
			       NPY_BYTES_MAX);
	f = zip_fopen_index(z->zip, i, 0);
	if (!f)
		return fault(z->path, zip_get_error(z->zip), err);
	rc = read_whole(f, &b, st.size)
		     ? err_set(err, ERR_INVALID_ARGUMENT,
			       "%s, member %s at byte %zu: %s, expected %llu "
			       "good bytes",
			       z->path, st.name, b.len, zip_file_strerror(f),
			       (unsigned long long)st.size)
		     : 0;
	zip_fclose(f);
	*len = b.len;
	buf_puts(&b, "");
	*out = rc ? NULL : buf_take(&b);
	buf_release(&b);
	return rc;
}

static int add_members(zip_t *zip, const struct npz_member *members, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *name = mem_fmt("%s%s", members[i].name, suffix);
		zip_source_t *s = zip_source_buffer(zip, members[i].bytes.p,
						    members[i].bytes.len, 0);
		zip_int64_t at =
			s ? zip_file_add(zip, name, s, ZIP_FL_ENC_UTF_8) : -1;

		free(name);
		if (s && at < 0)
			zip_source_free(s);
		/* numpy.savez does not compress either: floats do not get
		 * smaller */
		if (at < 0 || zip_set_file_compression(zip, (zip_uint64_t)at,
						       ZIP_CM_STORE, 0))
			return -1;
	}
	return 0;
}

/* What was written to an archive in memory. */
static int fetch(zip_source_t *s, struct buf *b, const char *what,
		 struct err *err)
{
	zip_int64_t n = 0;
	zip_stat_t st;
	size_t end;

	if (zip_source_stat(s, &st) || zip_source_open(s))
		return fault(what, zip_source_error(s), err);
	end = b->len + st.size;
	while (b->len < end) {
		n = zip_source_read(s, buf_room(b, end - b->len), end - b->len);
		if (n <= 0)
			break;
		b->len += (size_t)n;
	}
	zip_source_close(s);
	return b->len == end ? 0 : fault(what, zip_source_error(s), err);
}

int npz_pack(struct buf *b, const struct npz_member *members, size_t n,
	     const char *what, struct err *err)
{
	zip_source_t *s;
	zip_error_t why;
	zip_t *zip;
	int rc;

	zip_error_init(&why);
	s = zip_source_buffer_create(NULL, 0, 0, &why);
	zip = s ? zip_open_from_source(s, ZIP_CREATE | ZIP_TRUNCATE, &why)
		: NULL;
	if (!zip) {
		zip_source_free(s);
		return fault(what, &why, err);
	}
	zip_source_keep(s);
	if (add_members(zip, members, n) || zip_close(zip)) {
		rc = fault(what, zip_get_error(zip), err);
		zip_discard(zip);
	} else {
		rc = fetch(s, b, what, err);
	}
	zip_source_free(s);
	return rc;
}

int npz_write(const char *path, const struct npz_member *members, size_t n,
	      struct err *err)
{
	struct buf b = BUF_INIT(0);
	struct file_part part;
	int rc = npz_pack(&b, members, n, path, err);

	part = (struct file_part){b.p, b.len};
	if (!rc)
		rc = file_replace(path, &part, 1, err);
	buf_release(&b);
	return rc;
}
