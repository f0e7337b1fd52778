/* What happens in a cluster, as rows for programs and as text for people. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "node/monitor.h"
#include "node/screen.h"

const struct out_col monitor_cols[MONITOR_COLS] = {
	{"at", OUT_TIME},       {"what", OUT_TEXT},    {"event", OUT_TEXT},
	{"node", OUT_INT},      {"trainer", OUT_INT},  {"run", OUT_INT},
	{"term", OUT_INT},      {"round", OUT_INT},    {"rounds", OUT_INT},
	{"accuracy", OUT_REAL}, {"trainers", OUT_INT}, {"bytes_sent", OUT_INT},
	{"role", OUT_TEXT},     {"url", OUT_TEXT},     {"text", OUT_TEXT},
};

static struct out_cell some(int64_t v)
{
	return v ? out_int(v) : out_none();
}

void monitor_row(struct out *o, const struct view_event *e)
{
	bool run = e->run;

	out_row(o, out_time(clock_wall_ms()), out_text(e->what),
		out_text(e->event), some(e->node), some(e->trainer),
		some(e->run), some(e->term),
		run ? out_int(e->round) : out_none(),
		run ? out_int(e->rounds) : out_none(), out_real(e->accuracy),
		run ? out_int(e->trainers) : out_none(),
		run ? out_int(e->bytes_sent) : out_none(),
		e->role && *e->role ? out_text(e->role) : out_none(),
		out_text(e->url), out_text(e->text));
}

static void ask_nodes(const struct monitor *m, struct screen_node *nodes)
{
	const struct view *view = monitor_view(m);

	for (size_t i = 0; i < view->nnodes; i++) {
		const Gfl__V1__NodeStatus *s =
			monitor_status(m, view->nodes[i].id);

		nodes[i] = s ? (struct screen_node){s->role, s->term,
						    s->commit_index}
			     : (struct screen_node){"", 0, -1};
	}
}

void monitor_draw(struct buf *out, const struct monitor *m, char *const *events,
		  size_t nevents, size_t width, size_t height)
{
	const struct view *view = monitor_view(m);
	struct screen_node *nodes = mem_zero(view->nnodes, sizeof(*nodes));
	struct screen s = {
		.view = view,
		.nodes = nodes,
		.watched = monitor_node(m),
		.gateway = monitor_gateway(m),
		.asks_gateway = monitor_gateway(m),
		.nevents = nevents,
		.width = width,
		.height = height,
	};

	ask_nodes(m, nodes);
	memcpy(s.events, events, nevents * sizeof(*s.events));
	screen_draw(out, &s);
	free(nodes);
}
