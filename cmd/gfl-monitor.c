/* gfl-monitor - what happens in the cluster, as it happens. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/opt.h"
#include "fl/gaze.h"
#include "node/monitor.h"
#include "node/screen.h"
#include "task/overseer.h"

enum { EVERY_MS = 1000, DRAW_MS = 50 };

enum whom { CLUSTER, SERVER, MASTER };

struct config {
	enum whom whom;
	struct client_opts client;
	struct out_opts out;
	int64_t count;
	struct opt_list servers;
	struct opt_list masters;
};

static const struct opt opts[] = {
	OPT_CLIENT(struct config, client),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_INT64('n', "count", struct config, count, "COUNT", "0", 0,
		  INT64_MAX, "end after so many events; 0: never"),
	OPT_URLS(0, "server", struct config, servers, NULL,
		 "watch this gfl-server instead; of several (--on-leader) the "
		 "active one",
		 .min = 1),
	OPT_ROW(URLS, 'm', "master", struct opt_list, struct config, masters,
		"URL", NULL,
		"watch this gfl-master, its tasks and workers, instead",
		.min = 1),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-monitor",
	.args = "[cluster|server|master]",
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
		 "by a signal, or after COUNT events. With server, or "
		 "--server, it is a "
		 "gfl-server that is watched, asked once a second: its round, "
		 "who has answered in it, loss and accuracy, and each client "
		 "with its bytes and refusals, or its participants; the events "
		 "are rounds that have ended (of several in a second the "
		 "last), clients or participants that are here or gone, the "
		 "server's end, and that of the connection. With master, "
		 "or --master, it is a gfl-master: how many tasks are in its "
		 "queue, run, and "
		 "have ended so or so, and each worker; the events are tasks "
		 "that have ended, with what came of them or why they failed, "
		 "and workers that are here, dead or have left, or whose "
		 "breaker opens.",
	.example = "gfl-monitor\n"
		   "gfl-monitor | jq 'select(.what == \"leader\")'\n"
		   "gfl-monitor | gfl-plot --x round --y accuracy\n"
		   "gfl-monitor --server http://127.0.0.1:8700\n"
		   "gfl-monitor -m http://127.0.0.1:50051 | "
		   "jq 'select(.event == \"failed\")'",
	.opts = opts,
};

static const struct {
	const char *name, *usual; /* where it is, unless that is said */
	const struct out_col *cols;
	size_t n_cols;
} kinds[] = {
	[CLUSTER] = {"cluster", NULL, monitor_cols, MONITOR_COLS},
	[SERVER] = {"server", OPT_SERVER_URL, gaze_cols, GAZE_COLS},
	[MASTER] = {"master", OPT_MASTER_URL, overseer_cols, OVERSEER_COLS},
};

enum { SIGNALS = 6 };

struct viewer {
	const struct config *cfg;
	struct loop *loop;
	struct reach reach;
	struct monitor *monitor; /* or */
	struct gaze *gaze;       /* or */
	struct overseer *overseer;
	struct out *out; /* NULL: the live view */
	int64_t seen;    /* events written */
	int ended_by;    /* signal, or 0 */
	char *events[SCREEN_EVENTS];
	size_t nevents;
	uv_signal_t signals[SIGNALS];
	struct timer every, soon;
};

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

static void draw_all(const struct viewer *v, struct buf *text)
{
	struct winsize w;
	const bool known =
		!ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_row && w.ws_col;
	const size_t width = known ? w.ws_col : 80;
	const size_t height = /* lest the last line scrolls */
		known ? w.ws_row - 1U : 23;
	struct overseer_view tasks;

	switch (v->cfg->whom) {
	case CLUSTER:
		monitor_draw(text, v->monitor, v->events, v->nevents, width,
			     height);
		break;
	case SERVER:
		gaze_draw(text, gaze_url(v->gaze), gaze_status(v->gaze),
			  v->events, v->nevents, width, height);
		break;
	case MASTER:
		tasks = overseer_view(v->overseer);
		overseer_draw(text, reach_url(&v->reach), &tasks, v->events,
			      v->nevents, width, height);
		break;
	}
}

/* Over what was there; what is left of that is cleared. */
static void draw(void *arg)
{
	struct viewer *v = arg;
	struct buf text = BUF_INIT(0), all = BUF_INIT(0);

	draw_all(v, &text);
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

/* The line is ours. */
static void keep_line(struct viewer *v, struct buf *words)
{
	struct buf line = BUF_INIT(0);
	char at[CLOCK_TEXT];

	buf_putf(&line, "%.8s %s", clock_text(clock_wall_ms(), at) + 11,
		 words->p);
	buf_release(words);
	if (v->nevents == SCREEN_EVENTS) {
		free(v->events[0]);
		memmove(v->events, v->events + 1,
			--v->nevents * sizeof(*v->events));
	}
	v->events[v->nevents++] = buf_take(&line);
	timer_set(&v->soon, v->loop, DRAW_MS, draw, v);
}

/* May one more be written? */
static bool begins_row(const struct viewer *v)
{
	return v->out && (!v->cfg->count || v->seen < v->cfg->count);
}

/* A row is written, or else there are words of it. */
static void ends_event(struct viewer *v, struct buf *words)
{
	if (!v->out)
		keep_line(v, words);
	else if (++v->seen == v->cfg->count)
		loop_stop(v->loop);
}

static void on_event(const struct view_event *e, void *arg)
{
	struct buf words = BUF_INIT(0);
	struct viewer *v = arg;

	if (begins_row(v))
		monitor_row(v->out, e);
	else if (!v->out)
		screen_event(&words, e);
	ends_event(v, &words);
}

static void on_gaze(const struct gaze_event *e, void *arg)
{
	struct buf words = BUF_INIT(0);
	struct viewer *v = arg;

	if (begins_row(v))
		gaze_row(v->out, e);
	else if (!v->out)
		gaze_words(&words, e);
	ends_event(v, &words);
}

static void on_overseer(const struct overseer_event *e, void *arg)
{
	struct buf words = BUF_INIT(0);
	struct viewer *v = arg;

	if (begins_row(v))
		overseer_row(v->out, e);
	else if (!v->out)
		overseer_words(&words, e);
	ends_event(v, &words);
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

	v->reach = (struct reach){cfg->masters, cfg->client.timeout_ms,
				  cfg->client.tls};
	switch (cfg->whom) {
	case SERVER:
		return gaze_open(&v->gaze, v->loop, &cfg->servers, &cfg->client,
				 on_gaze, v, err);
	case MASTER:
		return overseer_open(&v->overseer, v->loop, &v->reach,
				     on_overseer, v, err);
	case CLUSTER:
		break;
	}
	return monitor_open(&v->monitor, v->loop, &o, err);
}

static int watch(struct viewer *v, struct err *err)
{
	int rc = loop_open(&v->loop, err);

	if (rc)
		return rc;
	rc = open_watched(v, err);
	if (rc)
		err_wrap(err, "watch the %s", kinds[v->cfg->whom].name);
	else
		view(v);
	monitor_close(v->monitor);
	gaze_close(v->gaze);
	overseer_close(v->overseer);
	loop_close(v->loop);
	return rc;
}

/* By name, or by a flag; a URL of the environment says where, not what. */
static int choose(struct config *cfg, const char *name, struct err *err)
{
	struct opt_list *const urls[] = {
		[SERVER] = &cfg->servers, [MASTER] = &cfg->masters};
	const size_t all = sizeof(kinds) / sizeof(*kinds);
	size_t i = CLUSTER;

	if (!name && cfg->servers.by_flag && cfg->masters.by_flag)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "both a server and a master are given; say "
			       "cluster, server or master");
	if (!name)
		i = cfg->servers.by_flag   ? SERVER
		    : cfg->masters.by_flag ? MASTER
					   : CLUSTER;
	while (name && i < all && strcmp(kinds[i].name, name) != 0)
		i++;
	if (i == all)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "cannot watch \"%s\": cluster, server or master",
			       name);
	cfg->whom = (enum whom)i;
	if (kinds[i].usual && !urls[i]->n)
		urls[i]->at[urls[i]->n++] = kinds[i].usual;
	return 0;
}

static int run(const struct config *cfg, int *ended_by, struct err *err)
{
	struct viewer v = {.cfg = cfg};
	int rc;

	if ((!isatty(STDOUT_FILENO) || cfg->out.format || cfg->count) &&
	    out_begin(&v.out, &cfg->out, kinds[cfg->whom].cols,
		      kinds[cfg->whom].n_cols, true, err))
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
	int ended_by = 0, rest = opt_parse(&prog, &cfg, argc, argv);

	if (choose(&cfg, opt_arg(argc, argv, rest, NULL), &err) ||
	    run(&cfg, &ended_by, &err))
		return err_report(&prog, &err);
	if (ended_by)
		raise(ended_by); /* its usual effect is back */
	return out_close(&prog);
}
