/* raft_seeds.h - many seeds, on all processors: each process takes the next
 * one that nobody has, and what happened is added up. */
#ifndef RAFT_SEEDS_H
#define RAFT_SEEDS_H

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raft_run.h"

enum { WORKERS = 8 };

struct seeds {
	atomic_uint_fast64_t next;
	uint64_t first, last;
	atomic_uint_fast64_t failed, ran;
	uint64_t at[WORKERS]; /* which one each process is at, 0: none */
	struct totals t[WORKERS];
};

static inline void totals_add(struct totals *t, const struct totals *more)
{
	int64_t *to = (int64_t *)t;
	const int64_t *from = (const int64_t *)more;

	for (size_t i = 0; i < sizeof(*t) / sizeof(*to); i++)
		to[i] += from[i];
}

static inline void print_server(const struct server *s)
{
	const struct raft_conf *conf = raft_conf(s->r);
	struct raft_status st;

	raft_status(s->r, &st);
	printf("# %d %s leader=%" PRId64 " term=%" PRId64 " vote=%" PRId64
	       " last=%" PRId64 " durable=%" PRId64 " commit=%" PRId64
	       " conf=%" PRId64 ":",
	       (int)s->id, raft_role_name(st.role), st.leader, st.term, st.vote,
	       st.last, st.durable, st.commit, st.conf_index);
	for (int m = 0; m < conf->n; m++)
		printf(" %" PRId64 "/%d%s", conf->member[m].id,
		       (int)conf->member[m].role,
		       conf->member[m].old ? "+" : "");
	putchar('\n');
}

/* One seed. False: a promise was broken, and this is said. */
static inline bool seed_run(uint64_t seed, struct totals *t, uint64_t *hash)
{
	struct world w;
	bool good;

	world_run(&w, seed, false);
	good = !w.broken[0];
	for (int i = 1; i <= SERVERS && !good; i++)
		if (w.server[i].r)
			print_server(&w.server[i]);
	if (!good)
		printf("# seed %" PRIu64 " at %" PRId64
		       " ms: %s; again by GFL_SEED=%" PRIu64 "\n",
		       seed, w.now / MS, w.broken, seed);
	fflush(stdout);
	totals_add(t, &w.t);
	*hash = w.hash;
	world_release(&w);
	return good;
}

static inline void seeds_work(struct seeds *s, int worker)
{
	uint64_t hash;

	while (s->failed < 5) {
		uint64_t seed = s->next++;

		if (seed > s->last)
			break;
		s->at[worker] = seed;
		if (!seed_run(seed, &s->t[worker], &hash))
			s->failed++;
		s->ran++;
	}
	s->at[worker] = 0;
}

/* Seeds first to last; *t is what happened in them all. How many failed: a
 * process that ends in the middle of one counts as one. */
static inline uint64_t seeds_run(uint64_t first, uint64_t last,
				 struct totals *t)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int workers = cpus < 1 ? 1 : cpus > WORKERS ? WORKERS : (int)cpus;
	struct seeds *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t failed;

	if (s == MAP_FAILED)
		abort();
	*s = (struct seeds){.next = first, .first = first, .last = last};
	fflush(stdout);
	for (int i = 0; i < workers; i++)
		if (fork() == 0) {
			seeds_work(s, i);
			fflush(stdout);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	for (int i = 0; i < workers; i++) {
		totals_add(t, &s->t[i]);
		if (s->at[i]) {
			printf("# seed %" PRIu64 " ended its process\n",
			       s->at[i]);
			s->failed++;
		}
	}
	failed = s->failed;
	munmap(s, sizeof(*s));
	return failed;
}

#endif
