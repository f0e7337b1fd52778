#include "test.h"

#include <ftw.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct test {
	const char *name;
	void (*fn)(void);
	unsigned seconds;
};

static struct test tests[512];
static int ntests;

void test_register(const char *name, void (*fn)(void), unsigned seconds)
{
	if (ntests == (int)(sizeof(tests) / sizeof(tests[0])))
		abort();
	tests[ntests++] = (struct test){name, fn, seconds};
}

static int remove_one(const char *path, const struct stat *st, int flag,
		      struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

/* A test that spins ends by its processor time, which a busy machine does not
 * stretch; one that waits for what never comes, by the clock. */
static void limit(unsigned seconds)
{
	struct rlimit cpu = {seconds, seconds + 1};

	setrlimit(RLIMIT_CPU, &cpu);
	alarm(10 * seconds);
}

static int run_one(const struct test *t)
{
	char dir[] = "/tmp/gfl-unit-XXXXXX";
	int status = 0;
	pid_t pid;

	if (!mkdtemp(dir))
		return -1;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (chdir(dir))
			_exit(1);
		limit(t->seconds);
		t->fn();
		exit(0);
	}
	waitpid(pid, &status, 0);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return status;
}

int main(int argc, char **argv)
{
	int failed = 0, n = 0;

	for (int i = 0; i < ntests; i++) {
		int status;

		if (argc > 1 && !strstr(tests[i].name, argv[1]))
			continue;
		status = run_one(&tests[i]);
		n++;
		if (!status) {
			printf("ok %d %s\n", n, tests[i].name);
			continue;
		}
		failed++;
		printf("not ok %d %s", n, tests[i].name);
		if (WIFSIGNALED(status))
			printf(" (ended by signal %d)", WTERMSIG(status));
		putchar('\n');
	}
	printf("1..%d\n", n);
	return failed ? 1 : 0;
}
