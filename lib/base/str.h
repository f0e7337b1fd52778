/* str.h - the few things done to strings everywhere. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>

/* Copy from into size bytes at to, always ended by a NUL; false if it was cut.
 * NULL copies as "". */
bool str_copy(char *to, size_t size, const char *from);

/* An identity: 128 random bits as 32 lower-case hex digits. */
enum { STR_ID = 33 };
void str_new_id(char id[STR_ID]);
bool str_is_id(const char *s);

/* len bytes as 2 len lower-case hex digits and a NUL. */
void str_hex(char *to, const void *p, size_t len);

/* The length of a name without ".db", for those of files beside it: of node.db
 * mem_fmt("%.*s.upper.db", str_stem(db), db) is node.upper.db. */
int str_stem(const char *db);

#endif
