/* parts.h - connected components by union-find.
 *
 * part[v] leads from vertex v towards the root of its component (Tarjan 1975,
 * with halving of paths). Pure. */
#ifndef PLAN_PARTS_H
#define PLAN_PARTS_H

#include <stddef.h>

void parts_init(int *part, size_t n); /* each vertex by itself */
int parts_root(int *part, int v);     /* equal for those that are connected */
void parts_join(int *part, int v, int w);
size_t parts_count(int *part, size_t n); /* components */

#endif
