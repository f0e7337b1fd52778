/* gfl-monitor - what happens in the cluster, as it happens. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/out.h"
#include "fl/gaze.h"
#include "node/monitor.h"
#include "node/screen.h"

enum { EVERY_MS = 1000, DRAW_MS = 50 };

struct config {
	struct client_opts client;
	struct out_opts out;
	int64_t count;
	struct opt_list servers;
};

static const struct opt opts[] = {
	OPT_CLIENT(struct config, client),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_INT64('n', "count", struct config, count, "COUNT", "0", 0,
		  INT64_MAX, "end after so many events; 0: never"),
	OPT_URLS(0, "server", struct config, servers, NULL,
		 "watch this gfl-server instead; of several (--on-leader) the "
		 "active one"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-monitor",
	.brief = "what happens in the cluster, as it happens",
	.about = "On a terminal a table that is drawn anew: the nodes, the run "
		 "under way, the last events. In a pipe, or with -o or -n, the "
		 "events themselves, one a line: nodes that are present at the "
		 "beginning, joined, changed, left, expired (the gateway's "
		 "lease has ended), down and up (as the leader sees it); the "
		 "leader elected or lost; trainers attached, moved, down, up "
		 "and detached; runs started, with progress, finished, stopped "
		 "or failed; connections of the watch itself. A gateway tells, "
		 "and a node, and another when one of them dies; only at the "
		 "beginning somebody has to be there within --timeout. It ends "
		 "by a signal, or after COUNT events. With --server it is a "
		 "gfl-server that is watched, asked once a second: its round, "
		 "who has answered in it, loss and accuracy, and each client "
		 "with its bytes and refusals, or its participants; the events "
		 "are rounds that have ended (of several in a second the "
		 "last), clients or participants that are here or gone, the "
		 "server's end, and that of the connection.",
	.example = "gfl-monitor\n"
		   "gfl-monitor | jq 'select(.what == \"leader\")'\n"
		   "gfl-monitor | gfl-plot --x round --y accuracy\n"
		   "gfl-monitor --server http://127.0.0.1:8700",
	.opts = opts,
};

static const struct out_col cols[] = {
	{"at", OUT_TIME},       {"what", OUT_TEXT},    {"event", OUT_TEXT},
	{"node", OUT_INT},      {"trainer", OUT_INT},  {"run", OUT_INT},
	{"term", OUT_INT},      {"round", OUT_INT},    {"rounds", OUT_INT},
	{"accuracy", OUT_REAL}, {"trainers", OUT_INT}, {"bytes_sent", OUT_INT},
	{"role", OUT_TEXT},     {"url", OUT_TEXT},     {"text", OUT_TEXT},
};

enum { COLS = sizeof(cols) / sizeof(cols[0]), SIGNALS = 6 };

struct viewer {
	const struct config *cfg;
	struct loop *loop;
	struct monitor *monitor; /* or */
	struct gaze *gaze;
	struct out *out; /* NULL: the live view */
	int64_t seen;    /* events written */
	int ended_by;    /* signal, or 0 */
	char *events[SCREEN_EVENTS];
	size_t nevents;
	uv_signal_t signals[SIGNALS];
	struct timer every, soon;
};

static struct out_cell some(int64_t v)
{
	return v ? out_int(v) : out_none();
}

static void write_event(struct viewer *v, const struct view_event *e)
{
	bool run = e->run;

	if (v->cfg->count && v->seen == v->cfg->count)
		return; /* the loop is about to stop */
	out_row(v->out, out_time(clock_wall_ms()), out_text(e->what),
		out_text(e->event), some(e->node), some(e->trainer),
		some(e->run), some(e->term),
		run ? out_int(e->round) : out_none(),
		run ? out_int(e->rounds) : out_none(), out_real(e->accuracy),
		run ? out_int(e->trainers) : out_none(),
		run ? out_int(e->bytes_sent) : out_none(),
		e->role && *e->role ? out_text(e->role) : out_none(),
		out_text(e->url), out_text(e->text));
	if (++v->seen == v->cfg->count)
		loop_stop(v->loop);
}

static void write_gaze(struct viewer *v, const struct gaze_event *e)
{
	if (v->cfg->count && v->seen == v->cfg->count)
		return; /* the loop is about to stop */
	gaze_row(v->out, e);
	if (++v->seen == v->cfg->count)
		loop_stop(v->loop);
}

/* Whoever read us may have left while nothing happens. */
static void check_reader(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO};

	if (poll(&p, 1, 0) == 1 && (p.revents & POLLERR)) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
}

/* A screen of our own, without a cursor; or the one from before. */
static void show(const struct viewer *v, bool ours)
{
	if (!v->out)
		fputs(ours ? "\033[?1049h\033[?25l" : "\033[?25h\033[?1049l",
		      stdout);
	fflush(stdout);
}

static void ask_nodes(const struct viewer *v, struct screen_node *nodes)
{
	const struct view *view = monitor_view(v->monitor);

	for (size_t i = 0; i < view->nnodes; i++) {
		const Gfl__V1__NodeStatus *s =
			monitor_status(v->monitor, view->nodes[i].id);

		nodes[i] = s ? (struct screen_node){s->role, s->term,
						    s->commit_index}
			     : (struct screen_node){"", 0, -1};
	}
}

static void measure(struct screen *s)
{
	struct winsize w;
	bool known =
		!ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_row && w.ws_col;

	s->width = known ? w.ws_col : 80;
	s->height = known ? w.ws_row - 1U : 23; /* lest the last line scrolls */
}

static void draw_cluster(struct viewer *v, struct buf *text)
{
	const struct view *view = monitor_view(v->monitor);
	struct screen_node *nodes = mem_zero(view->nnodes, sizeof(*nodes));
	struct screen s = {
		.view = view,
		.nodes = nodes,
		.watched = monitor_node(v->monitor),
		.gateway = monitor_gateway(v->monitor),
		.asks_gateway = monitor_gateway(v->monitor),
		.nevents = v->nevents,
	};

	measure(&s);
	ask_nodes(v, nodes);
	memcpy(s.events, v->events, sizeof(s.events));
	screen_draw(text, &s);
	free(nodes);
}

static void draw_server(const struct viewer *v, struct buf *text)
{
	struct screen s;

	measure(&s);
	gaze_draw(text, gaze_url(v->gaze), gaze_status(v->gaze), v->events,
		  v->nevents, s.width, s.height);
}

/* Over what was there; what is left of that is cleared. */
static void draw(void *arg)
{
	struct viewer *v = arg;
	struct buf text = BUF_INIT(0), all = BUF_INIT(0);

	if (v->gaze)
		draw_server(v, &text);
	else
		draw_cluster(v, &text);
	buf_puts(&all, "\033[H");
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == '\n')
			buf_puts(&all, "\033[K");
		buf_putc(&all, text.p[i]);
	}
	buf_puts(&all, "\033[J");
	fputs(all.p, stdout);
	fflush(stdout);
	buf_release(&all);
	buf_release(&text);
}

static void begin_line(struct buf *line)
{
	char at[CLOCK_TEXT];

	buf_putf(line, "%.8s ", clock_text(clock_wall_ms(), at) + 11);
}

/* The line is ours. */
static void keep_line(struct viewer *v, struct buf *line)
{
	if (v->nevents == SCREEN_EVENTS) {
		free(v->events[0]);
		memmove(v->events, v->events + 1,
			--v->nevents * sizeof(*v->events));
	}
	v->events[v->nevents++] = buf_take(line);
	timer_set(&v->soon, v->loop, DRAW_MS, draw, v);
}

static void on_event(const struct view_event *e, void *arg)
{
	struct buf line = BUF_INIT(0);
	struct viewer *v = arg;

	if (v->out) {
		write_event(v, e);
		return;
	}
	begin_line(&line);
	screen_event(&line, e);
	keep_line(v, &line);
}

static void on_gaze(const struct gaze_event *e, void *arg)
{
	struct buf line = BUF_INIT(0);
	struct viewer *v = arg;

	if (v->out) {
		write_gaze(v, e);
		return;
	}
	begin_line(&line);
	gaze_words(&line, e);
	keep_line(v, &line);
}

static void on_every(void *arg)
{
	struct viewer *v = arg;

	if (v->out)
		check_reader();
	else
		draw(v);
}

static void on_signal(uv_signal_t *h, int number)
{
	struct viewer *v = h->data;

	if (number == SIGTSTP) {
		show(v, false);
		raise(SIGSTOP);
		show(v, true);
	}
	if (number == SIGTSTP || number == SIGWINCH) {
		timer_set(&v->soon, v->loop, DRAW_MS, draw, v);
		return;
	}
	v->ended_by = number;
	loop_stop(v->loop);
}

static void watch_signals(struct viewer *v)
{
	static const int numbers[SIGNALS] = {SIGINT,  SIGTERM, SIGHUP,
					     SIGQUIT, SIGTSTP, SIGWINCH};

	for (int i = 0; i < SIGNALS; i++) {
		uv_signal_init(loop_uv(v->loop), &v->signals[i]);
		v->signals[i].data = v;
		if (!v->out || i < 2) /* INT and TERM always */
			uv_signal_start(&v->signals[i], on_signal, numbers[i]);
	}
}

static void view(struct viewer *v)
{
	watch_signals(v);
	timer_every(&v->every, v->loop, EVERY_MS, on_every, v);
	show(v, true);
	loop_run(v->loop);
	show(v, false);
	timer_stop(&v->every);
	timer_stop(&v->soon);
	for (int i = 0; i < SIGNALS; i++)
		uv_close((uv_handle_t *)&v->signals[i], NULL);
	for (size_t i = 0; i < v->nevents; i++)
		free(v->events[i]);
}

static int open_watched(struct viewer *v, struct err *err)
{
	const struct config *cfg = v->cfg;
	const struct monitor_opts o = {cfg->client, !v->out, on_event, v};

	if (!cfg->servers.n)
		return monitor_open(&v->monitor, v->loop, &o, err)
			       ? err_wrap(err, "watch the cluster")
			       : 0;
	return gaze_open(&v->gaze, v->loop, &cfg->servers, &cfg->client,
			 on_gaze, v, err)
		       ? err_wrap(err, "watch the server")
		       : 0;
}

static int watch(struct viewer *v, struct err *err)
{
	int rc = loop_open(&v->loop, err);

	if (rc)
		return rc;
	rc = open_watched(v, err);
	if (!rc)
		view(v);
	monitor_close(v->monitor);
	gaze_close(v->gaze);
	loop_close(v->loop);
	return rc;
}

static int run(const struct config *cfg, int *ended_by, struct err *err)
{
	struct viewer v = {.cfg = cfg};
	int rc;

	if ((!isatty(STDOUT_FILENO) || cfg->out.format || cfg->count) &&
	    out_begin(&v.out, &cfg->out, cfg->servers.n ? gaze_cols : cols,
		      cfg->servers.n ? GAZE_COLS : COLS, true, err))
		return (int)err->code;
	rc = watch(&v, err);
	if (v.out && out_end(v.out, rc ? NULL : err) && !rc)
		rc = (int)err->code;
	*ended_by = v.ended_by;
	return rc;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;
	int ended_by = 0;

	opt_parse(&prog, &cfg, argc, argv);
	if (run(&cfg, &ended_by, &err))
		return err_report(&prog, &err);
	if (ended_by)
		raise(ended_by); /* its usual effect is back */
	return out_close(&prog);
}
