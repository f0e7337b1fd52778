#include "wire/curl_loop.h"

#include <stdlib.h>

#include "base/mem.h"

struct curl_loop {
	uv_loop_t *uv;
	CURLM *multi;
	uv_timer_t *timer;
	curl_done_fn *done;
	curl_after_fn *after;
	void *arg;
};

static void on_closed(uv_handle_t *h)
{
	free(h);
}

static void report(struct curl_loop *cl)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(cl->multi, &left))) {
		CURL *easy = msg->easy_handle;
		CURLcode code = msg->data.result;

		curl_multi_remove_handle(cl->multi, easy);
		cl->done(easy, code, cl->arg);
	}
	cl->after(cl->arg);
}

static void act(struct curl_loop *cl, curl_socket_t fd, int events)
{
	int running;

	curl_multi_socket_action(cl->multi, fd, events, &running);
	report(cl);
}

static void on_ready(uv_poll_t *h, int status, int events)
{
	uv_os_fd_t fd;
	int what = 0;

	if (status < 0) /* libcurl finds out by reading what is wrong */
		events = UV_READABLE | UV_WRITABLE;
	if (events & UV_READABLE)
		what |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		what |= CURL_CSELECT_OUT;
	if (!uv_fileno((uv_handle_t *)h, &fd))
		act(h->data, fd, what);
}

static void on_timer(uv_timer_t *h)
{
	act(h->data, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl: watch fd for this, h being what we gave it for fd before. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *h)
{
	struct curl_loop *cl = arg;
	uv_poll_t *poll = h;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (poll)
			uv_close((uv_handle_t *)poll, on_closed);
		curl_multi_assign(cl->multi, fd, NULL);
		return 0;
	}
	if (!poll) {
		poll = mem_zero(1, sizeof(*poll));
		if (uv_poll_init_socket(cl->uv, poll, fd)) {
			free(poll);
			return -1;
		}
		poll->data = cl;
		curl_multi_assign(cl->multi, fd, poll);
	}
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	uv_poll_start(poll, events, on_ready);
	return 0;
}

/* libuv counts from the start of the turn, libcurl from now. */
static int on_timeout(CURLM *multi, long ms, void *arg)
{
	struct curl_loop *cl = arg;

	(void)multi;
	if (ms < 0) {
		uv_timer_stop(cl->timer);
		return 0;
	}
	uv_update_time(cl->uv);
	uv_timer_start(cl->timer, on_timer, (uint64_t)ms, 0);
	return 0;
}

struct curl_loop *curl_loop_new(struct loop *loop, long max_idle,
				curl_done_fn *done, curl_after_fn *after,
				void *arg)
{
	struct curl_loop *cl = mem_zero(1, sizeof(*cl));

	*cl = (struct curl_loop){.uv = loop_uv(loop),
				 .multi = curl_multi_init(),
				 .timer = mem_zero(1, sizeof(*cl->timer)),
				 .done = done,
				 .after = after,
				 .arg = arg};
	if (!cl->multi)
		abort(); /* out of memory */
	uv_timer_init(cl->uv, cl->timer);
	cl->timer->data = cl;
	curl_multi_setopt(cl->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(cl->multi, CURLMOPT_SOCKETDATA, cl);
	curl_multi_setopt(cl->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(cl->multi, CURLMOPT_TIMERDATA, cl);
	curl_multi_setopt(cl->multi, CURLMOPT_MAXCONNECTS, max_idle);
	return cl;
}

void curl_loop_free(struct curl_loop *cl)
{
	curl_multi_cleanup(cl->multi);
	uv_close((uv_handle_t *)cl->timer, on_closed);
	free(cl);
}

void curl_loop_add(struct curl_loop *cl, CURL *easy)
{
	curl_multi_add_handle(cl->multi, easy);
}

void curl_loop_remove(struct curl_loop *cl, CURL *easy)
{
	curl_multi_remove_handle(cl->multi, easy);
}
