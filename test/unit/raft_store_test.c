#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "raft/store.h"
#include "store/schema.h"

static struct db *open_store(void)
{
	static const char *const steps[] = {
		raft_store_schema, raft_snapshot_schema, raft_tail_schema,
		raft_conf_schema};
	struct db *d;
	struct err err;

	if (db_open(&d, "a.db", DB_NODE, &err) ||
	    schema_apply(d, steps, 4, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	return d;
}

static struct raft_entry entry(int64_t index, int64_t term, const char *data)
{
	return (struct raft_entry){
		.index = index,
		.term = term,
		.type = RAFT_NORMAL,
		.client = 9,
		.seq = index,
		.data = data,
		.len = strlen(data),
	};
}

static void write_entries(struct db *d, int64_t term, int64_t truncate_from,
			  const struct raft_entry *e, size_t n,
			  struct raft_tail *last)
{
	struct raft_write w = {
		.term = term,
		.vote = 2,
		.commit = 1,
		.truncate_from = truncate_from,
		.entries = e,
		.n = n,
	};
	struct err err;

	CHECK(!db_exec(d, "BEGIN", &err));
	if (raft_store_write(d, &w, last, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	CHECK(!db_exec(d, "COMMIT", &err));
}

/* Three entries: a, bb, ccc. */
static struct db *open_three(struct raft_tail *last)
{
	const struct raft_entry e[] = {
		entry(1, 1, "a"),
		entry(2, 1, "bb"),
		entry(3, 2, "ccc"),
	};
	struct db *d = open_store();

	*last = (struct raft_tail){0};
	write_entries(d, 2, 0, e, 3, last);
	return d;
}

static int collect(const struct raft_entry *e, void *arg, struct err *err)
{
	(void)err;
	buf_putf(arg, "%lld/%lld:", (long long)e->index, (long long)e->term);
	buf_put(arg, e->data, e->len);
	buf_putc(arg, ' ');
	return 0;
}

static int read_all(struct db *d, struct buf *text, uint32_t *last,
		    struct err *err)
{
	buf_reset(text);
	return raft_store_each(d, 1, 0, collect, text, last, err);
}

TEST(raft_store_gives_back_what_was_written)
{
	struct raft_config cfg = {.id = 2};
	struct buf text = BUF_INIT(0);
	struct raft_tail last;
	uint32_t again;
	struct db *d = open_three(&last);

	db_close(d);
	d = open_store();
	CHECK(!raft_store_hard_state(d, &cfg, NULL));
	CHECK_INT(cfg.term, 2);
	CHECK_INT(cfg.vote, 2);
	CHECK_INT(cfg.commit, 1);
	CHECK(!read_all(d, &text, &again, NULL));
	CHECK_STR(text.p, "1/1:a 2/1:bb 3/2:ccc ");
	CHECK_INT(again, last.hash);
	buf_reset(&text);
	CHECK(!raft_store_each(d, 2, 2, collect, &text, NULL, NULL));
	CHECK_STR(text.p, "2/1:bb ");
	buf_release(&text);
	db_close(d);
}

TEST(raft_store_of_a_new_file_is_empty)
{
	struct raft_config cfg = {.id = 2};
	struct raft_store_meta meta;
	struct db *d = open_store();

	CHECK(!raft_store_hard_state(d, &cfg, NULL));
	CHECK_INT(cfg.term, 0);
	CHECK(!raft_store_meta(d, &meta, NULL));
	CHECK_STR(meta.cluster_id, "");
	meta.node_id = 7;
	snprintf(meta.cluster_id, sizeof(meta.cluster_id), "c1");
	snprintf(meta.instance_id, sizeof(meta.instance_id), "i1");
	CHECK(!raft_store_set_meta(d, &meta, NULL));
	memset(&meta, 1, sizeof(meta));
	CHECK(!raft_store_meta(d, &meta, NULL));
	CHECK_INT(meta.node_id, 7);
	CHECK_STR(meta.cluster_id, "c1");
	CHECK_STR(meta.instance_id, "i1");
	db_close(d);
}

TEST(raft_store_replaces_what_was_truncated)
{
	const struct raft_entry other[] = {entry(2, 3, "x"), entry(3, 3, "y")};
	struct buf text = BUF_INIT(0);
	struct raft_tail last;
	struct db *d = open_three(&last);

	write_entries(d, 3, 2, other, 2, &last);
	CHECK(!read_all(d, &text, NULL, NULL));
	CHECK_STR(text.p, "1/1:a 2/3:x 3/3:y ");
	write_entries(d, 4, 1, NULL, 0, &last);
	CHECK_INT(last.hash, 0);
	CHECK_INT(last.index, 0);
	CHECK(!read_all(d, &text, NULL, NULL));
	CHECK_INT(text.len, 0);
	buf_release(&text);
	db_close(d);
}

/* sql damages the file; what is said of it afterwards. */
static void check_damage(const char *sql, const char *says)
{
	struct buf text = BUF_INIT(0);
	struct raft_tail last;
	struct db *d = open_three(&last);
	struct err err;

	CHECK(!db_exec(d, sql, &err));
	CHECK(read_all(d, &text, NULL, &err) == ERR_DATA_LOSS);
	CHECK_STR(err.msg, says);
	buf_release(&text);
	db_close(d);
}

TEST(raft_store_finds_a_changed_row)
{
	check_damage("UPDATE log SET data = x'626200' WHERE idx = 2",
		     "a.db is damaged: log entry 2 does not have its checksum");
}

TEST(raft_store_finds_a_changed_number)
{
	check_damage("UPDATE log SET term = 1 WHERE idx = 3",
		     "a.db is damaged: log entry 3 does not have its checksum");
}

TEST(raft_store_finds_a_lost_row)
{
	check_damage("DELETE FROM log WHERE idx = 2",
		     "a.db is damaged: log entry 2 is missing");
}

/* A row that is whole, but of another history. */
TEST(raft_store_finds_a_row_that_does_not_follow)
{
	struct buf text = BUF_INIT(0);
	const struct raft_entry other = entry(3, 2, "ddd");
	struct raft_tail last, elsewhere = {.hash = 12345};
	struct db *d = open_three(&last);
	struct err err;

	CHECK(!db_exec(d, "DELETE FROM log WHERE idx = 3", &err));
	write_entries(d, 2, 0, &other, 1, &elsewhere);
	CHECK(read_all(d, &text, NULL, &err) == ERR_DATA_LOSS);
	CHECK_HAS(err.msg, "log entry 3 does not follow");
	buf_release(&text);
	db_close(d);
}

TEST(raft_store_finds_a_changed_vote)
{
	struct raft_config cfg = {.id = 2};
	struct raft_tail last;
	struct db *d = open_three(&last);
	struct err err;

	CHECK(!db_exec(d, "UPDATE hard_state SET vote = 3", &err));
	CHECK(raft_store_hard_state(d, &cfg, &err) == ERR_DATA_LOSS);
	CHECK_HAS(err.msg, "a.db is damaged: the hard state");
	db_close(d);
}

static int stop_at_two(const struct raft_entry *e, void *arg, struct err *err)
{
	(void)arg;
	return e->index == 2 ? err_set(err, ERR_CANCELLED, "enough") : 0;
}

TEST(raft_store_stops_reading_when_told)
{
	struct raft_tail last;
	struct db *d = open_three(&last);
	struct err err;

	CHECK(raft_store_each(d, 1, 0, stop_at_two, NULL, NULL, &err) ==
	      ERR_CANCELLED);
	db_close(d);
}

/* A child appends for as long as it lives, and says after each commit up to
 * where; whatever it said is there after kill -9, and whole. */
TEST(raft_store_has_all_that_was_committed_after_kill_9)
{
	int64_t said = 0, index;
	struct buf text = BUF_INIT(0);
	struct raft_tail last = {0};
	int pipes[2];
	struct db *d;
	pid_t pid;

	CHECK(!pipe(pipes));
	pid = fork();
	if (!pid) {
		d = open_store();
		for (index = 1;; index++) {
			struct raft_entry e = entry(index, 1, "data");

			write_entries(d, 1, 0, &e, 1, &last);
			if (write(pipes[1], &index, sizeof(index)) < 0)
				_exit(1);
		}
	}
	while (said < 50)
		CHECK(read(pipes[0], &said, sizeof(said)) == sizeof(said));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(pipes[1]);
	while (read(pipes[0], &index, sizeof(index)) == sizeof(index))
		said = index;
	d = open_store();
	CHECK(!read_all(d, &text, NULL, NULL));
	CHECK(!db_number(d, "SELECT max(idx) FROM log", 0, &index, NULL));
	CHECK(index >= said);
	buf_release(&text);
	db_close(d);
}

static struct raft_image image_at(int64_t index, const char *state)
{
	struct raft_image image = {.of = {.index = index, .term = 2}};

	raft_image_fill(&image, state, strlen(state));
	return image;
}

static void put_image(struct db *d, int64_t index, int64_t first)
{
	struct raft_image image = image_at(index, "state");
	struct err err;

	CHECK(!db_exec(d, "BEGIN", &err));
	if (raft_store_put_image(d, &image, first, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	CHECK(!db_exec(d, "COMMIT", &err));
	raft_image_release(&image);
}

TEST(raft_store_goes_on_after_a_snapshot)
{
	const struct raft_entry more = entry(4, 2, "d");
	struct buf text = BUF_INIT(0);
	struct raft_image image;
	const void *state;
	struct raft_tail last;
	uint32_t again;
	size_t len;
	struct err err;
	struct db *d = open_three(&last);

	put_image(d, 2, 2);
	CHECK(!read_all(d, &text, &again, &err));
	CHECK_STR(text.p, "2/1:bb 3/2:ccc ");
	CHECK_INT(again, last.hash);
	put_image(d, 3, 4); /* no row is left */
	CHECK(!read_all(d, &text, &again, &err));
	CHECK_INT(text.len, 0);
	CHECK_INT(again, last.hash);
	write_entries(d, 2, 4, &more, 1, &last);
	CHECK(!read_all(d, &text, &again, &err));
	CHECK_STR(text.p, "4/2:d ");
	CHECK(!raft_store_image(d, &image, &err));
	CHECK_INT(image.of.index, 3);
	CHECK(!raft_image_open(&image, &state, &len, &err));
	CHECK_INT(len, 5);
	raft_image_release(&image);
	buf_release(&text);
	db_close(d);
}

TEST(raft_store_misses_what_the_snapshot_does_not_have)
{
	struct buf text = BUF_INIT(0);
	struct err err;
	struct raft_tail last;
	struct db *d = open_three(&last);

	put_image(d, 1, 2);
	CHECK(!db_exec(d, "DELETE FROM log WHERE idx = 2", &err));
	CHECK_INT(read_all(d, &text, NULL, &err), ERR_DATA_LOSS);
	CHECK_HAS(err.msg, "log entry 2 is missing");
	buf_release(&text);
	db_close(d);
}

static int put_piece(struct db *d, struct raft_image *image, int64_t from,
		     size_t len, struct raft_tail *last)
{
	const struct raft_piece piece = {
		.of = image->of,
		.offset = from,
		.data = image->bytes + from,
		.len = len,
		.complete = from + (int64_t)len == image->of.len,
	};
	const struct raft_write w = {.term = 3, .commit = 3, .piece = &piece};
	struct err err;
	int rc;

	CHECK(!db_exec(d, "BEGIN", &err));
	rc = raft_store_write(d, &w, last, &err);
	CHECK(!db_exec(d, rc ? "ROLLBACK" : "COMMIT", &err));
	return rc;
}

TEST(raft_store_takes_a_snapshot_in_pieces)
{
	const struct raft_entry more = entry(10, 3, "d");
	struct raft_image sent = image_at(9, "a state of some length"), got;
	struct buf text = BUF_INIT(0);
	struct err err;
	struct raft_tail last;
	struct db *d = open_three(&last);

	CHECK_INT(put_piece(d, &sent, 0, 20, &last), 0);
	db_close(d);
	d = open_store();
	CHECK(!raft_store_parts(d, &got, &err));
	CHECK_INT(got.got, 20);
	CHECK_INT(got.of.index, 9);
	raft_image_release(&got);
	CHECK_INT(put_piece(d, &sent, 20, (size_t)sent.of.len - 20, &last), 0);
	CHECK(!raft_store_image(d, &got, &err));
	CHECK_INT(got.of.index, 9);
	raft_image_release(&got);
	CHECK(!raft_store_parts(d, &got, &err));
	CHECK_INT(got.of.index, 0);
	write_entries(d, 3, 0, &more, 1, &last);
	CHECK(!read_all(d, &text, NULL, &err));
	CHECK_STR(text.p, "10/3:d ");
	raft_image_release(&sent);
	buf_release(&text);
	db_close(d);
}

TEST(raft_store_refuses_a_snapshot_that_came_damaged)
{
	struct raft_image sent = image_at(9, "a state of some length");
	struct raft_tail last;
	struct db *d = open_three(&last);

	sent.bytes[40] ^= 1;
	CHECK_INT(put_piece(d, &sent, 0, (size_t)sent.of.len, &last),
		  ERR_DATA_LOSS);
	raft_image_release(&sent);
	db_close(d);
}
