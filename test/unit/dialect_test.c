#include "test.h"

#include "base/buf.h"
#include "proto/gateway.pb-c.h"
#include "wire/details.h"
#include "wire/dialect.h"

static const struct dialect *speak(const char *type)
{
	const struct dialect *d = dialect_classify(type);

	CHECK(d);
	return d;
}

TEST(who_may_ask_again_soon_is_told_when)
{
	const struct dialect *d = dialect_classify("application/grpc");
	struct buf out = BUF_INIT(0);
	struct err err;

	err_full(&err, "the box is full");
	dialect_finish(d, &out, &err);
	CHECK_HAS(out.p, "grpc-status: 8\r\ngrpc-message: the box is full\r\n"
			 "grpc-retry-pushback-ms: 1000\r\n");
	buf_reset(&out);
	err_set(&err, ERR_RESOURCE_EXHAUSTED, "it is too large");
	dialect_finish(d, &out, &err);
	CHECK(!strstr(out.p, "pushback"));
	buf_release(&out);
}

TEST(hint_and_time_to_ask_again_travel_as_details)
{
	static const char bin[] = "grpc-status-details-bin: ";
	struct buf out = BUF_INIT(0);
	struct err err, got = {0};
	const char *at;

	err_full(&err, "full");
	err_hint(&err, "empty it – größer");
	dialect_finish(speak("application/grpc"), &out, &err);
	at = strstr(out.p, bin);
	CHECK(at);
	at += strlen(bin);
	details_read(&got, at, strcspn(at, "\r"));
	CHECK_STR(got.hint, err.hint);
	CHECK_INT(got.retry_s, 1);
	for (size_t i = 0; i < strcspn(at, "\r"); i++)
		details_read(&got, at, i);
	buf_reset(&out);
	err.hint[0] = '\0';
	dialect_finish(speak("application/json"), &out, &err);
	CHECK_STR(out.p, "{\"code\":\"resource_exhausted\","
			 "\"message\":\"full\",\"details\":[{\"type\":"
			 "\"google.rpc.RetryInfo\",\"value\":\"CgIIAQ\"}]}");
	buf_release(&out);
}

TEST(dialect_is_told_by_the_content_type)
{
	CHECK(speak("application/json")->kind == DIALECT_UNARY);
	CHECK(speak("application/json")->json);
	CHECK(speak("application/proto")->kind == DIALECT_UNARY);
	CHECK(!speak("application/proto")->json);
	CHECK(speak("application/grpc-web")->kind == DIALECT_WEB);
	CHECK(!speak("application/grpc-web+proto")->json);
	CHECK(speak("application/grpc-web+json")->json);
	CHECK(speak("application/connect+json")->kind == DIALECT_CONNECT);
	CHECK(speak("application/connect+proto")->kind == DIALECT_CONNECT);
	CHECK(speak("Application/JSON; charset=utf-8")->json);
	CHECK(speak("application/json ;charset=utf-8")->json);
	CHECK(!dialect_classify(""));
	CHECK(!dialect_classify("application/jso"));
	CHECK(!dialect_classify("application/json5"));
	CHECK(!dialect_classify("application/json x"));
	CHECK(!dialect_classify("text/plain"));
	CHECK(!dialect_classify("application/x-www-form-urlencoded"));
}

TEST(dialect_serves_kinds_as_the_protocols_have_it)
{
	CHECK(dialect_serves(speak("application/grpc-web"), RPC_UNARY));
	CHECK(dialect_serves(speak("application/grpc-web"), RPC_SERVER_STREAM));
	CHECK(dialect_serves(speak("application/json"), RPC_UNARY));
	CHECK(!dialect_serves(speak("application/json"), RPC_SERVER_STREAM));
	CHECK(!dialect_serves(speak("application/connect+json"), RPC_UNARY));
	CHECK(dialect_serves(speak("application/connect+json"),
			     RPC_SERVER_STREAM));
}

static int64_t timeout(const char *type, const char *value)
{
	struct err err;
	int64_t ms;

	if (dialect_timeout(speak(type), value, &ms, &err))
		return -(int64_t)err.code;
	return ms;
}

TEST(dialect_reads_timeouts)
{
	static const char web[] = "application/grpc-web";
	static const char json[] = "application/json";

	CHECK_INT(timeout(web, NULL), INT64_MAX);
	CHECK_INT(timeout(web, "1H"), 3600000);
	CHECK_INT(timeout(web, "2M"), 120000);
	CHECK_INT(timeout(web, "3S"), 3000);
	CHECK_INT(timeout(web, "99999999m"), 99999999);
	CHECK_INT(timeout(web, "5000u"), 5);
	CHECK_INT(timeout(web, "7000000n"), 7);
	CHECK_INT(timeout(web, "123456789m"), -ERR_INVALID_ARGUMENT);
	CHECK_INT(timeout(web, "1"), -ERR_INVALID_ARGUMENT);
	CHECK_INT(timeout(web, "m"), -ERR_INVALID_ARGUMENT);
	CHECK_INT(timeout(web, "1x"), -ERR_INVALID_ARGUMENT);
	CHECK_INT(timeout(web, "1mm"), -ERR_INVALID_ARGUMENT);
	CHECK_INT(timeout(web, "-1m"), -ERR_INVALID_ARGUMENT);
	CHECK_INT(timeout(json, "1500"), 1500);
	CHECK_INT(timeout(json, "12345678901"), -ERR_INVALID_ARGUMENT);
	CHECK_INT(timeout(json, "1m"), -ERR_INVALID_ARGUMENT);
	CHECK_INT(timeout(json, ""), -ERR_INVALID_ARGUMENT);
}

static int decode(const char *type, const char *body, size_t len, int *id)
{
	ProtobufCMessage *msg;
	struct err err;

	if (dialect_decode(speak(type), NULL, &heartbeat_request__descriptor, body,
			   len, &msg, &err))
		return (int)err.code;
	*id = ((HeartbeatRequest *)msg)->node_id;
	rpc_free(msg);
	return 0;
}

TEST(dialect_finds_the_message_in_a_body)
{
	static const char web[] = "application/grpc-web";
	int id;

	CHECK(!decode("application/proto", "\x08\x07", 2, &id));
	CHECK_INT(id, 7);
	CHECK(!decode("application/proto", NULL, 0, &id));
	CHECK_INT(id, 0);
	CHECK(!decode("application/json", "{\"nodeId\":8}", 12, &id));
	CHECK_INT(id, 8);
	CHECK(!decode(web, "\0\0\0\0\2\x08\x09", 7, &id));
	CHECK_INT(id, 9);
	CHECK(!decode(web, "\0\0\0\0\0", 5, &id));
	CHECK_INT(id, 0);
	CHECK(!decode("application/connect+json", "\0\0\0\0\2{}", 7, &id));
	CHECK_INT(decode(web, "", 0, &id), ERR_INVALID_ARGUMENT);
	CHECK_INT(decode(web, "\0\0\0\0", 4, &id), ERR_INVALID_ARGUMENT);
	CHECK_INT(decode(web, "\0\0\0\0\3\x08\x09", 7, &id),
		  ERR_INVALID_ARGUMENT);
	CHECK_INT(decode(web, "\0\0\0\0\1\x08\x09", 7, &id),
		  ERR_INVALID_ARGUMENT);
	CHECK_INT(decode(web, "\0\xff\xff\xff\xff\x08\x09", 7, &id),
		  ERR_INVALID_ARGUMENT);
	CHECK_INT(decode(web, "\1\0\0\0\2\x08\x09", 7, &id), ERR_INTERNAL);
	CHECK_INT(decode(web, "\x80\0\0\0\2\x08\x09", 7, &id),
		  ERR_INVALID_ARGUMENT);
	CHECK_INT(decode("application/proto", "\x08", 1, &id),
		  ERR_INVALID_ARGUMENT);
}

/* A frame and the end of a call, as they travel. */
static void check_sent(const char *type, struct err *err, const char *want,
		       size_t len)
{
	HeartbeatRequest msg = HEARTBEAT_REQUEST__INIT;
	struct buf out = BUF_INIT(0);
	struct err failed;

	msg.node_id = 3;
	if (!err)
		CHECK(!dialect_frame(speak(type), NULL, &out, &msg.base, 100,
				     &failed));
	dialect_finish(speak(type), &out, err);
	CHECK_INT(out.len, len);
	CHECK(!memcmp(out.p, want, len));
	buf_release(&out);
}

#define CHECK_SENT(type, err, want) \
	check_sent(type, err, want, sizeof(want) - 1)

TEST(dialect_frames_and_finishes)
{
	CHECK_SENT("application/proto", NULL, "\x08\x03");
	CHECK_SENT("application/json", NULL, "{\"nodeId\":3}");
	CHECK_SENT("application/grpc-web", NULL,
		   "\0\0\0\0\x02\x08\x03"
		   "\x80\0\0\0\x10grpc-status: 0\r\n");
	CHECK_SENT("application/connect+json", NULL,
		   "\0\0\0\0\x0c{\"nodeId\":3}"
		   "\2\0\0\0\2{}");
}

TEST(dialect_says_errors)
{
	struct err err;

	err_set(&err, ERR_NOT_FOUND, "50%% \xc3\xa4\n\"\\");
	CHECK_SENT("application/json", &err,
		   "{\"code\":\"not_found\",\"message\":"
		   "\"50% \xc3\xa4\\u000a\\u0022\\u005c\"}");
	CHECK_SENT("application/grpc-web+json", &err,
		   "\x80\0\0\0\x31grpc-status: 5\r\n"
		   "grpc-message: 50%25 %C3%A4%0A\"\\\r\n");
	err_set(&err, ERR_NOT_FOUND, "cut \xc3");
	CHECK_SENT("application/connect+proto", &err,
		   "\2\0\0\0\x30{\"error\":{\"code\":\"not_found\","
		   "\"message\":\"cut ?\"}}");
	CHECK_INT(dialect_status(speak("application/json"), &err), 404);
	CHECK_INT(dialect_status(speak("application/json"), NULL), 200);
	CHECK_INT(dialect_status(speak("application/grpc-web"), &err), 200);
}

TEST(dialect_bounds_an_answer)
{
	HeartbeatRequest msg = HEARTBEAT_REQUEST__INIT;
	struct buf out = BUF_INIT(0);
	struct err err;

	msg.node_id = 3;
	buf_puts(&out, "before");
	CHECK_INT(dialect_frame(speak("application/grpc-web"), NULL, &out, &msg.base,
				1, &err),
		  ERR_RESOURCE_EXHAUSTED);
	CHECK_HAS(err.msg, "max-message");
	CHECK_INT(out.len, 6);
	buf_release(&out);
}
