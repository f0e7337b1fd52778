/* store_snapshot.c - snapshots in SQLite, whole and in parts. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/mem.h"
#include "raft/store_impl.h"

enum { SUM = 32 }; /* bytes of a SHA-256 */

const char raft_snapshot_schema[] = "CREATE TABLE snapshot ("
				    " one INTEGER PRIMARY KEY CHECK (one = 1),"
				    " idx INTEGER NOT NULL,"
				    " term INTEGER NOT NULL,"
				    " config BLOB NOT NULL,"
				    " last_hash INTEGER NOT NULL,"
				    " data BLOB NOT NULL) STRICT;"
				    "CREATE TABLE part ("
				    " at INTEGER PRIMARY KEY,"
				    " idx INTEGER NOT NULL,"
				    " term INTEGER NOT NULL,"
				    " len INTEGER NOT NULL,"
				    " config BLOB NOT NULL,"
				    " data BLOB NOT NULL) STRICT;";

/* ---- images ---- */

void raft_image_release(struct raft_image *image)
{
	free((void *)image->of.conf);
	free(image->bytes);
	*image = (struct raft_image){0};
}

static void sum_of(const void *p, size_t len, unsigned char sum[SUM])
{
	if (!EVP_Digest(p, len, sum, NULL, EVP_sha256(), NULL))
		abort();
}

void raft_image_fill(struct raft_image *image, const void *p, size_t len)
{
	image->got = image->of.len = (int64_t)(SUM + len);
	image->bytes = mem_zero(1, SUM + len);
	if (len)
		memcpy(image->bytes + SUM, p, len);
	sum_of(image->bytes + SUM, len, (unsigned char *)image->bytes);
}

int raft_image_open(const struct raft_image *image, const void **p, size_t *len,
		    struct err *err)
{
	unsigned char sum[SUM];

	if (image->got < SUM || image->got != image->of.len)
		return err_set(err, ERR_DATA_LOSS,
			       "the snapshot at entry %lld has %lld bytes of "
			       "%lld",
			       (long long)image->of.index,
			       (long long)image->got, (long long)image->of.len);
	*p = image->bytes + SUM;
	*len = (size_t)image->got - SUM;
	sum_of(*p, *len, sum);
	if (memcmp(sum, image->bytes, SUM) != 0)
		return err_set(err, ERR_DATA_LOSS,
			       "the snapshot at entry %lld does not have its "
			       "checksum",
			       (long long)image->of.index);
	return 0;
}

/* ---- reading ---- */

static void blob_of(sqlite3_stmt *s, int at, const void **p, size_t *len)
{
	*len = (size_t)sqlite3_column_bytes(s, at);
	*p = mem_dup(sqlite3_column_blob(s, at), *len);
}

/* Of the columns idx, term, last_hash and config. */
static uint32_t crc_of_image(const struct raft_snapshot *of, int64_t hash)
{
	const int64_t head[] = {of->index, of->term, hash,
				(int64_t)of->conf_len};

	return crc32c_of(crc32c_of(0, head, sizeof(head)), of->conf,
			 of->conf_len);
}

/* Of all columns of a part but len, which must be that of the others. */
static uint32_t crc_of_part(const struct raft_piece *p)
{
	const int64_t head[] = {p->offset, p->of.index, p->of.term,
				(int64_t)p->of.conf_len, (int64_t)p->len};
	uint32_t crc = crc32c_of(0, head, sizeof(head));

	crc = crc32c_of(crc, p->of.conf, p->of.conf_len);
	return crc32c_of(crc, p->data, p->len);
}

/* Columns of the snapshot, all but its bytes. */
#define SNAPSHOT_HEAD "SELECT idx, term, last_hash, config, crc"

/* of is borrowed from s. */
static int read_head(struct db *db, sqlite3_stmt *s, struct raft_snapshot *of,
		     uint32_t *hash, struct err *err)
{
	*of = (struct raft_snapshot){
		.index = sqlite3_column_int64(s, 0),
		.term = sqlite3_column_int64(s, 1),
		.conf = sqlite3_column_blob(s, 3),
		.conf_len = (size_t)sqlite3_column_bytes(s, 3),
	};
	*hash = (uint32_t)sqlite3_column_int64(s, 2);
	return store_check_crc(db, s, 4,
			       crc_of_image(of, sqlite3_column_int64(s, 2)),
			       "the row of the snapshot", err);
}

static int read_image(struct db *db, sqlite3_stmt *s, struct raft_image *out,
		      struct err *err)
{
	const void *bytes, *p;
	uint32_t hash;
	size_t len;
	int rc = read_head(db, s, &out->of, &hash, err);

	out->of.conf = mem_dup(out->of.conf, out->of.conf_len);
	blob_of(s, 5, &bytes, &len);
	out->bytes = (char *)bytes;
	out->got = out->of.len = (int64_t)len;
	if (!rc && raft_image_open(out, &p, &len, err))
		rc = err_wrap(err, "%s is damaged", db_path(db));
	if (rc)
		raft_image_release(out);
	return rc;
}

int raft_store_image(struct db *db, struct raft_image *out, struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(db, &s, SNAPSHOT_HEAD ", data FROM snapshot", err);

	*out = (struct raft_image){0};
	if (!rc)
		rc = db_next(db, s, &row, err);
	if (rc || !row)
		return rc;
	rc = read_image(db, s, out, err);
	db_done(s);
	return rc;
}

/* The piece of the row, borrowed from s. */
static bool read_part(sqlite3_stmt *s, struct raft_piece *p)
{
	*p = (struct raft_piece){
		.offset = sqlite3_column_int64(s, 0),
		.of.index = sqlite3_column_int64(s, 1),
		.of.term = sqlite3_column_int64(s, 2),
		.of.len = sqlite3_column_int64(s, 3),
		.of.conf = sqlite3_column_blob(s, 4),
		.of.conf_len = (size_t)sqlite3_column_bytes(s, 4),
		.data = sqlite3_column_blob(s, 5),
		.len = (size_t)sqlite3_column_bytes(s, 5),
	};
	return sqlite3_column_type(s, 6) == SQLITE_NULL ||
	       sqlite3_column_int64(s, 6) == crc_of_part(p);
}

/* The next part. What is damaged or does not follow is as good as not there:
 * it comes again. */
static bool add_part(sqlite3_stmt *s, struct raft_image *out)
{
	struct raft_piece p;

	if (!read_part(s, &p) || p.offset != out->got || p.of.len < 0 ||
	    p.of.len > RAFT_STORE_IMAGE_MAX)
		return false;
	if (!out->of.index) {
		out->of = p.of;
		out->of.conf = mem_dup(p.of.conf, p.of.conf_len);
		out->bytes = mem_zero(1, (size_t)p.of.len + 1);
	}
	if (p.of.index != out->of.index || p.of.term != out->of.term ||
	    p.of.len != out->of.len || out->got + (int64_t)p.len > p.of.len)
		return false;
	if (p.len)
		memcpy(out->bytes + out->got, p.data, p.len);
	out->got += (int64_t)p.len;
	return true;
}

int raft_store_parts(struct db *db, struct raft_image *out, struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(db, &s,
			 "SELECT at, idx, term, len, config, data, crc"
			 " FROM part ORDER BY at",
			 err);

	*out = (struct raft_image){0};
	if (rc)
		return rc;
	while (!(rc = db_next(db, s, &row, err)) && row)
		if (!add_part(s, out))
			break;
	db_done(s);
	return rc;
}

int store_sum_image(struct db *db, struct err *err)
{
	struct raft_snapshot of;
	sqlite3_stmt *s;
	int64_t crc;
	uint32_t hash;
	bool row;
	int rc = db_stmt(db, &s, SNAPSHOT_HEAD " FROM snapshot", err);

	if (!rc)
		rc = db_next(db, s, &row, err);
	if (rc || !row)
		return rc;
	rc = read_head(db, s, &of, &hash, err);
	crc = crc_of_image(&of, hash);
	db_done(s);
	if (rc || db_stmt(db, &s, "UPDATE snapshot SET crc = ?", err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, crc);
	return db_run(db, s, err);
}

int raft_store_base(struct db *db, struct raft_tail *base, struct err *err)
{
	struct raft_snapshot of;
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(db, &s, SNAPSHOT_HEAD " FROM snapshot", err);

	*base = (struct raft_tail){0};
	if (!rc)
		rc = db_next(db, s, &row, err);
	if (rc || !row)
		return rc;
	rc = read_head(db, s, &of, &base->hash, err);
	base->index = of.index;
	base->term = of.term;
	db_done(s);
	return rc;
}

int store_image_conf(struct db *db, struct store_conf *to, struct err *err)
{
	struct raft_snapshot of;
	sqlite3_stmt *s;
	uint32_t hash;
	bool row;
	int rc = db_stmt(db, &s, SNAPSHOT_HEAD " FROM snapshot", err);

	if (!rc)
		rc = db_next(db, s, &row, err);
	if (rc || !row)
		return rc;
	rc = read_head(db, s, &of, &hash, err);
	if (!rc)
		store_conf_take(to, of.index, of.conf, of.conf_len);
	db_done(s);
	return rc;
}

/* ---- writing ---- */

static void bind_blob(sqlite3_stmt *s, int at, const void *p, size_t len)
{
	sqlite3_bind_blob64(s, at, len ? p : "", len, SQLITE_STATIC);
}

static int put(struct db *db, const struct raft_image *image, uint32_t hash,
	       struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "INSERT OR REPLACE INTO snapshot"
			 " (one, idx, term, config, last_hash, data, crc)"
			 " VALUES (1, ?, ?, ?, ?, ?, ?)",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, image->of.index);
	sqlite3_bind_int64(s, 2, image->of.term);
	bind_blob(s, 3, image->of.conf, image->of.conf_len);
	sqlite3_bind_int64(s, 4, hash);
	bind_blob(s, 5, image->bytes, (size_t)image->got);
	sqlite3_bind_int64(s, 6, crc_of_image(&image->of, hash));
	return db_run(db, s, err);
}

int raft_store_put_image(struct db *db, const struct raft_image *image,
			 int64_t first, struct err *err)
{
	struct raft_tail at;
	sqlite3_stmt *s;

	if (store_end_at(db, image->of.index, &at, err) ||
	    put(db, image, at.index == image->of.index ? at.hash : 0, err) ||
	    store_conf_base(db, &image->of, err) ||
	    db_stmt(db, &s, "DELETE FROM log WHERE idx < ?", err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, first);
	return db_run(db, s, err);
}

static int put_part(struct db *db, const struct raft_piece *p, struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "INSERT INTO part"
			 " (at, idx, term, len, config, data, crc)"
			 " VALUES (?, ?, ?, ?, ?, ?, ?)",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, p->offset);
	sqlite3_bind_int64(s, 2, p->of.index);
	sqlite3_bind_int64(s, 3, p->of.term);
	sqlite3_bind_int64(s, 4, p->of.len);
	bind_blob(s, 5, p->of.conf, p->of.conf_len);
	bind_blob(s, 6, p->data, p->len);
	sqlite3_bind_int64(s, 7, crc_of_part(p));
	return db_run(db, s, err);
}

/* All parts are there: they become the snapshot. Its checksum stands for that
 * of the entries, which other members have. */
static int complete(struct db *db, struct raft_tail *tail, struct err *err)
{
	struct raft_image image;
	const void *p;
	size_t len;
	int rc = raft_store_parts(db, &image, err);

	if (!rc)
		rc = raft_image_open(&image, &p, &len, err);
	if (!rc) {
		tail->index = image.of.index;
		tail->term = image.of.term;
		tail->hash = crc32c_of(0, image.bytes, SUM);
		rc = put(db, &image, tail->hash, err);
	}
	if (!rc)
		rc = db_exec(db,
			     "DELETE FROM log; DELETE FROM part;"
			     "DELETE FROM conf",
			     err);
	if (!rc)
		rc = store_conf_base(db, &image.of, err);
	raft_image_release(&image);
	return rc;
}

/* Rows from its place on are of another snapshot, or damaged. */
static int make_room(struct db *db, int64_t offset, struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s, "DELETE FROM part WHERE at >= ?", err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, offset);
	return db_run(db, s, err);
}

int store_piece(struct db *db, const struct raft_piece *p,
		struct raft_tail *tail, struct err *err)
{
	int rc = make_room(db, p->offset, err);

	if (!rc)
		rc = put_part(db, p, err);
	if (!rc && p->complete)
		rc = complete(db, tail, err);
	return rc;
}
