/* The core of Raft, at first the founder and leader of a cluster: messages of
 * any content, time and proposals, in any order. */
#include "fuzz.h"

#include <string.h>

#include "raft/codec.h"
#include "raft/raft.h"

/* Of a snapshot. */
static const char state[] = "some bytes";

struct input {
	const uint8_t *p, *end;
};

struct host {
	struct raft *r;
	struct input in;
	int64_t now_ms, written, applied;
	bool over; /* it says that the cluster is damaged */
};

static uint8_t byte(struct input *in)
{
	return in->p < in->end ? *in->p++ : 0;
}

/* Mostly small, so that terms and indexes meet. */
static int64_t number(struct input *in)
{
	static const int64_t odd[] = {-1, INT64_MAX, INT64_MIN, 1 << 20};
	uint8_t b = byte(in);

	return b < 252 ? b % 32 : odd[b - 252];
}

static void check_message(const struct raft_msg *m)
{
	Gfl__V1__RaftMessage *msg;
	struct raft_msg back;
	struct err err;
	size_t size;

	FUZZ_CHECK(m->to > 0 && m->type);
	msg = raft_encode(m, &size);
	FUZZ_CHECK(!raft_decode(&back, msg, &err));
	FUZZ_CHECK(back.term == m->term && back.n == m->n);
	FUZZ_CHECK(back.len == m->len && back.conf_len == m->conf_len);
	free((void *)back.entries);
	free(msg);
}

/* Take what it gives; writes are done at once. */
static void drain(struct host *h)
{
	const struct raft_entry *e;
	struct raft_write w;
	struct raft_snapshot s;
	struct raft_msg m;
	struct raft_read read;

	while (raft_next_write(h->r, &w)) {
		FUZZ_CHECK(w.seq == ++h->written);
		raft_written(h->r, h->now_ms, w.seq);
	}
	while (raft_next_msg(h->r, &m)) {
		if (m.type == RAFT_PIECE)
			m.data = state + m.hint;
		check_message(&m);
	}
	while (raft_next_restore(h->r, &s)) {
		FUZZ_CHECK(s.index > h->applied);
		h->applied = s.index;
	}
	while ((e = raft_next_apply(h->r)))
		FUZZ_CHECK(e->index == ++h->applied);
	while (raft_next_read(h->r, &read))
		FUZZ_CHECK(read.refused || read.index <= h->applied);
}

static struct raft_entry entry(struct input *in, void **conf)
{
	struct raft_entry e = {
		.index = number(in),
		.term = number(in),
		.type = (enum raft_entry_type)(byte(in) % 5),
		.data = "x",
		.len = byte(in) % 2,
	};
	struct raft_member members[3];
	const struct raft_conf c = {members, byte(in) % 4};

	*conf = NULL;
	for (int i = 0; i < c.n; i++)
		members[i] = (struct raft_member){
			.id = number(in),
			.role = (enum raft_member_role)(byte(in) % 4),
			.old = byte(in) % 4 == 0,
		};
	if (e.type == RAFT_CONFIG) {
		e.conf_len = raft_conf_encode(&c, conf);
		e.conf = *conf;
	}
	return e;
}

static void piece(struct raft_msg *m, size_t len, void **conf)
{
	struct raft_member members[2] = {{.id = 1, .role = RAFT_VOTER},
					 {.id = 2, .role = RAFT_VOTER}};
	const struct raft_conf c = {members, 2};

	m->n = 0;
	m->data = state;
	m->len = len;
	m->conf_len = raft_conf_encode(&c, conf);
	m->conf = *conf;
}

static void compact(struct host *h, int64_t kept)
{
	struct raft_snapshot s;
	struct err err;

	if (!raft_snapshot_now(h->r, &s))
		return;
	s.len = sizeof(state) - 1;
	FUZZ_CHECK(
		!raft_compact(h->r, h->now_ms, &s, s.index + 1 - kept, &err));
}

static void step(struct host *h)
{
	struct input *in = &h->in;
	struct raft_entry entries[4];
	void *confs[4] = {0};
	struct err err;
	struct raft_msg m = {
		.type = (enum raft_msg_type)(byte(in) % 12),
		.from = number(in),
		.to = 1,
		.term = number(in),
		.index = number(in),
		.log_term = number(in),
		.hint = number(in),
		.commit = number(in),
		.context = number(in),
		.entries = entries,
	};
	uint8_t bits = byte(in);

	m.reject = bits & 1;
	m.force = bits & 2;
	m.removed = bits & 4;
	m.lost = bits & 8;
	m.n = bits >> 5 & 3;
	for (size_t i = 0; i < m.n; i++)
		entries[i] = entry(in, &confs[i]);
	if (m.type == RAFT_PIECE)
		piece(&m, bits >> 3 & 3, &confs[3]);
	h->over = raft_step(h->r, h->now_ms, &m, &err) == ERR_DATA_LOSS;
	for (size_t i = 0; i < 4; i++)
		free(confs[i]);
}

static void act(struct host *h)
{
	const struct raft_entry e = {
		.type = RAFT_NORMAL, .data = "y", .len = 1};
	int64_t index, term, due_ms = raft_deadline(h->r);
	uint8_t what = byte(&h->in);
	int64_t id = byte(&h->in) % 5;

	switch (what % 8) {
	case 0:
		(void)!!raft_propose(h->r, h->now_ms, &e, 1, &index, &term,
				     NULL);
		break;
	case 1:
		(void)!!raft_change(h->r, h->now_ms, id,
				    (enum raft_member_role)(what >> 3 & 3), &e,
				    &index, &term, NULL);
		break;
	case 2:
		(void)!!raft_transfer(h->r, h->now_ms, id, NULL);
		break;
	case 3:
		(void)!!raft_read(h->r, h->now_ms, id, NULL);
		break;
	case 4:
		raft_unreachable(h->r, h->now_ms, id);
		break;
	case 5:
		if (due_ms != INT64_MAX)
			h->now_ms = due_ms;
		raft_tick(h->r, h->now_ms);
		break;
	case 6:
		if (what & 8) {
			compact(h, id);
			break;
		}
		step(h);
		break;
	default:
		step(h);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct raft_config config = {.id = 1, .seed = 7};
	struct host h = {.in = {data, data + len}};
	struct err err;

	FUZZ_CHECK(!raft_open(&h.r, &config, &err));
	FUZZ_CHECK(!raft_start(h.r, 0, &err));
	if (byte(&h.in) & 1)
		FUZZ_CHECK(!raft_bootstrap(h.r, 0, "", 0, &err));
	drain(&h);
	while (h.in.p < h.in.end && !h.over) {
		act(&h);
		drain(&h);
	}
	raft_close(h.r);
	return 0;
}
