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

static int read_image(sqlite3_stmt *s, struct raft_image *out, struct err *err)
{
	const void *bytes, *p;
	size_t len;

	out->of.index = sqlite3_column_int64(s, 0);
	out->of.term = sqlite3_column_int64(s, 1);
	blob_of(s, 2, &out->of.conf, &out->of.conf_len);
	blob_of(s, 3, &bytes, &len);
	out->bytes = (char *)bytes;
	out->got = out->of.len = (int64_t)len;
	if (!raft_image_open(out, &p, &len, err))
		return 0;
	raft_image_release(out);
	return ERR_DATA_LOSS;
}

int raft_store_image(struct db *db, struct raft_image *out, struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(db, &s, "SELECT idx, term, config, data FROM snapshot",
			 err);

	*out = (struct raft_image){0};
	if (!rc)
		rc = db_next(db, s, &row, err);
	if (rc || !row)
		return rc;
	rc = read_image(s, out, err);
	db_done(s);
	return rc;
}

/* The next part; what does not follow is as good as not there. */
static bool add_part(sqlite3_stmt *s, struct raft_image *out)
{
	size_t len = (size_t)sqlite3_column_bytes(s, 5);
	int64_t whole = sqlite3_column_int64(s, 3);

	if (!out->of.index) {
		out->of.index = sqlite3_column_int64(s, 1);
		out->of.term = sqlite3_column_int64(s, 2);
		out->of.len = whole;
		blob_of(s, 4, &out->of.conf, &out->of.conf_len);
		out->bytes = mem_zero(1, (size_t)whole + 1);
	}
	if (sqlite3_column_int64(s, 0) != out->got || whole != out->of.len ||
	    out->got + (int64_t)len > whole)
		return false;
	if (len)
		memcpy(out->bytes + out->got, sqlite3_column_blob(s, 5), len);
	out->got += (int64_t)len;
	return true;
}

int raft_store_parts(struct db *db, struct raft_image *out, struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(db, &s,
			 "SELECT at, idx, term, len, config, data FROM part"
			 " ORDER BY at",
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

int raft_store_base(struct db *db, int64_t *index, uint32_t *hash,
		    struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(db, &s, "SELECT idx, last_hash FROM snapshot", err);

	*index = 0;
	*hash = 0;
	if (!rc)
		rc = db_next(db, s, &row, err);
	if (rc || !row)
		return rc;
	*index = sqlite3_column_int64(s, 0);
	*hash = (uint32_t)sqlite3_column_int64(s, 1);
	db_done(s);
	return 0;
}

int store_hash(struct db *db, int64_t index, uint32_t *hash, struct err *err)
{
	int64_t base;
	sqlite3_stmt *s;
	bool row;
	int rc = raft_store_base(db, &base, hash, err);

	if (rc || base == index)
		return rc;
	*hash = 0;
	rc = db_stmt(db, &s, "SELECT crc FROM log WHERE idx = ?", err);
	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, index);
	rc = db_next(db, s, &row, err);
	if (rc || !row)
		return rc;
	*hash = (uint32_t)sqlite3_column_int64(s, 0);
	db_done(s);
	return 0;
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
			 " (one, idx, term, config, last_hash, data)"
			 " VALUES (1, ?, ?, ?, ?, ?)",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, image->of.index);
	sqlite3_bind_int64(s, 2, image->of.term);
	bind_blob(s, 3, image->of.conf, image->of.conf_len);
	sqlite3_bind_int64(s, 4, hash);
	bind_blob(s, 5, image->bytes, (size_t)image->got);
	return db_run(db, s, err);
}

int raft_store_put_image(struct db *db, const struct raft_image *image,
			 int64_t first, struct err *err)
{
	uint32_t hash;
	sqlite3_stmt *s;

	if (store_hash(db, image->of.index, &hash, err) ||
	    put(db, image, hash, err) ||
	    db_stmt(db, &s, "DELETE FROM log WHERE idx < ?", err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, first);
	return db_run(db, s, err);
}

static int put_part(struct db *db, const struct raft_piece *p, struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "INSERT INTO part (at, idx, term, len, config, data)"
			 " VALUES (?, ?, ?, ?, ?, ?)",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, p->offset);
	sqlite3_bind_int64(s, 2, p->of.index);
	sqlite3_bind_int64(s, 3, p->of.term);
	sqlite3_bind_int64(s, 4, p->of.len);
	bind_blob(s, 5, p->of.conf, p->of.conf_len);
	bind_blob(s, 6, p->data, p->len);
	return db_run(db, s, err);
}

/* All parts are there: they become the snapshot. Its checksum stands for that
 * of the entries, which other members have. */
static int complete(struct db *db, uint32_t *last, struct err *err)
{
	struct raft_image image;
	const void *p;
	size_t len;
	int rc = raft_store_parts(db, &image, err);

	if (!rc)
		rc = raft_image_open(&image, &p, &len, err);
	if (!rc) {
		*last = crc32c_of(0, image.bytes, SUM);
		rc = put(db, &image, *last, err);
	}
	if (!rc)
		rc = db_exec(db, "DELETE FROM log; DELETE FROM part", err);
	raft_image_release(&image);
	return rc;
}

int store_piece(struct db *db, const struct raft_piece *p, uint32_t *last,
		struct err *err)
{
	int rc = p->offset ? 0 : db_exec(db, "DELETE FROM part", err);

	if (!rc)
		rc = put_part(db, p, err);
	if (!rc && p->complete)
		rc = complete(db, last, err);
	return rc;
}
