/* faulty.h - SQLite with a disk, or an allocator, that fails when told. */
#ifndef TEST_FAULTY_H
#define TEST_FAULTY_H

#include <stdbool.h>
#include <stdint.h>

/* Stand between SQLite and its file system and malloc(), from now on in this
 * process; before its first use. Nothing is synced: a process that dies here
 * takes no power along. */
void faulty_install(void);

enum faulty_what {
	FAULTY_IO,     /* open, read, write, truncate, sync, delete */
	FAULTY_MALLOC, /* and realloc */
};

/* The n-th of these from now on (1: the next) fails, and all after it if
 * sticky; 0: none does. Writes fail for lack of room if full, else with an I/O
 * error. */
void faulty_set(enum faulty_what what, int64_t n, bool sticky, bool full);

/* Only operations on files whose name begins so fail, and count; "": all. */
void faulty_only(const char *name);

/* How many there were since, and whether one failed. */
int64_t faulty_count(void);
bool faulty_hit(void);

#endif
