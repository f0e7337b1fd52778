/* cache.h - unpacked data sets, kept once for all processes of a machine:
 * folder gfl of $XDG_CACHE_HOME, else of ~/.cache. */
#ifndef NN_CACHE_H
#define NN_CACHE_H

#include <stddef.h>
#include <sys/stat.h>

/* Where the unpacked form of path is kept, which the caller frees: a name that
 * changes when the file's place, size or time of change does, or the salt
 * (how it was read; "" for one way only). NULL where no folder can be made. */
char *cache_path(const char *path, const struct stat *st, const char *salt);

/* A whole file mapped read-only and shared; NULL if there is none that can be,
 * or it is empty. munmap() it. */
void *cache_map(const char *path, size_t *len);

#endif
