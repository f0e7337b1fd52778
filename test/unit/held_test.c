#include "test.h"

#include <sys/socket.h>
#include <unistd.h>

#include "proto/gateway.pb-c.h"
#include "world.h"

TEST(server_answers_requests_sent_ahead_in_order)
{
	struct buf b = BUF_INIT(0);
	const char *one, *two, *three;
	struct world w;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, heartbeat, &w);
	server_handle(w.server, RPC_GATEWAY_GET_STATS, hold, &w);
	fd = dial(&w);
	post(&w, fd, HEARTBEAT, JSON, "{\"nodeId\":1}", "");
	post(&w, fd, "/GatewayService/GetStats", JSON, "{}", "");
	post(&w, fd, HEARTBEAT, JSON, "{\"nodeId\":2}",
	     "Connection: close\r\n");
	UNTIL(&w, w.kept);
	world_turn(&w);
	CHECK_INT(w.calls, 2);
	answer_kept(&w);
	while (hear_more(&w, fd, &b))
		;
	one = strstr(b.p, "\"registryVersion\":2");
	two = strstr(b.p, "late");
	three = strstr(b.p, "\"registryVersion\":3");
	CHECK(one && two && three && one < two && two < three);
	buf_release(&b);
	close(fd);
	world_close(&w);
}

TEST(server_refuses_who_sends_too_far_ahead)
{
	struct world w;
	char *got;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, hold, &w);
	fd = dial(&w);
	for (int i = 0; i < 1000; i++) {
		post(&w, fd, HEARTBEAT, JSON, "{}", "");
		world_turn(&w);
	}
	UNTIL(&w, w.kept);
	answer_kept(&w);
	got = hear_all(&w, fd);
	CHECK_HAS(got, "late");
	CHECK_HAS(got, "connection: close\r\n");
	CHECK_INT(w.calls, 1);
	free(got);
	close(fd);
	world_close(&w);
}

TEST(server_cancels_a_held_call_when_its_client_goes)
{
	struct world w;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, hold, &w);
	fd = dial(&w);
	post(&w, fd, HEARTBEAT, JSON, "{}", "");
	UNTIL(&w, w.kept);
	CHECK_INT(w.cancels, 0);
	close(fd);
	UNTIL(&w, w.cancels);
	CHECK(!w.kept);
	world_close(&w);
	CHECK_INT(w.cancels, 1);
}

/* The counters, once they have this line; free() them. */
static char *metrics_until(struct world *w, int fd, const char *line)
{
	for (;;) {
		char *got;

		get(w, fd, "/metrics");
		got = hear(w, fd);
		if (strstr(got, line))
			return got;
		free(got);
	}
}

TEST(server_bears_an_answer_to_a_client_that_has_gone)
{
	struct world w;
	char *got;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, hold_blindly, &w);
	fd = dial(&w);
	post(&w, fd, HEARTBEAT, JSON, "{}", "");
	UNTIL(&w, w.kept);
	close(fd);
	fd = dial(&w);
	got = metrics_until(&w, fd, "gfl_server_held_calls 0\n");
	CHECK_HAS(got, "code=\"canceled\"} 1\n");
	free(got);
	CHECK_INT(call_deadline_ms(w.kept), INT64_MAX);
	answer_kept(&w);
	close(fd);
	world_close(&w);
}

TEST(server_ends_a_held_call_at_its_deadline)
{
	struct world w;
	char *got;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, hold, &w);
	fd = dial(&w);
	post(&w, fd, HEARTBEAT, JSON, "{}", "Connect-Timeout-Ms: 20\r\n");
	got = hear(&w, fd);
	CHECK_HAS(got, "HTTP/1.1 504 Gateway Timeout\r\n");
	CHECK_HAS(got, "\"code\":\"deadline_exceeded\"");
	CHECK_INT(w.cancels, 1);
	free(got);
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, heartbeat, &w);
	post(&w, fd, HEARTBEAT, JSON, "{}", "Connect-Timeout-Ms: 20000\r\n");
	got = hear(&w, fd);
	CHECK_HAS(got, "received");
	free(got);
	close(fd);
	world_close(&w);
}

TEST(server_holds_no_call_for_ever)
{
	struct world w;
	char *got;
	int fd;

	world_open(&w, (struct server_opts){.hold_ms = 20});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, hold, &w);
	fd = dial(&w);
	post(&w, fd, HEARTBEAT, JSON, "{}", "");
	got = hear(&w, fd);
	CHECK_HAS(got, "HTTP/1.1 504 Gateway Timeout\r\n");
	CHECK_HAS(got, "ask again");
	CHECK_INT(w.cancels, 1);
	free(got);
	get(&w, fd, "/metrics");
	hear_part(&w, fd, "gfl_server_held_calls 0\n");
	close(fd);
	world_close(&w);
}

TEST(server_answers_what_is_held_when_it_closes)
{
	struct world w;
	char *got;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, hold, &w);
	fd = dial(&w);
	post(&w, fd, HEARTBEAT, JSON, "{}", "");
	UNTIL(&w, w.kept);
	server_close(w.server, 1000);
	CHECK_INT(w.cancels, 1);
	got = hear_all(&w, fd);
	CHECK_HAS(got, "HTTP/1.1 503 Service Unavailable\r\n");
	CHECK_HAS(got, "connection: close\r\n");
	free(got);
	close(fd);
	world_close_rest(&w);
}

TEST(server_cancels_a_held_call_when_its_connection_is_reset)
{
	struct linger hard = {1, 0};
	struct world w;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, hold, &w);
	fd = dial(&w);
	post(&w, fd, HEARTBEAT, JSON, "{}", "Connect-Timeout-Ms: 9000\r\n");
	UNTIL(&w, w.kept);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
	UNTIL(&w, w.cancels);
	world_close(&w);
}

TEST(server_forgets_a_request_whose_client_goes_before_its_end)
{
	struct world w;
	char *text;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, hold, &w);
	fd = dial(&w);
	text = mem_fmt("POST " HEARTBEAT " HTTP/1.1\r\nHost: localhost:%d\r\n"
		       "Content-Type: " JSON "\r\nContent-Length: 5\r\n\r\n{",
		       server_port(w.server));
	say(fd, text);
	free(text);
	for (int i = 0; i < 5; i++)
		world_turn(&w);
	close(fd);
	fd = dial(&w);
	free(metrics_until(&w, fd, "gfl_server_connections 1\n"));
	CHECK_INT(w.calls, 0);
	close(fd);
	world_close(&w);
}

static void answer_anyway(struct call *call, void *arg)
{
	struct world *w = arg;
	struct err err;

	err_set(&err, ERR_ABORTED, "too late");
	call_fail(call, &err);
	w->cancels++;
}

static void hold_and_answer_anyway(struct call *call,
				   const ProtobufCMessage *in, void *arg)
{
	(void)in;
	call_on_cancel(call, answer_anyway, arg);
}

TEST(server_bears_an_answer_from_a_cancel_hook)
{
	struct world w;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, hold_and_answer_anyway,
		      &w);
	fd = dial(&w);
	post(&w, fd, HEARTBEAT, JSON, "{}", "Connect-Timeout-Ms: 1\r\n");
	hear_part(&w, fd, "deadline_exceeded");
	CHECK_INT(w.cancels, 1);
	post(&w, fd, HEARTBEAT, JSON, "{}", "");
	for (int i = 0; i < 5; i++)
		world_turn(&w);
	close(fd);
	UNTIL(&w, w.cancels == 2);
	world_close(&w);
}
