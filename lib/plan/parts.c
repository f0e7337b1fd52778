#include "plan/parts.h"

void parts_init(int *part, size_t n)
{
	for (size_t v = 0; v < n; v++)
		part[v] = (int)v;
}

int parts_root(int *part, int v)
{
	while (part[v] != v)
		v = part[v] = part[part[v]];
	return v;
}

void parts_join(int *part, int v, int w)
{
	part[parts_root(part, v)] = parts_root(part, w);
}

size_t parts_count(int *part, size_t n)
{
	size_t count = 0;

	for (size_t v = 0; v < n; v++)
		count += parts_root(part, (int)v) == (int)v;
	return count;
}
