/* Tensors between a server and clients in one loop. */
#define TEST_SECONDS 20
#include "test.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "proto/gateway.pb-c.h"
#include "proto/trainer.pb-c.h"
#include "proxy.h"
#include "wire/tensor_impl.h"
#include "world.h"

static const struct rpc_method pull_method = {
	.path = "/test/Pull",
	.in = &gfl__v1__pull_model_request__descriptor,
	.out = &gfl__v1__tensor_chunk__descriptor,
	.kind = RPC_SERVER_STREAM,
	.channel = RPC_BULK,
	.again = true,
};

static const struct rpc_method push_method = {
	.path = "/test/Push",
	.in = &gfl__v1__tensor_chunk__descriptor,
	.out = &gfl__v1__probe_response__descriptor,
	.kind = RPC_CLIENT_STREAM,
	.channel = RPC_BULK,
};

struct bed {
	struct world w;
	struct proxy proxy;
	struct client *c;
	struct tensor_pull *pull;
	struct tensor_push *push;
	struct tensor_info info, seen; /* given; as the taker saw it */
	struct tensor_bytes from;
	uint8_t *bytes, *got;
	uint64_t at, asked_at; /* taken; the last offset asked for */
	int asks, overs, begins, refuse;
	bool done, stale, from_start;
	struct err err;
	double answer;
};

/* ---- serving ---- */

static void over(void *arg)
{
	((struct bed *)arg)->overs++;
}

static void serve_pull(struct call *call, const ProtobufCMessage *msg,
		       void *arg)
{
	const Gfl__V1__PullModelRequest *in =
		(const Gfl__V1__PullModelRequest *)msg;
	struct bed *b = arg;

	b->asks++;
	b->asked_at = in->offset;
	if (in->offset && b->stale)
		b->info.sha256[0] = b->info.sha256[0] == 'a' ? 'b' : 'a';
	tensor_give(call, &b->info, &b->from, b->from_start ? 0 : in->offset,
		    over, b);
}

static int begin(const struct tensor_info *info, void *arg, struct err *err)
{
	struct bed *b = arg;

	b->begins++;
	b->seen = *info;
	if (b->got)
		b->at = 0; /* all comes anew */
	free(b->got);
	b->got = NULL;
	if (b->refuse)
		return err_set(err, ERR_FAILED_PRECONDITION, "not that one");
	b->got = mem_zero(info->size + 1, 1);
	return 0;
}

static int take(uint64_t offset, const void *p, size_t len, void *arg,
		struct err *err)
{
	struct bed *b = arg;

	(void)err;
	CHECK_INT(offset, b->at);
	CHECK(len > 0 && len <= TENSOR_CHUNK);
	memcpy(b->got + offset, p, len);
	b->at += len;
	return 0;
}

static const struct tensor_sink sink = {.begin = begin, .bytes = take};

static void taken(struct call *call, const struct err *err, void *arg)
{
	Gfl__V1__ProbeResponse out = GFL__V1__PROBE_RESPONSE__INIT;
	struct bed *b = arg;

	b->overs++;
	if (err)
		return;
	out.bytes_per_s = (double)b->at;
	call_reply(call, &out.base);
}

static void serve_push(struct call *call, const ProtobufCMessage *msg,
		       void *arg)
{
	(void)msg;
	tensor_take(call, &sink, taken, arg);
}

static void bed_open(struct bed *b, size_t size)
{
	*b = (struct bed){.info = {.layout = "l", .version = 9}};
	CHECK(!loop_open(&b->w.loop, NULL));
	proxy_open(&b->proxy, b->w.loop);
	CHECK(!server_open(&b->w.server, b->w.loop,
			   &(struct server_opts){.listen = "127.0.0.1:0",
						 .advertise = b->proxy.url},
			   NULL));
	b->proxy.to_port = server_port(b->w.server);
	server_handle_method(b->w.server, &pull_method, serve_pull, b);
	server_handle_method(b->w.server, &push_method, serve_push, b);
	CHECK(!client_open(&b->c, b->w.loop, NULL, NULL));
	b->bytes = mem_zero(size + 1, 1);
	for (size_t i = 0; i < size; i++)
		b->bytes[i] = (uint8_t)(i * 7 + (i >> 12));
	b->from.p = b->bytes;
	b->info.size = size;
	if (size && !(size % 8)) {
		strcpy(b->info.dtype, "F32");
		b->info.rank = 2;
		b->info.shape[0] = size / 8;
		b->info.shape[1] = 2;
	}
	CHECK(!tensor_hash(&b->info, &b->from, NULL));
}

static void bed_close(struct bed *b)
{
	tensor_pull_cancel(b->pull);
	tensor_push_cancel(b->push);
	client_close(b->c);
	proxy_close(&b->proxy);
	world_close(&b->w);
	free(b->bytes);
	free(b->got);
}

/* ---- calling ---- */

static const ProtobufCMessage *ask(uint64_t offset, const char *sha256,
				   void *arg)
{
	static Gfl__V1__PullModelRequest in;
	struct bed *b = arg;

	gfl__v1__pull_model_request__init(&in);
	in.offset = offset;
	CHECK_STR(sha256, offset || b->at ? b->seen.sha256 : "");
	return &in.base;
}

static void pulled(const struct err *err, void *arg)
{
	struct bed *b = arg;

	CHECK(!b->done);
	b->done = true;
	b->pull = NULL;
	b->err = err ? *err : (struct err){0};
}

static void pull_from(struct bed *b, const char *url, int64_t timeout_ms)
{
	struct rpc_opts opts = {.timeout_ms = timeout_ms};

	b->done = false;
	b->pull = tensor_pull(b->c, url, &pull_method, &opts, ask, &sink,
			      pulled, b);
}

static void pull(struct bed *b)
{
	pull_from(b, server_url(b->w.server), 60000);
	UNTIL(&b->w, b->done);
}

static void check_whole(const struct bed *b)
{
	CHECK_STR(b->err.msg, "");
	CHECK_INT(b->at, b->info.size);
	CHECK(!memcmp(b->bytes, b->got, b->info.size));
	CHECK_INT(b->begins, 1);
	CHECK_STR(b->seen.sha256, b->info.sha256);
	CHECK_STR(b->seen.layout, "l");
	CHECK_INT(b->seen.version, 9);
}

TEST(a_tensor_arrives_as_it_was)
{
	struct bed b;

	bed_open(&b, 10 << 20);
	pull(&b);
	check_whole(&b);
	CHECK_STR(b.seen.dtype, "F32");
	CHECK_INT(b.seen.rank, 2);
	CHECK_INT(b.seen.shape[0], (10 << 20) / 8);
	CHECK_INT(b.overs, 1);
	bed_close(&b);
}

TEST(sizes_around_a_chunk_arrive)
{
	static const size_t sizes[] = {0,
				       1,
				       TENSOR_CHUNK - 1,
				       TENSOR_CHUNK,
				       TENSOR_CHUNK + 1,
				       2 * TENSOR_CHUNK};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bed b;

		bed_open(&b, sizes[i]);
		pull(&b);
		check_whole(&b);
		bed_close(&b);
	}
}

static int open_file(struct bed *b, size_t len)
{
	int fd = open("tensor", O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0);
	CHECK(!tensor_write(fd, 0, b->bytes, len, NULL));
	b->from = (struct tensor_bytes){NULL, fd};
	return fd;
}

/* The first had bytes are there, in a file. */
static void pull_rest(struct bed *b, uint64_t had)
{
	struct rpc_opts opts = {.timeout_ms = 60000};
	struct tensor_had first = {.fd = open("part", O_RDWR | O_CREAT, 0600),
				   .had = had};
	struct err err;

	CHECK(!tensor_write(first.fd, 0, b->bytes, had, NULL));
	strcpy(first.sha256, b->info.sha256);
	strcpy(b->seen.sha256, b->info.sha256);
	b->at = had;
	b->done = false;
	CHECK(!tensor_pull_rest(&b->pull, b->c, server_url(b->w.server),
				&pull_method, &opts, &first, ask, &sink, pulled,
				b, &err));
	UNTIL(&b->w, b->done);
	close(first.fd);
	if (b->got)
		memcpy(b->got, b->bytes, had);
}

TEST(what_is_there_already_does_not_come_again)
{
	static const size_t had[] = {1, 3 << 20, (5 << 20) - 8, 5 << 20};

	for (size_t i = 0; i < sizeof(had) / sizeof(had[0]); i++) {
		struct bed b;

		bed_open(&b, 5 << 20);
		pull_rest(&b, had[i]);
		check_whole(&b);
		CHECK_INT(b.asked_at, had[i]);
		bed_close(&b);
	}
}

TEST(what_is_there_of_another_tensor_is_of_no_use)
{
	struct bed b;

	bed_open(&b, 5 << 20);
	b.stale = true;
	pull_rest(&b, 3 << 20);
	CHECK_INT(b.err.code, ERR_ABORTED);
	CHECK_INT(b.begins, 0);
	bed_close(&b);
	bed_open(&b, 5 << 20);
	b.bytes[5]++; /* of what is there; it is not as it was announced */
	pull_rest(&b, 3 << 20);
	CHECK_INT(b.err.code, ERR_DATA_LOSS);
	bed_close(&b);
}

TEST(a_file_arrives_as_it_was)
{
	struct bed b;
	int fd;

	bed_open(&b, (5 << 20) + 3);
	fd = open_file(&b, b.info.size);
	CHECK(!tensor_hash(&b.info, &b.from, NULL));
	pull(&b);
	check_whole(&b);
	CHECK_STR(b.seen.dtype, "");
	close(fd);
	bed_close(&b);
}

TEST(a_file_that_was_cut_is_data_loss)
{
	struct bed b;
	int fd;

	bed_open(&b, (5 << 20) + 3);
	fd = open_file(&b, 4 << 20);
	pull(&b);
	CHECK_INT(b.err.code, ERR_DATA_LOSS);
	CHECK_HAS(b.err.msg, "is cut short");
	CHECK_INT(b.overs, 1);
	close(fd);
	bed_close(&b);
}

TEST(a_pull_goes_on_where_its_connection_broke)
{
	struct bed b;

	bed_open(&b, 20 << 20);
	b.proxy.cut_at = 7 << 20;
	pull_from(&b, b.proxy.url, 60000);
	UNTIL(&b.w, b.asks == 2 && b.asked_at);
	CHECK(b.asked_at >= 5 << 20 && b.asked_at <= 8 << 20);
	b.proxy.cut_at = 15 << 20;
	UNTIL(&b.w, b.done);
	CHECK_INT(b.asks, 3);
	CHECK_INT(b.overs, 3);
	check_whole(&b);
	bed_close(&b);
}

TEST(a_pull_of_what_has_no_name_begins_anew_where_its_connection_broke)
{
	const struct tensor_sink brief = {
		.begin = begin, .bytes = take, .brief = true};
	struct rpc_opts opts = {.timeout_ms = 60000};
	struct bed b;

	bed_open(&b, 20 << 20);
	*b.info.sha256 = '\0';
	b.proxy.cut_at = 7 << 20;
	b.pull = tensor_pull(b.c, b.proxy.url, &pull_method, &opts, ask, &brief,
			     pulled, &b);
	UNTIL(&b.w, b.asks == 2);
	CHECK_INT(b.asked_at, 0);
	b.proxy.cut_at = 0;
	UNTIL(&b.w, b.done);
	CHECK_INT(b.begins, 2);
	b.begins = 1;
	check_whole(&b);
	bed_close(&b);
}

TEST(who_wants_a_sum_takes_nothing_without)
{
	struct bed b;

	bed_open(&b, 10);
	*b.info.sha256 = '\0';
	pull(&b);
	CHECK_INT(b.err.code, ERR_INVALID_ARGUMENT);
	CHECK_HAS(b.err.msg, "a tensor without a sum");
	CHECK_INT(b.begins, 0);
	bed_close(&b);
}

TEST(a_pull_goes_on_only_with_the_same_tensor)
{
	struct bed b;

	bed_open(&b, 20 << 20);
	b.stale = true;
	b.proxy.cut_at = 7 << 20;
	pull_from(&b, b.proxy.url, 60000);
	UNTIL(&b.w, b.done);
	CHECK_INT(b.err.code, ERR_ABORTED);
	CHECK_HAS(b.err.msg, "the tensor is another one by now");
	bed_close(&b);
}

TEST(a_pull_whose_source_starts_over_keeps_what_it_has)
{
	struct bed b;

	bed_open(&b, 20 << 20);
	pull_from(&b, b.proxy.url, 60000);
	b.from_start = true;
	UNTIL(&b.w, b.at >= 5 << 20);
	proxy_cut(&b.proxy);
	UNTIL(&b.w, b.done);
	check_whole(&b);
	bed_close(&b);
}

TEST(a_pull_ends_at_its_deadline)
{
	struct bed b;

	bed_open(&b, 1 << 20);
	b.proxy.refusing = true;
	pull_from(&b, b.proxy.url, 300);
	UNTIL(&b.w, b.done);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	CHECK(b.proxy.accepted >= 2);
	bed_close(&b);
}

TEST(what_does_not_fit_its_sum_is_data_loss)
{
	struct bed b;

	bed_open(&b, 3 << 20);
	b.bytes[2 << 20] ^= 1;
	pull(&b);
	CHECK_INT(b.err.code, ERR_DATA_LOSS);
	CHECK_HAS(b.err.msg, server_url(b.w.server));
	CHECK_HAS(b.err.msg, ": the tensor's sum is ");
	bed_close(&b);
}

TEST(who_begins_may_refuse)
{
	struct bed b;

	bed_open(&b, 3 << 20);
	b.refuse = 1;
	pull(&b);
	CHECK_INT(b.err.code, ERR_FAILED_PRECONDITION);
	CHECK_HAS(b.err.msg, ": not that one");
	UNTIL(&b.w, b.overs == 1);
	bed_close(&b);
}

TEST(a_cancelled_pull_is_silent)
{
	struct bed b;

	bed_open(&b, 20 << 20);
	pull_from(&b, server_url(b.w.server), 60000);
	UNTIL(&b.w, b.at > 0);
	tensor_pull_cancel(b.pull);
	b.pull = NULL;
	UNTIL(&b.w, b.overs == 1);
	CHECK(!b.done);
	bed_close(&b);
}

/* ---- pushing ---- */

static void pushed(const struct err *err, const ProtobufCMessage *out,
		   void *arg)
{
	struct bed *b = arg;

	b->done = true;
	b->push = NULL;
	b->err = err ? *err : (struct err){0};
	if (out)
		b->answer = ((const Gfl__V1__ProbeResponse *)out)->bytes_per_s;
}

static void push_to(struct bed *b, const char *url)
{
	struct rpc_opts opts = {.timeout_ms = 60000};

	b->done = false;
	b->push = tensor_push(b->w.loop, url, &push_method, &opts, &b->info,
			      &b->from, pushed, b);
}

TEST(a_tensor_can_be_sent_to_a_server)
{
	struct bed b;

	bed_open(&b, (20 << 20) + 8);
	push_to(&b, server_url(b.w.server));
	UNTIL(&b.w, b.done);
	check_whole(&b);
	CHECK_INT(b.answer, (20 << 20) + 8);
	CHECK_INT(b.overs, 1);
	bed_close(&b);
}

TEST(a_server_refuses_what_does_not_fit_its_sum)
{
	struct bed b;

	bed_open(&b, 5 << 20);
	b.bytes[0] ^= 1;
	push_to(&b, server_url(b.w.server));
	UNTIL(&b.w, b.done);
	CHECK_INT(b.err.code, ERR_DATA_LOSS);
	CHECK_INT(b.overs, 1);
	bed_close(&b);
}

TEST(a_server_may_refuse_at_the_beginning)
{
	struct bed b;

	bed_open(&b, 20 << 20);
	b.refuse = 1;
	push_to(&b, server_url(b.w.server));
	UNTIL(&b.w, b.done);
	CHECK_INT(b.err.code, ERR_FAILED_PRECONDITION);
	CHECK_INT(b.at, 0);
	bed_close(&b);
}

TEST(a_push_that_breaks_off_is_known_on_both_sides)
{
	struct bed b;

	bed_open(&b, 20 << 20);
	push_to(&b, b.proxy.url);
	UNTIL(&b.w, b.at > 0);
	proxy_cut(&b.proxy);
	UNTIL(&b.w, b.done && b.overs == 1);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	push_to(&b, server_url(b.w.server));
	tensor_push_cancel(b.push);
	b.push = NULL;
	bed_close(&b);
}

TEST(a_file_that_was_cut_cannot_be_sent)
{
	struct bed b;
	int fd;

	bed_open(&b, (5 << 20) + 3);
	fd = open_file(&b, 1 << 20);
	push_to(&b, server_url(b.w.server));
	UNTIL(&b.w, b.done);
	CHECK_INT(b.err.code, ERR_DATA_LOSS);
	close(fd);
	bed_close(&b);
}

/* ---- heads that do not fit ---- */

TEST(a_head_that_does_not_fit_is_refused)
{
	char sum[] = "00112233445566778899aabbccddeeff"
		     "00112233445566778899aabbccddeeff";
	uint64_t shape[9] = {4, 2, 1, 1, 1, 1, 1, 1, 1};
	uint64_t huge[2] = {UINT64_MAX / 2, 4};
	const struct {
		const char *dtype;
		uint64_t *shape;
		size_t rank;
		uint64_t size, offset;
		const char *sha256;
		int rc;
	} rows[] = {
		{"F32", shape, 2, 32, 0, sum, 0},
		{"F32", shape, 8, 32, 32, sum, 0},
		{"F64", NULL, 0, 8, 0, sum, 0},
		{"", NULL, 0, 7, 0, sum, 0},
		{"F32", shape, 2, 31, 0, sum, ERR_INVALID_ARGUMENT},
		{"F32", shape, 9, 32, 0, sum, ERR_INVALID_ARGUMENT},
		{"F32", huge, 2, 32, 0, sum, ERR_INVALID_ARGUMENT},
		{"F99", shape, 2, 32, 0, sum, ERR_INVALID_ARGUMENT},
		{"", shape, 1, 4, 0, sum, ERR_INVALID_ARGUMENT},
		{"F32", shape, 2, 32, 33, sum, ERR_INVALID_ARGUMENT},
		{"F32", shape, 2, 32, 0, "", 0},
		{"F32", shape, 2, 32, 0, sum + 1, ERR_INVALID_ARGUMENT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Gfl__V1__TensorHead h = GFL__V1__TENSOR_HEAD__INIT;
		struct tensor_info info;
		uint64_t offset;
		int rc;

		h.dtype = (char *)rows[i].dtype;
		h.shape = rows[i].shape;
		h.n_shape = rows[i].rank;
		h.size = rows[i].size;
		h.offset = rows[i].offset;
		h.sha256 = (char *)rows[i].sha256;
		rc = tensor_info_of(&info, &offset, &h, NULL);
		if (rc != rows[i].rc)
			test_fail(__FILE__, __LINE__, "%zu: %d", i, rc);
	}
}

TEST(a_chunk_is_parsed_in_place)
{
	static const uint8_t good[] = {8 << 1 | 0, 0x96, 1,   2 << 3 | 2,
				       3,          'a',  'b', 'c'};
	struct tensor_chunk c;

	CHECK(!tensor_parse(&c, good, sizeof(good), NULL));
	CHECK(c.data == good + 5);
	CHECK_INT(c.len, 3);
	CHECK(!c.head && !c.crc);
	for (size_t n = 1; n < sizeof(good); n++)
		CHECK_INT(!tensor_parse(&c, good, n, NULL), n == 3);
	CHECK(!tensor_parse(&c, good, 0, NULL));
}

TEST(a_chunk_may_have_a_sum)
{
	static const uint8_t good[] = {3 << 3 | 5, 1, 2, 3, 4};
	struct tensor_chunk c;

	CHECK(!tensor_parse(&c, good, sizeof(good), NULL));
	CHECK(c.crc == good + 1);
	for (size_t n = 1; n < sizeof(good); n++)
		CHECK(tensor_parse(&c, good, n, NULL));
}

/* Two chunks, with sums of their own or without, and the sum of all; what comes
 * of the chunks, and at the end. */
struct brief_row {
	bool brief, sums[2], wrong_crc, wrong_sum;
	int rc[3];
};

static int brief_step(struct tensor_in *in, const struct brief_row *r, int n)
{
	const char *p = n ? "def" : "abc";
	uint32_t crc = crc32c_of(0, p, 3) ^ (n && r->wrong_crc);

	if (n == 2)
		return tensor_in_end(in, NULL);
	return tensor_in_data(in, p, 3, r->sums[n] ? &crc : NULL, NULL);
}

static void check_brief(const struct brief_row *r, size_t row)
{
	const struct tensor_sink own = {
		.begin = begin, .bytes = take, .brief = r->brief};
	const struct tensor_bytes from = {.p = "abcdef"};
	struct tensor_info info = {.size = 6};
	struct bed b = {0};
	struct tensor_in in = {.sink = &own, .arg = &b};
	Gfl__V1__TensorHead h = GFL__V1__TENSOR_HEAD__INIT;
	int rc = 0;

	CHECK(!tensor_hash(&info, &from, NULL));
	if (r->wrong_sum)
		*info.sha256 = *info.sha256 == '0' ? '1' : '0';
	h.size = info.size;
	h.sha256 = info.sha256;
	CHECK(!tensor_in_head(&in, &h, NULL));
	for (int n = 0; n < 3 && !rc; n++) {
		rc = brief_step(&in, r, n);
		if (rc != r->rc[n])
			test_fail(__FILE__, __LINE__, "%zu, %d: %d", row, n,
				  rc);
	}
	tensor_in_release(&in);
	free(b.got);
}

TEST(a_brief_look_is_at_the_sums_of_chunks)
{
	const int bad = ERR_DATA_LOSS;
	const struct brief_row rows[] = {
		{false, {false, false}, false, false, {0, 0, 0}},
		{false, {true, true}, false, false, {0, 0, 0}},
		{false, {true, false}, false, false, {0, 0, 0}},
		{false, {true, true}, true, false, {0, bad}},
		{false, {true, true}, false, true, {0, 0, bad}},
		{true, {true, true}, false, false, {0, 0, 0}},
		{true, {true, true}, true, false, {0, bad}},
		{true,
		 {true, true},
		 false,
		 true,
		 {0, 0, 0}}, /* not looked at */
		{true, {true, false}, false, false, {0, bad}},
		{true, {false, false}, false, true, {0, 0, bad}},
		{true, {false, true}, false, true, {0, 0, bad}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_brief(&rows[i], i);
}

/* ---- small calls beside ---- */

static void on_beat(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	(void)out;
	CHECK(!err);
	*(bool *)arg = true;
}

/* Turns of the loop, not time, are counted: a busy machine is slow. */
TEST(a_small_call_is_answered_while_a_tensor_comes)
{
	HeartbeatRequest in = HEARTBEAT_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = 60000};
	uint64_t most = 0;
	int beats = 0;
	struct bed b;

	bed_open(&b, 64 << 20);
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, heartbeat, &b.w);
	pull_from(&b, server_url(b.w.server), 60000);
	UNTIL(&b.w, b.at > 0);
	while (!b.done) {
		uint64_t before = b.at;
		bool beaten = false;

		client_call(b.c, server_url(b.w.server), RPC_GATEWAY_HEARTBEAT,
			    &in.base, &opts, on_beat, &beaten);
		UNTIL(&b.w, beaten);
		if (b.at - before > most)
			most = b.at - before;
		beats++;
	}
	CHECK(beats >= 5);
	CHECK(most <= 16 << 20);
	check_whole(&b);
	bed_close(&b);
}
