/* Random messages of every type, and random damage. */
#include "test.h"

#include <math.h>

#include "base/mem.h"
#include "base/rand.h"
#include "test/unit/all.pb-c.h"
#include "wire/field.h"
#include "wire/json.h"

static char *print(const ProtobufCMessage *msg, int flags)
{
	struct buf b = BUF_INIT(0);

	CHECK(!json_print(&b, msg, flags, NULL));
	return buf_take(&b);
}

static const double odd_reals[] = {0,     -0.0,   1,        -1.5,     0.1,
				   1e300, 5e-324, INFINITY, -INFINITY};

static void fill(struct rand *r, ProtobufCMessage *msg, int depth);

static char *random_text(struct rand *r)
{
	static const char *const bits[] = {
		"a",    "\"", "\\",  "\n", "\xc3\xa9", "\xf0\x9f\x98\x80",
		"\x01", "/",  "\x7f"};
	struct buf b = BUF_INIT(0);

	buf_puts(&b, "");
	for (uint64_t n = rand_below(r, 5); n; n--)
		buf_puts(&b, bits[rand_below(r, 9)]);
	return buf_take(&b);
}

static double random_real(struct rand *r)
{
	uint64_t bits = rand_next(r);
	double d;

	memcpy(&d, &bits, sizeof(d));
	return rand_below(r, 2) || isnan(d) ? odd_reals[rand_below(r, 9)] : d;
}

static void fill_value(struct rand *r, const ProtobufCFieldDescriptor *f,
		       void *at, int depth)
{
	const ProtobufCEnumDescriptor *e = f->descriptor;
	const ProtobufCMessageDescriptor *sub = f->descriptor;
	uint64_t bits = rand_next(r) >> rand_below(r, 64);
	ProtobufCBinaryData *data = at;

	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		*(char **)at = random_text(r);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		data->len = rand_below(r, 8);
		data->data = mem_dup(&bits, data->len);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		*(ProtobufCMessage **)at = mem_zero(1, sub->sizeof_message);
		sub->message_init(*(ProtobufCMessage **)at);
		fill(r, *(ProtobufCMessage **)at, depth - 1);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)at = bits & 1;
		break;
	case PROTOBUF_C_TYPE_ENUM:
		*(int *)at = e->values[rand_below(r, e->n_values)].value;
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		*(float *)at = (float)random_real(r);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		*(double *)at = random_real(r);
		break;
	default:
		if (rand_below(r, 2))
			bits = 0 - bits;
		memcpy(at, &bits, field_size(f));
	}
}

/* Maps get one entry at most, so that key order does not matter. */
static void fill_array(struct rand *r, const ProtobufCFieldDescriptor *f,
		       ProtobufCMessage *msg, int depth)
{
	size_t n = rand_below(r, field_is_map(msg->descriptor, f) ? 2 : 4);
	char *items = n ? mem_zero(n, field_size(f)) : NULL;

	*field_count(f, msg) = n;
	*(void **)field_at(f, msg) = items;
	for (size_t i = 0; i < n; i++)
		fill_value(r, f, items + i * field_size(f), depth);
}

static void fill(struct rand *r, ProtobufCMessage *msg, int depth)
{
	const ProtobufCMessageDescriptor *d = msg->descriptor;

	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];

		if (strcmp(f->name, "value") && /* maps print it always */
		    ((f->type == PROTOBUF_C_TYPE_MESSAGE && depth <= 0) ||
		     rand_below(r, 3) == 0))
			continue;
		if (f->label == PROTOBUF_C_LABEL_REPEATED) {
			fill_array(r, f, msg, depth);
			continue;
		}
		if (field_is_oneof(f) && *field_case(f, msg))
			continue;
		if (field_is_oneof(f))
			*field_case(f, msg) = f->id;
		fill_value(r, f, field_at(f, msg), depth);
	}
}

static char *pack(const ProtobufCMessage *msg, size_t *len)
{
	char *p;

	*len = protobuf_c_message_get_packed_size(msg);
	p = mem_zero(*len, 1);
	protobuf_c_message_pack(msg, (uint8_t *)p);
	return p;
}

static void check_round_trip(const ProtobufCMessageDescriptor *type,
			     uint64_t seed, int flags)
{
	ProtobufCMessage *msg = mem_zero(1, type->sizeof_message), *back;
	struct rand r = {seed};
	size_t len, len_back;
	char *text, *a, *b;
	struct err err;

	type->message_init(msg);
	fill(&r, msg, 3);
	text = print(msg, flags);
	if (json_parse(&back, type, text, strlen(text), JSON_STRICT, &err))
		test_fail(__FILE__, __LINE__, "%s seed %llu: %s", type->name,
			  (unsigned long long)seed, err.msg);
	a = pack(msg, &len);
	b = pack(back, &len_back);
	if (len != len_back || memcmp(a, b, len))
		test_fail(__FILE__, __LINE__, "%s seed %llu: %.400s",
			  type->name, (unsigned long long)seed, text);
	free(text);
	free(a);
	free(b);
	rpc_free(msg);
	rpc_free(back);
}

TEST(random_messages_survive_the_round_trip)
{
	for (uint64_t seed = 1; seed <= 200; seed++)
		check_round_trip(&test__all__descriptor, seed,
				 (int)seed & (JSON_DEFAULTS | JSON_SNAKE |
					      JSON_NUMBERS));
	for (int i = 0; i < RPC_COUNT; i++)
		for (uint64_t seed = 1; seed <= 10; seed++) {
			check_round_trip(rpc_methods[i].in, seed, 0);
			check_round_trip(rpc_methods[i].out, seed,
					 JSON_NUMBERS);
		}
}

/* Sanitisers look on: what is printed, with characters changed and cut. */
TEST(damaged_text_is_survived)
{
	static const char odd[] = "\"\\{}[],:0-9.eE+utnf\xff\0 ";
	struct rand r = {7};

	for (uint64_t seed = 1; seed <= 20; seed++) {
		Test__All m = TEST__ALL__INIT;
		ProtobufCMessage *filled = rpc_copy(&m.base), *msg;
		size_t len;
		char *text;

		fill(&(struct rand){seed}, filled, 1);
		text = print(filled, 0);
		for (int i = 0; i < 100; i++) {
			char *bad;

			len = rand_below(&r, strlen(text)) + 1;
			bad = mem_dup(text, len);
			for (uint64_t n = rand_below(&r, 4); n; n--)
				bad[rand_below(&r, len)] =
					odd[rand_below(&r, sizeof(odd))];
			if (!json_parse(&msg, &test__all__descriptor, bad, len,
					0, NULL))
				rpc_free(msg);
			free(bad);
		}
		free(text);
		rpc_free(filled);
	}
}
