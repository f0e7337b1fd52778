/* Each bound of what hosts, disks and the network may say, one by one. */
#include "test.h"

#include "../sim/raft_trace.h"

static struct trace t;

TEST(each_field_of_a_server_is_checked)
{
	static const struct {
		struct raft_config c;
		const char *field;
	} row[] = {
		{{.id = 0}, " id "},
		{{.id = 1, .heartbeat_ms = -1}, "heartbeat_ms"},
		{{.id = 1, .election_min_ms = 100}, "election_min_ms"},
		{{.id = 1, .election_max_ms = 149}, "election_max_ms"},
		{{.id = 1, .election_max_ms = 86400001}, "election_max_ms"},
		{{.id = 1, .max_inflight = -1}, "max_inflight"},
		{{.id = 1, .max_inflight = 4097}, "max_inflight"},
		{{.id = 1, .max_reads = -1}, "max_reads"},
		{{.id = 1, .piece_ms = -1}, "piece_ms"},
		{{.id = 1, .max_entry = 2, .max_uncommitted = 1}, "max_entry"},
		{{.id = 1, .term = -1}, "stored term"},
		{{.id = 1, .vote = -1}, "stored term"},
		{{.id = 1, .commit = -1}, "stored term"},
		{{.id = 1, .applied = -1}, "stored term"},
		{{.id = 1, .floor_index = -1}, "floor"},
		{{.id = 1, .floor_term = -1}, "floor"},
	};
	struct raft *r;
	struct err err;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		CHECK_INT(raft_open(&r, &row[i].c, &err), ERR_INVALID_ARGUMENT);
		CHECK_HAS(err.msg, row[i].field);
	}
}

static struct raft *opened(int64_t applied)
{
	struct raft_config c = {.id = 1, .term = 3, .applied = applied};
	struct raft *r;
	struct err err;

	CHECK_INT(raft_open(&r, &c, &err), 0);
	return r;
}

TEST(a_stored_snapshot_that_is_damaged_is_refused)
{
	static const struct raft_snapshot bad[] = {
		{.index = 0, .term = 1, .conf = "\1", .conf_len = 1},
		{.index = 1, .term = 0, .conf = "\1", .conf_len = 1},
		{.index = 1, .term = 1, .conf = "\1", .conf_len = 1, .len = -1},
		{.index = 1, .term = 1, .conf = "\3", .conf_len = 1},
		{.index = 1, .term = 1, .conf = "\2", .conf_len = 1},
		{.index = 1, .term = 1, .conf = "\1\1", .conf_len = 2},
		{.index = 1, .term = 1, .conf = "", .conf_len = 0},
	};
	struct raft_snapshot good = {
		.index = 4, .term = 1, .conf = "\1", .conf_len = 1, .len = 9};
	struct raft *r = opened(6);
	struct err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_INT(raft_load_snapshot(r, &bad[i], &err), ERR_DATA_LOSS);
	CHECK_INT(raft_load_pieces(r, &bad[0], 0, &err), ERR_DATA_LOSS);
	CHECK_INT(raft_load_pieces(r, &good, -1, &err), ERR_DATA_LOSS);
	CHECK_INT(raft_load_pieces(r, &good, 10, &err), ERR_DATA_LOSS);
	CHECK_INT(raft_load_snapshot(r, &good, &err), 0);
	raft_close(r);
}

TEST(stored_entries_follow_each_other)
{
	struct raft_entry e = {.index = 1,
			       .term = 2,
			       .type = RAFT_CONFIG,
			       .conf = "\1",
			       .conf_len = 1};
	struct raft *r = opened(1);
	struct raft_snapshot s;
	struct err err;

	e.term = 0;
	CHECK_INT(raft_load(r, &e, &err), ERR_DATA_LOSS);
	e.term = 2;
	CHECK_INT(raft_load(r, &e, &err), 0);
	e.index = 2;
	e.term = 1;
	CHECK_INT(raft_load(r, &e, &err), ERR_DATA_LOSS);
	CHECK(raft_snapshot_now(r, &s)); /* with what was applied before */
	CHECK(s.index == 1 && s.conf_len == 1);
	raft_close(r);
}

TEST(a_server_that_has_not_started_takes_no_part)
{
	struct raft_msg m = {
		.type = RAFT_HEARTBEAT, .from = 2, .to = 1, .term = 9};
	struct raft *r = opened(0);
	struct err err;

	raft_tick(r, 1000);
	CHECK_INT(raft_step(r, 1000, &m, &err), ERR_UNAVAILABLE);
	CHECK(raft_deadline(r) == INT64_MAX);
	CHECK_INT(raft_bootstrap(r, 0, "", 0, &err), ERR_FAILED_PRECONDITION);
	raft_close(r);
}

static struct raft_entry entries[2];

static struct raft_msg append_of(int n)
{
	for (int i = 0; i < 2; i++)
		entries[i] = (struct raft_entry){
			.index = 2 + i, .term = 2, .type = RAFT_NORMAL};
	return (struct raft_msg){.type = RAFT_APPEND,
				 .from = 1,
				 .to = 2,
				 .term = 2,
				 .index = 1,
				 .log_term = 1,
				 .entries = entries,
				 .n = (size_t)n};
}

TEST(each_field_of_a_message_is_checked)
{
	static const int64_t far = INT64_C(1) << 61;
	struct raft_msg m[16];
	int n = 0;

	trace_init(&t, 3);
	for (int i = 0; i < 16; i++)
		m[i] = append_of(0);
	m[n++].to = 3;
	m[n++].from = 0;
	m[n++].type = (enum raft_msg_type)0;
	m[n++].term = 0;
	m[n++].term = far;
	m[n++].log_term = -1;
	m[n++].index = -1;
	m[n++].index = far;
	m[n++].hint = -1;
	m[n++].context = -1;
	m[n++].len = 1;
	m[n++].conf_len = 1;
	for (int i = 0; i < n; i++) {
		struct raft_msg own = m[i];
		struct err err;

		CHECK_INT(raft_step(at(&t, 2), 0, &own, &err),
			  ERR_INVALID_ARGUMENT);
	}
	trace_end(&t);
}

TEST(each_field_of_an_entry_in_a_message_is_checked)
{
	struct raft_msg m;

	trace_init(&t, 3);
	for (int i = 0; i < 6; i++) {
		m = append_of(2);
		switch (i) {
		case 0:
			entries[0].type = (enum raft_entry_type)0;
			break;
		case 1:
			entries[1].type = (enum raft_entry_type)4;
			break;
		case 2:
			entries[1].conf = "\1";
			entries[1].conf_len = 1;
			break;
		case 3:
			entries[1].term = 3;
			break;
		case 4:
			entries[0].term = 0;
			break;
		case 5:
			m.index = m.log_term = 0;
			entries[0].index = 1;
			entries[0].term = 0;
			m.n = 1;
			break;
		}
		CHECK_INT(step(&t, &m), ERR_INVALID_ARGUMENT);
	}
	CHECK_STR(terms(&t, 2), "1");
	trace_end(&t);
}

/* It may be the first that a candidate of an older term hears of ours. */
TEST(a_candidate_of_an_older_term_is_corrected)
{
	struct raft_msg m = {.type = RAFT_VOTE, .from = 3, .to = 1, .term = 1};

	trace_init(&t, 3);
	elect(&t, 1);
	CHECK(!step(&t, &m));
	CHECK(mail(&t, 1, 3, RAFT_VOTE_REPLY)->msg.reject);
	CHECK_INT(mail(&t, 1, 3, RAFT_VOTE_REPLY)->msg.term, 2);
	trace_end(&t);
}

TEST(proposals_that_make_no_sense_are_refused)
{
	struct raft_entry e[] = {{.type = RAFT_NOOP},
				 {.type = RAFT_NORMAL, .conf_len = 1}};
	int64_t index, term;
	struct err err;

	trace_init(&t, 1);
	elect(&t, 1);
	for (int i = 0; i < 2; i++)
		CHECK_INT(raft_propose(at(&t, 1), now_ms(&t), &e[i], 1, &index,
				       &term, &err),
			  ERR_INVALID_ARGUMENT);
	trace_end(&t);
}

TEST(a_configuration_is_bounded_like_any_entry)
{
	static const char big[4096];
	struct raft_entry e = {.data = big, .len = sizeof(big)};
	struct raft_member to[] = {{.id = 2, .role = RAFT_LEARNER}};
	int64_t index, term;
	struct err err;

	trace_init(&t, 1);
	elect(&t, 1);
	CHECK_INT(raft_change_many(at(&t, 1), now_ms(&t), to, 1, &e, &index,
				   &term, &err),
		  ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "4096");
	CHECK_INT(status(&t, 1).last, 2);
	CHECK_INT(raft_promotable(at(&t, 1), 1, &err), 0);
	CHECK_INT(raft_promotable(at(&t, 1), 7, &err), ERR_FAILED_PRECONDITION);
	trace_end(&t);
}

TEST(there_are_at_most_so_many_members)
{
	struct raft_config c = {.id = 1};
	static struct raft_member to[RAFT_MEMBERS_MAX];
	struct raft_entry e = {0};
	int64_t index, term;
	struct raft *r;
	struct err err;

	for (int i = 0; i < RAFT_MEMBERS_MAX; i++)
		to[i] = (struct raft_member){.id = i + 2, .role = RAFT_LEARNER};
	CHECK(!raft_open(&r, &c, &err));
	CHECK(!raft_start(r, 0, &err));
	CHECK(!raft_bootstrap(r, 0, "", 0, &err));
	for (struct raft_write wr; raft_next_write(r, &wr);)
		raft_written(r, 0, wr.seq);
	CHECK_INT(raft_change_many(r, 0, to, RAFT_MEMBERS_MAX, &e, &index,
				   &term, &err),
		  ERR_RESOURCE_EXHAUSTED);
	CHECK_INT(raft_change_many(r, 0, to, RAFT_MEMBERS_MAX - 1, &e, &index,
				   &term, &err),
		  0);
	CHECK_INT(raft_conf(r)->n, RAFT_MEMBERS_MAX);
	CHECK(!raft_entry_joint(raft_entry(r, index)));
	raft_close(r);
}

/* Answers about snapshots that nobody sends, or not so. */
TEST(an_answer_to_no_piece_changes_nothing)
{
	struct raft_msg m = {.type = RAFT_PIECE_REPLY, .from = 2, .to = 1};

	trace_init(&t, 3);
	m.term = 1;
	m.index = m.log_term = 1;
	CHECK(!step(&t, &m)); /* a follower */
	elect(&t, 1);
	m.term = 2;
	CHECK(!step(&t, &m)); /* no snapshot is sent */
	m.from = 7;
	CHECK(!step(&t, &m)); /* a stranger */
	CHECK_INT(status(&t, 1).commit, 2);
	trace_end(&t);
}

static struct raft_msg piece_of(int64_t hint, size_t len)
{
	static const char conf[] = "\1";

	return (struct raft_msg){.type = RAFT_PIECE,
				 .from = 1,
				 .to = 3,
				 .term = 2,
				 .index = 9,
				 .log_term = 2,
				 .context = 8,
				 .hint = hint,
				 .conf = conf,
				 .conf_len = 1,
				 .data = "01234567",
				 .len = len};
}

TEST(pieces_come_in_order_and_one_at_a_time)
{
	struct raft_msg m = piece_of(4, 4);

	trace_init(&t, 3);
	t.slow[3] = true;
	CHECK(!step(&t, &m)); /* not the first */
	sync_disk(&t, 3);
	CHECK_INT(mail(&t, 3, 1, RAFT_PIECE_REPLY)->msg.hint, 0);
	lose(&t, 0, 0, 0);
	t.w.max_jobs = 0; /* the host's writer is busy */
	m = piece_of(0, 4);
	CHECK(!step(&t, &m));
	CHECK(!step(&t, &m)); /* it will be answered */
	CHECK_INT(mails(&t, 3, 0, 0), 0);
	t.w.max_jobs = 8;
	tick(&t, 3);
	sync_disk(&t, 3);
	CHECK_INT(mails(&t, 3, 1, RAFT_PIECE_REPLY), 1);
	CHECK_INT(mail(&t, 3, 1, RAFT_PIECE_REPLY)->msg.hint, 4);
	lose(&t, 0, 0, 0);
	m.context = 7; /* another one of the same entry */
	CHECK(!step(&t, &m));
	sync_disk(&t, 3);
	CHECK_INT(t.w.server[3].disk.next.len, 7);
	trace_end(&t);
}

/* The answer to a heartbeat may bring the last vote that a removal lacked. */
TEST(a_heartbeats_answer_can_end_a_leader)
{
	trace_init(&t, 3);
	elect(&t, 1);
	heartbeat(&t, 1);
	settle(&t);
	CHECK(!change(&t, 1, 1, RAFT_NONE));
	while (arrive(&t, 0, 0, RAFT_APPEND, false))
		;
	for (int id = 1; id <= 3; id++)
		sync_disk(&t, id);
	lose(&t, 0, 1, RAFT_APPEND_REPLY);
	heartbeat(&t, 1);
	while (arrive(&t, 0, 0, RAFT_HEARTBEAT, false) ||
	       arrive(&t, 0, 0, RAFT_HEARTBEAT_REPLY, false))
		;
	CHECK_INT(status(&t, 1).role, RAFT_FOLLOWER);
	CHECK(status(&t, 1).removed);
	trace_end(&t);
}

TEST(roles_have_names)
{
	CHECK_STR(raft_role_name(RAFT_FOLLOWER), "follower");
	CHECK_STR(raft_role_name(RAFT_LEADER), "leader");
}
