/* Who may connect how often; what happens when descriptors run out. */
#include "test.h"

#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "world.h"

/* From 127.0.0.HOST, which the server takes for another machine if not 1. */
static int dial_from(const struct world *w, int host)
{
	struct sockaddr_in from = {
		.sin_family = AF_INET,
		.sin_addr.s_addr =
			htonl((INADDR_LOOPBACK & ~255u) | (unsigned)host),
	};
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)server_port(w->server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	CHECK(!bind(fd, (struct sockaddr *)&from, sizeof(from)));
	CHECK(!connect(fd, (struct sockaddr *)&to, sizeof(to)));
	return fd;
}

static void await_metric(struct world *w, int fd, const char *row)
{
	for (bool there = false; !there;) {
		char *got;

		get(w, fd, "/metrics");
		got = hear(w, fd);
		there = strstr(got, row);
		free(got);
	}
}

static void check_served(struct world *w, int fd)
{
	get(w, fd, "/healthz");
	hear_part(w, fd, "\r\n\r\nok\n");
}

static void check_refused(struct world *w, int fd)
{
	char *got = hear_all(w, fd);

	CHECK_HAS(got, "HTTP/1.1 503 Service Unavailable\r\n");
	CHECK_HAS(got, "\r\nretry-after: 1\r\n");
	CHECK_HAS(got, "max-per-source");
	free(got);
	close(fd);
}

TEST(one_address_cannot_have_all_connections)
{
	struct world w;
	int fds[3];

	world_open(&w, (struct server_opts){.max_per_source = 2});
	for (int i = 0; i < 2; i++) {
		fds[i] = dial_from(&w, 2);
		check_served(&w, fds[i]);
	}
	check_refused(&w, dial_from(&w, 2));
	fds[2] = dial_from(&w, 3);
	check_served(&w, fds[2]);
	get(&w, fds[2], "/metrics");
	hear_part(&w, fds[2], "gfl_server_connections_refused_total 1\n");
	close(fds[0]);
	await_metric(&w, fds[1], "gfl_server_connections 2\n");
	fds[0] = dial_from(&w, 2);
	check_served(&w, fds[0]);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	world_close(&w);
}

TEST(all_of_this_machine_have_no_bound_of_one_address)
{
	struct world w;
	int fds[4];

	world_open(&w, (struct server_opts){.max_per_source = 1});
	for (int i = 0; i < 4; i++) {
		fds[i] = dial_from(&w, 1);
		check_served(&w, fds[i]);
	}
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	world_close(&w);
}

TEST(one_address_has_a_quarter_unless_told)
{
	struct world w;
	int fds[2];

	world_open(&w, (struct server_opts){.max_connections = 8});
	for (int i = 0; i < 2; i++) {
		fds[i] = dial_from(&w, 2);
		check_served(&w, fds[i]);
	}
	check_refused(&w, dial_from(&w, 2));
	for (int i = 0; i < 2; i++)
		close(fds[i]);
	world_close(&w);
}

static int64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

TEST(used_up_descriptors_cost_no_time_and_come_back)
{
	struct rlimit limit = {60, 60};
	int spare[64], n = 0, fd, waiting;
	int64_t began, used;
	struct world w;

	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	world_open(&w, (struct server_opts){.max_connections = 100});
	fd = dial(&w);
	check_served(&w, fd);
	waiting = dial(&w);
	get(&w, waiting, "/healthz");
	while ((spare[n] = dup(fd)) >= 0)
		n++;
	began = clock_ms();
	used = cpu_ms();
	for (int i = 0; i < 4; i++) /* each waits for something to happen */
		uv_run(loop_uv(w.loop), UV_RUN_ONCE);
	CHECK(clock_ms() - began >= 900);
	CHECK(cpu_ms() - used < 100);
	for (int i = 0; i < n; i++)
		close(spare[i]);
	hear_part(&w, waiting, "\r\n\r\nok\n");
	get(&w, fd, "/metrics");
	hear_part(&w, fd, "gfl_server_connections 2\n");
	close(fd);
	close(waiting);
	world_close(&w);
}
