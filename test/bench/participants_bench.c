/* participants_bench URL N - N participants who answer each instruction with
 * itself, until the coordinator says that the work is done.
 * participants_bench URL N requests - N who ask once, by a request, until they
 * are killed. URL is http://127.0.0.1:PORT. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "fl/participant.h"

struct one {
	struct participant *p;
};

static struct loop *loop;
static int left;

static void consume(const CoordinatorMessage *in, void *arg)
{
	ParticipantMessage m = PARTICIPANT_MESSAGE__INIT;
	TrainResult r = TRAIN_RESULT__INIT;

	m.message_case = PARTICIPANT_MESSAGE__MESSAGE_TRAIN_RESULT;
	m.train_result = &r;
	r.n_theta = in->train_config->n_theta;
	r.theta = in->train_config->theta;
	participant_dispatch(((struct one *)arg)->p, &m);
}

static void lost(const struct err *err, int64_t after_ms, void *arg)
{
	(void)after_ms, (void)arg;
	fprintf(stderr, "participants_bench: %s\n",
		err ? err->msg : "sent away");
	exit(1);
}

static void over(const struct err *err, void *arg)
{
	if (err)
		lost(err, 0, arg);
	if (!--left)
		loop_stop(loop);
}

static void come(const char *url, int n)
{
	static const struct participant_hooks hooks = {consume, lost, over};
	struct one *all = mem_zero((size_t)n, sizeof(*all));

	for (int i = 0; i < n; i++) {
		all[i].p = participant_open(
			loop, &(struct participant_opts){.url = url}, &hooks,
			&all[i]);
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	}
	left = n;
	loop_run(loop);
	for (int i = 0; i < n; i++)
		participant_close(all[i].p);
	free(all);
}

static void ask(const struct sockaddr_in *to, const char *request)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) ||
	    write(fd, request, strlen(request)) < 0) {
		perror("participants_bench");
		exit(1);
	}
}

static void ask_all(const char *url, int n)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	char *request = mem_fmt(
		"POST /gfl.v1.ParticipantService/Ask HTTP/1.1\r\nHost: %s\r\n"
		"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n"
		"{}",
		url + strlen("http://"));

	to.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
	for (int i = 0; i < n; i++)
		ask(&to, request);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	struct rlimit limit;

	if (argc < 3)
		return 2;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (argc > 3)
		ask_all(argv[1], atoi(argv[2]));
	if (loop_open(&loop, NULL))
		return 1;
	come(argv[1], atoi(argv[2]));
	loop_close(loop);
	return 0;
}
