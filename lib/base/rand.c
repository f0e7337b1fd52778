#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

uint64_t rand_next(struct rand *r)
{
	r->state += 0x9e3779b97f4a7c15u;
	return rand_mix(r->state);
}

uint64_t rand_below(struct rand *r, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)rand_next(r) * n) >> 64);
}

double rand_unit(struct rand *r)
{
	return (double)(rand_next(r) >> 11) * 0x1p-53;
}

void rand_os(void *p, size_t len)
{
	char *to = p;

	while (len) {
		ssize_t n = getrandom(to, len, 0);

		if (n < 0 && errno != EINTR)
			abort();
		if (n > 0) {
			to += n;
			len -= (size_t)n;
		}
	}
}

uint64_t rand_id(void)
{
	uint64_t id;

	rand_os(&id, sizeof(id));
	return id >> 1 | 1;
}
