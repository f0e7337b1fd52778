#include "capture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void read_all(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n;

	if (!f)
		abort();
	n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	fclose(f);
}

struct capture capture_run(int (*fn)(void *arg), void *arg)
{
	static struct capture c;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (!freopen("stdout.txt", "w", stdout) ||
		    !freopen("stderr.txt", "w", stderr))
			_exit(99);
		setvbuf(stderr, NULL, _IONBF, 0);
		exit(fn(arg));
	}
	waitpid(pid, &status, 0);
	c.status = WIFEXITED(status) ? WEXITSTATUS(status)
				     : 128 + WTERMSIG(status);
	read_all("stdout.txt", c.out, sizeof(c.out));
	read_all("stderr.txt", c.err, sizeof(c.err));
	return c;
}
