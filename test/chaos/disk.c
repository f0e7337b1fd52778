/* What becomes of the file system of a node. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "chaos.h"

static void must(bool well, const char *what)
{
	if (well)
		return;
	perror(what);
	exit(1);
}

/* Of a directory, what begins with "node.db". */
static void remove_all(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	must(d != NULL, dir);
	while ((e = readdir(d)))
		if (!strncmp(e->d_name, "node.db", 7))
			must(!unlinkat(dirfd(d), e->d_name, 0), e->d_name);
	closedir(d);
}

static void copy_file(const char *from, const char *to)
{
	char bytes[1 << 16];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n;

	must(in >= 0, from);
	must(out >= 0, to);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		must(write(out, bytes, (size_t)n) == n, to);
	must(!n, from);
	close(in);
	close(out);
}

/* What is in one becomes all that is in the other. */
static void copy_all(const char *from, const char *to)
{
	DIR *d = opendir(from);
	struct dirent *e;
	char old[600], new[600];

	must(d != NULL, from);
	remove_all(to);
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, "node.db", 7) != 0)
			continue;
		snprintf(old, sizeof(old), "%s/%s", from, e->d_name);
		snprintf(new, sizeof(new), "%s/%s", to, e->d_name);
		copy_file(old, new);
	}
	closedir(d);
}

void disk_lose_power(struct site *s)
{
	copy_all(s->shadow, s->dir);
}

void disk_wipe(struct site *s)
{
	remove_all(s->dir);
	remove_all(s->shadow);
}

/* ---- room ---- */

static void database(const struct site *s, char out[300])
{
	snprintf(out, 300, "%s/node.db", s->dir);
}

/* A log of SQLite's that has been long takes no more room for a while. It is
 * moved into the file here, without power.so, and durable. */
static void shorten(const struct site *s)
{
	char path[300];
	sqlite3 *db;

	database(s, path);
	must(!sqlite3_open(path, &db), path);
	sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
	sqlite3_close(db);
	copy_all(s->dir, s->shadow);
}

void disk_fill(struct site *s, long spare)
{
	char path[300], bytes[4096] = {1};
	struct statvfs v;
	int fd;

	shorten(s);
	snprintf(path, sizeof(path), "%s/filler", s->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	must(fd >= 0, path);
	while (!fstatvfs(fd, &v) &&
	       (long)(v.f_bavail * v.f_bsize) > spare + (long)sizeof(bytes))
		must(write(fd, bytes, sizeof(bytes)) > 0, path);
	close(fd);
}

void disk_free(struct site *s)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/filler", s->dir);
	must(!unlink(path), path);
}

void disk_read_only(struct site *s, bool yes)
{
	must(!mount(NULL, s->dir, NULL,
		    MS_REMOUNT | (yes ? MS_RDONLY : 0) | MS_NOSUID | MS_NODEV,
		    NULL),
	     s->dir);
}

/* ---- damage ---- */

/* Where the operation's number is in an entry in the file, or -1. */
static long find(const char *file, size_t len, int64_t op)
{
	uint8_t bytes[LEDGER_BYTES];
	const char *at;

	ledger_bytes(op, bytes);
	at = memmem(file, len, bytes, sizeof(bytes));
	return at ? at + LEDGER_MARK - file : -1;
}

static void flip_at(struct chaos *c, const char *path, char byte, long at)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	byte = (char)(byte ^ 1 << rand_below(&c->rand, 8));
	must(fd >= 0 && pwrite(fd, &byte, 1, at) == 1, path);
	close(fd);
}

static bool flip_in(struct chaos *c, const char *path)
{
	const struct ledger *h = &c->ledger;
	char *file;
	size_t len;
	struct err err;
	long at = -1;

	must(!file_read(&file, &len, path, SIZE_MAX, &err), err.msg);
	for (size_t i = h->nslots; at < 0 && i-- > 1;)
		if (h->slot[i].op && rand_below(&c->rand, 20) == 0)
			at = find(file, len, h->slot[i].op);
	if (at >= 0)
		flip_at(c, path, file[at], at);
	free(file);
	return at >= 0;
}

bool disk_flip(struct site *s)
{
	shorten(s);
	return disk_flip_running(s);
}

bool disk_flip_running(struct site *s)
{
	char path[300];

	database(s, path);
	return flip_in(s->c, path);
}

void disk_flip_anywhere(struct site *s)
{
	char path[300], *file;
	struct err err;
	size_t len;
	long at;

	shorten(s);
	database(s, path);
	must(!file_read(&file, &len, path, SIZE_MAX, &err), err.msg);
	at = (long)rand_below(&s->c->rand, len);
	flip_at(s->c, path, file[at], at);
	free(file);
}

/* One of the columns, each of which is needed. */
bool disk_flip_snapshot(struct site *s)
{
	static const char *const sets[] = {
		"config = CAST(substr(config, 1, 2) || x'%02x' ||"
		" substr(config, 4) AS BLOB)",
		"data = CAST(substr(data, 1, 40) || x'%02x' ||"
		" substr(data, 42) AS BLOB)",
		"idx = idx + 0x%02x",
		"term = term + 0x%02x",
	};
	char path[300], set[200], *sql;
	sqlite3 *db;
	int changed;

	snprintf(set, sizeof(set), sets[rand_below(&s->c->rand, 4)],
		 1 << rand_below(&s->c->rand, 8));
	sql = mem_fmt("UPDATE snapshot SET %s", set);
	database(s, path);
	must(!sqlite3_open(path, &db), path);
	must(!sqlite3_exec(db, sql, NULL, NULL, NULL), sql);
	changed = sqlite3_total_changes(db);
	sqlite3_close(db);
	free(sql);
	shorten(s);
	return changed > 0;
}

/* ---- check ---- */

static int on_row(void *arg, int n, char **text, char **names)
{
	(void)names;
	if (n > 0 && text[0] && strcmp(text[0], "ok") != 0)
		*(char **)arg = mem_str(text[0]);
	return 0;
}

/* What gfl-node says of its own file. */
static int check_itself(const struct site *s, const char *path, struct err *err)
{
	char *command = mem_fmt("%s/gfl-node --check --db %s >%s/check 2>&1",
				s->c->bin, path, s->c->dir);
	int status = system(command);

	free(command);
	return status ? err_set(err, ERR_DATA_LOSS,
				"node %d: gfl-node --check ends with %d", s->id,
				status)
		      : 0;
}

int disk_check(struct site *s, struct err *err)
{
	char path[300], *wrong = NULL;
	sqlite3 *db;
	int rc;

	database(s, path);
	must(!sqlite3_open(path, &db), path);
	rc = sqlite3_exec(db, "PRAGMA integrity_check", on_row, &wrong, NULL);
	if (rc || wrong)
		err_set(err, ERR_DATA_LOSS, "node %d: integrity_check: %s",
			s->id, wrong ? wrong : sqlite3_errmsg(db));
	sqlite3_close(db);
	free(wrong);
	return rc || wrong ? ERR_DATA_LOSS : check_itself(s, path, err);
}
