/* start_bench - how long programs run, for small.sh and nodes.sh:
 *
 *	start_bench TIMES PROGRAM [ARGUMENT]... [-- PROGRAM [ARGUMENT]...]...
 *
 * Runs each in turn, so many times, and prints the median in ms, a line each.
 * Their output is thrown away; one that fails ends it. */
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum { MAX_PROGRAMS = 8 };

static double run(char **argv)
{
	posix_spawn_file_actions_t files;
	int64_t began = clock_us();
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null",
					 O_WRONLY, 0);
	if (posix_spawnp(&pid, argv[0], &files, NULL, argv, environ) ||
	    waitpid(pid, &status, 0) != pid || status) {
		fprintf(stderr, "start_bench: %s failed\n", argv[0]);
		exit(1);
	}
	posix_spawn_file_actions_destroy(&files);
	return (double)(clock_us() - began) / 1e3;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int times = argc > 2 ? atoi(argv[1]) : 0, n = 0;
	char **programs[MAX_PROGRAMS];
	double *ms[MAX_PROGRAMS];

	for (int i = 2; i < argc; i++) {
		bool first = i == 2 || !argv[i - 1];

		if (!strcmp(argv[i], "--"))
			argv[i] = NULL;
		else if (first && n < MAX_PROGRAMS)
			programs[n++] = &argv[i];
	}
	for (int i = 0; i < n; i++)
		ms[i] = mem_zero((size_t)times + 1, sizeof(**ms));
	for (int t = 0; t < times; t++)
		for (int i = 0; i < n; i++)
			ms[i][t] = run(programs[i]);
	for (int i = 0; i < n; i++) {
		qsort(ms[i], (size_t)times, sizeof(**ms), ascending);
		printf("%g\n", ms[i][times / 2]);
	}
	return !n;
}
