/* What a trainer tells: reports to its node, status and history to whoever
 * asks, metrics. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fl/trainer_impl.h"

void trainer_layout(const struct trainer *t, char text[17])
{
	const struct learner *l = t->run.learner;

	snprintf(text, 17, "%016" PRIx64, l && l->model ? l->model->layout : 0);
}

static const char *state_name(const struct trainer *t)
{
	static const char *const names[] = {
		[PHASE_IDLE] = "waiting",        [PHASE_PULLING] = "joining",
		[PHASE_READY] = "waiting",       [PHASE_WORKING] = "training",
		[PHASE_EXCHANGE] = "exchanging", [PHASE_ENDED] = "finished",
	};

	return t->out_of ? "failed" : names[t->phase];
}

/* The last round is not reported before all that follows it is done, since
 * the run may end with that report. */
static int64_t rounds_done(const struct trainer_run *r)
{
	int64_t done = r->at + 1;

	return done >= r->rounds && !r->final ? r->rounds - 1 : done;
}

static void set_string(char **to, const char *text)
{
	*to = (char *)(uintptr_t)text; /* borrowed: only to be packed */
}

static void fill_accuracy(Gfl__V1__TrainerReport *r, const struct tally *y)
{
	if (!isnan(y->accuracy)) {
		r->_accuracy_case = GFL__V1__TRAINER_REPORT___ACCURACY_ACCURACY;
		r->accuracy = y->accuracy;
	}
	if (y->accuracy_alone >= 0) {
		r->_accuracy_alone_case =
			GFL__V1__TRAINER_REPORT___ACCURACY_ALONE_ACCURACY_ALONE;
		r->accuracy_alone = y->accuracy_alone;
	}
}

static void fill_report(struct trainer *t, Gfl__V1__TrainerReport *r)
{
	const struct tally *y = t->out_of ? &t->out_tally : &t->run.tally;
	const struct state *s = trainer_state(t);

	gfl__v1__trainer_report__init(r);
	r->trainer_id = t->id;
	r->run = t->out_of ? t->out_of : t->run.id;
	r->epoch = s ? s->epoch : 0;
	r->round = t->out_of ? t->out_at : rounds_done(&t->run);
	r->loss = isnan(y->loss) ? 0 : y->loss;
	fill_accuracy(r, y);
	r->bytes_sent = y->bytes_sent;
	r->bytes_received = y->bytes_received;
	r->compute_s = y->compute_s;
	r->wait_s = y->wait_s;
	r->misses = y->misses;
	r->lost_replies = y->lost;
	r->exchanges = y->exchanges;
	r->bridged = t->bridge.done;
	r->bridge_misses = t->bridge.missed;
	set_string(&r->state, t->out_of                   ? "failed"
			      : t->phase == PHASE_ENDED   ? "finished"
			      : t->phase == PHASE_PULLING ? "joining"
							  : "training");
	t->out_sent = t->out_of != 0;
	if (t->out_of)
		set_string(&r->reason, t->why_out);
	else if (t->run.reason)
		set_string(&r->reason, t->run.reason);
	if (t->run.final && t->run.model_path)
		set_string(&r->model_path, t->run.model_path);
}

/* What the last report was made of, until the next is made. */
struct parts {
	Gfl__V1__TrainerReport report, *reports[1];
	Gfl__V1__Link *links;
	Gfl__V1__Link **link_list;
	Gfl__V1__Miss **miss_list;
	Gfl__V1__Link bridge_link, *bridge_list[1]; /* lost with the report */
};

static struct parts *fresh_parts(struct trainer *t)
{
	struct parts *p = t->parts;

	if (!p)
		p = t->parts = mem_zero(1, sizeof(*p));
	free(p->links);
	free(p->link_list);
	free(p->miss_list);
	p->links = mem_zero(t->nlinks + 1, sizeof(*p->links));
	p->link_list = mem_zero(t->nlinks + 1, sizeof(Gfl__V1__Link *));
	p->miss_list = mem_zero(t->nmisses + 1, sizeof(Gfl__V1__Miss *));
	return p;
}

void trainer_report_close(struct trainer *t)
{
	if (!t->parts)
		return;
	free(t->parts->links);
	free(t->parts->link_list);
	free(t->parts->miss_list);
	free(t->parts);
}

void trainer_fill(Gfl__V1__ReportRequest *r, void *trainer)
{
	struct trainer *t = trainer;
	struct parts *p = fresh_parts(t);

	if (t->run.id || t->out_of) {
		fill_report(t, &p->report);
		p->reports[0] = &p->report;
		r->reports = p->reports;
		r->n_reports = 1;
	}
	for (size_t i = 0; i < t->nlinks; i++) {
		gfl__v1__link__init(&p->links[i]);
		p->links[i].from = t->links[i].from;
		p->links[i].to = t->links[i].to;
		p->links[i].half_octaves = t->links[i].level;
		p->link_list[i] = &p->links[i];
	}
	for (size_t i = 0; i < t->nmisses; i++)
		p->miss_list[i] = &t->misses[i];
	if (t->bridge.link.from) {
		gfl__v1__link__init(&p->bridge_link);
		p->bridge_link.from = t->bridge.link.from;
		p->bridge_link.to = t->bridge.link.to;
		p->bridge_link.half_octaves = t->bridge.link.level;
		r->bridge_links = p->bridge_list;
		r->n_bridge_links = 1;
		p->bridge_list[0] = &p->bridge_link;
		t->bridge.link.from = 0;
	}
	r->links = p->link_list;
	r->n_links = t->links_sent = t->nlinks;
	r->misses = p->miss_list;
	r->n_misses = t->misses_sent = t->nmisses;
}

/* What has arrived is not told again. */
void trainer_reported(bool arrived, void *trainer)
{
	struct trainer *t = trainer;

	if (arrived) {
		t->nlinks -= t->links_sent;
		t->nmisses -= t->misses_sent;
		if (t->nlinks)
			memmove(t->links, t->links + t->links_sent,
				t->nlinks * sizeof(*t->links));
		if (t->nmisses)
			memmove(t->misses, t->misses + t->misses_sent,
				t->nmisses * sizeof(*t->misses));
	}
	t->links_sent = t->misses_sent = 0;
	if (arrived && t->out_sent && !t->out_told) {
		t->out_told = true;
		trainer_look(t);
	}
}

/* --- for whoever asks ------------------------------------------------------
 */

void trainer_on_status(struct call *call, const ProtobufCMessage *in, void *arg)
{
	Gfl__V1__TrainerStatus out = GFL__V1__TRAINER_STATUS__INIT;
	const struct trainer *t = arg;
	const struct tally *y = &t->run.tally;
	const struct state *s = trainer_state(t);
	char layout[17];

	(void)in;
	trainer_layout(t, layout);
	out.trainer_id = t->id;
	set_string(&out.cluster_id, history_me(t->history)->cluster_id);
	set_string(&out.node_url, link_node(t->link));
	out.run = t->run.id;
	out.epoch = s ? s->epoch : 0;
	out.round = t->run.id ? t->run.at + 1 : 0;
	out.phase = (int32_t)t->run.meeting.phase;
	set_string(&out.state, state_name(t));
	out.loss = isnan(y->loss) ? 0 : y->loss;
	out.accuracy = isnan(y->accuracy) ? 0 : y->accuracy;
	out.bytes_sent = y->bytes_sent;
	out.bytes_received = y->bytes_received;
	out.misses = y->misses;
	out.layout_hash = layout;
	trainer_bridge_status(t, &out);
	call_reply(call, &out.base);
}

static int send_row(const struct history_row *row, void *arg)
{
	Gfl__V1__HistoryRow out = GFL__V1__HISTORY_ROW__INIT;

	out.run = row->run;
	out.round = row->round;
	out.loss = row->loss;
	if (!isnan(row->accuracy)) {
		out._accuracy_case = GFL__V1__HISTORY_ROW___ACCURACY_ACCURACY;
		out.accuracy = row->accuracy;
	}
	out.bytes_sent = row->bytes_sent;
	out.bytes_received = row->bytes_received;
	out.misses = row->misses;
	out.compute_s = row->compute_s;
	out.wait_s = row->wait_s;
	out.peer = row->peer;
	out.at_ms = row->at_ms;
	return call_send(arg, &out.base);
}

/* So many at a time, lest they all queue; who wants more asks
 * again after the last round it got. */
struct rows_sent {
	struct call *call;
	int left;
	bool failed;
};

static int send_some(const struct history_row *row, void *arg)
{
	struct rows_sent *r = arg;

	r->failed = send_row(row, r->call) != 0;
	return r->failed || --r->left == 0;
}

/* A reader that waits until the rounds so far are written. */
struct history_reader {
	struct trainer *t;
	struct call *call; /* NULL once its client has gone */
	int64_t run, after;
};

static void reader_gone(struct call *call, void *arg)
{
	(void)call;
	((struct history_reader *)arg)->call = NULL;
}

static void send_history(void *arg)
{
	struct history_reader r = *(struct history_reader *)arg;
	struct rows_sent rows = {r.call, 5000, false};
	struct err err;

	if (r.call)
		call_on_cancel(r.call, NULL, NULL);
	free(arg);
	if (!r.call)
		return;
	if (history_each(r.t->history, r.run, r.after, send_some, &rows, &err))
		call_fail(r.call, &err);
	else if (!rows.failed)
		call_end(r.call);
}

/* A run of the upper cluster is known here by its part. */
static int64_t run_of(const struct trainer *t, const Gfl__V1__HistoryRequest *q)
{
	const struct state *s = trainer_state(t);
	const Gfl__V1__Run *part;

	if (!*q->cluster_id ||
	    !strcmp(q->cluster_id, history_me(t->history)->cluster_id))
		return q->run;
	part = s ? state_part(s, q->cluster_id, q->run) : NULL;
	return part ? part->id : -1;
}

void trainer_on_history(struct call *call, const ProtobufCMessage *in,
			void *arg)
{
	const Gfl__V1__HistoryRequest *q = (const Gfl__V1__HistoryRequest *)in;
	struct history_reader *r = mem_zero(1, sizeof(*r));

	*r = (struct history_reader){arg, call, run_of(arg, q), q->after_round};
	call_on_cancel(call, reader_gone, r);
	history_settle(r->t->history, send_history, r);
}

#define METRICS(X, t)                                                    \
	X("round", (t)->run.id ? (t)->run.at + 1 : 0)                    \
	X("exchanges_total", (t)->run.tally.exchanges)                   \
	X("misses_total", (t)->run.tally.misses)                         \
	X("lost_replies_total", (t)->run.tally.lost)                     \
	X("sent_bytes_total", (t)->run.tally.bytes_sent)                 \
	X("received_bytes_total", (t)->run.tally.bytes_received)         \
	X("accuracy_ratio", (t)->run.id ? (t)->run.tally.accuracy : NAN) \
	X("loss", (t)->run.id ? (t)->run.tally.loss : NAN)

static void put_metric(struct buf *text, const char *name,
		       const struct trainer *t, double value)
{
	if (t->id && !isnan(value))
		buf_putf(text, "gfl_trainer_%s{trainer=\"%lld\"} %.15g\n", name,
			 (long long)t->id, value);
}

void trainer_metrics(struct trainer *const *all, int n, struct buf *text)
{
#define PUT(name, value)            \
	for (int i = 0; i < n; i++) \
		put_metric(text, name, all[i], (double)(value));
	METRICS(PUT, all[i])
#undef PUT
}
