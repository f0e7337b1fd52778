#include "faulty.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

/* Of all threads. */
static atomic_int what = FAULTY_IO;
static atomic_int_fast64_t at, count;
static atomic_bool sticky, full, hit;
static const char *only = "";

void faulty_set(enum faulty_what kind, int64_t n, bool stays, bool room)
{
	what = kind;
	at = n;
	sticky = stays;
	full = room;
	count = 0;
	hit = false;
}

void faulty_only(const char *name)
{
	only = name;
}

int64_t faulty_count(void)
{
	return count;
}

bool faulty_hit(void)
{
	return hit;
}

static bool fails(enum faulty_what kind)
{
	int64_t n, bad = at;

	if ((int)kind != what)
		return false;
	n = atomic_fetch_add(&count, 1) + 1;
	if (!bad || (sticky ? n < bad : n != bad))
		return false;
	hit = true;
	return true;
}

/* ---- files ---- */

static sqlite3_vfs *below;

struct file {
	sqlite3_file base;
	sqlite3_file *real;
	bool spared;
};

/* name is absolute, or NULL of a file without one. */
static bool spares(const char *name)
{
	const char *last = name ? strrchr(name, '/') : NULL;

	last = last ? last + 1 : name;
	return *only && (!last || strncmp(last, only, strlen(only)) != 0);
}

static bool file_fails(sqlite3_file *f)
{
	return !((struct file *)f)->spared && fails(FAULTY_IO);
}

static sqlite3_file *real(sqlite3_file *f)
{
	return ((struct file *)f)->real;
}

static int on_close(sqlite3_file *f)
{
	sqlite3_file *r = real(f);

	return r->pMethods ? r->pMethods->xClose(r) : SQLITE_OK;
}

static int on_read(sqlite3_file *f, void *p, int n, sqlite3_int64 from)
{
	if (file_fails(f))
		return SQLITE_IOERR_READ;
	return real(f)->pMethods->xRead(real(f), p, n, from);
}

/* One that fails may have written something. */
static int on_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 to)
{
	if (!file_fails(f))
		return real(f)->pMethods->xWrite(real(f), p, n, to);
	if (n > 1)
		real(f)->pMethods->xWrite(real(f), p, n / 2, to);
	return full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int on_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	if (file_fails(f))
		return SQLITE_IOERR_TRUNCATE;
	return real(f)->pMethods->xTruncate(real(f), size);
}

static int on_sync(sqlite3_file *f, int flags)
{
	(void)flags;
	return file_fails(f) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int on_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return real(f)->pMethods->xFileSize(real(f), size);
}

static int on_lock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xLock(real(f), level);
}

static int on_unlock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xUnlock(real(f), level);
}

static int on_reserved(sqlite3_file *f, int *out)
{
	return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

static int on_control(sqlite3_file *f, int op, void *arg)
{
	return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int on_sector(sqlite3_file *f)
{
	return real(f)->pMethods->xSectorSize(real(f));
}

static int on_device(sqlite3_file *f)
{
	return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int on_map(sqlite3_file *f, int page, int size, int extend,
		  void volatile **out)
{
	return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
}

static int on_shm_lock(sqlite3_file *f, int from, int n, int flags)
{
	return real(f)->pMethods->xShmLock(real(f), from, n, flags);
}

static void on_barrier(sqlite3_file *f)
{
	real(f)->pMethods->xShmBarrier(real(f));
}

static int on_unmap(sqlite3_file *f, int gone)
{
	return real(f)->pMethods->xShmUnmap(real(f), gone);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = on_close,
	.xRead = on_read,
	.xWrite = on_write,
	.xTruncate = on_truncate,
	.xSync = on_sync,
	.xFileSize = on_size,
	.xLock = on_lock,
	.xUnlock = on_unlock,
	.xCheckReservedLock = on_reserved,
	.xFileControl = on_control,
	.xSectorSize = on_sector,
	.xDeviceCharacteristics = on_device,
	.xShmMap = on_map,
	.xShmLock = on_shm_lock,
	.xShmBarrier = on_barrier,
	.xShmUnmap = on_unmap,
};

static int on_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags,
		   int *out)
{
	struct file *own = (struct file *)f;
	int rc;

	(void)v;
	f->pMethods = NULL;
	own->spared = spares(name);
	if (file_fails(f))
		return SQLITE_CANTOPEN;
	own->real = (sqlite3_file *)(own + 1);
	rc = below->xOpen(below, name, own->real, flags, out);
	if (own->real->pMethods)
		f->pMethods = &methods;
	return rc;
}

static int on_delete(sqlite3_vfs *v, const char *name, int sync)
{
	(void)v;
	if (!spares(name) && fails(FAULTY_IO))
		return SQLITE_IOERR_DELETE;
	return below->xDelete(below, name, sync);
}

/* ---- memory ---- */

static sqlite3_mem_methods memory;

static void *on_malloc(int n)
{
	return fails(FAULTY_MALLOC) ? NULL : memory.xMalloc(n);
}

static void *on_realloc(void *p, int n)
{
	return fails(FAULTY_MALLOC) ? NULL : memory.xRealloc(p, n);
}

void faulty_install(void)
{
	static sqlite3_vfs vfs;
	sqlite3_mem_methods own;

	sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory);
	own = memory;
	own.xMalloc = on_malloc;
	own.xRealloc = on_realloc;
	sqlite3_config(SQLITE_CONFIG_MALLOC, &own);
	/* Each request is one of malloc(), not a slot of a kept block. */
	sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
	sqlite3_initialize();
	below = sqlite3_vfs_find(NULL);
	vfs = *below;
	vfs.zName = "faulty";
	vfs.szOsFile = (int)sizeof(struct file) + below->szOsFile;
	vfs.xOpen = on_open;
	vfs.xDelete = on_delete;
	sqlite3_vfs_register(&vfs, 1);
}
