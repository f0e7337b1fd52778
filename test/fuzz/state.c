/* Entries of the log, each after a byte of kind and one of length: whatever is
 * applied makes a state that is read back alike. */
#include "fuzz.h"

#include <string.h>

#include "node/state.h"
#include "wire/json.h"
#include "wire/rpc.h"

static uint8_t *pack(const struct state *s, size_t *len)
{
	Gfl__V1__State *msg = state_encode(s);
	uint8_t *p;

	*len = gfl__v1__state__get_packed_size(msg);
	p = malloc(*len + 1);
	FUZZ_CHECK(p);
	gfl__v1__state__pack(msg, p);
	gfl__v1__state__free_unpacked(msg, NULL);
	return p;
}

static void check_read_back(const struct state *s)
{
	size_t len, len_again;
	uint8_t *p = pack(s, &len), *again;
	ProtobufCMessage *msg;
	struct state *back;
	struct err err = {0};

	FUZZ_CHECK(
		!rpc_unpack(&msg, &gfl__v1__state__descriptor, p, len, &err));
	if (state_decode(&back, (Gfl__V1__State *)msg, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		abort();
	}
	again = pack(back, &len_again);
	FUZZ_CHECK(len == len_again && !memcmp(p, again, len));
	state_free(back);
	rpc_free(msg);
	free(p);
	free(again);
}

static bool apply(struct state *s, bool config, const uint8_t *p, size_t len)
{
	struct state_result result = {0};
	Gfl__V1__Entry *e;
	struct err err;
	int rc;

	if (state_entry(&e, p, len, &err))
		return false;
	if (e)
		(void)!!state_proposable(e, &err);
	rc = state_apply(s, s->applied + 1, 1, config, e, &result, &err);
	if (e)
		gfl__v1__entry__free_unpacked(e, NULL);
	return !rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct state *s = state_new();

	while (len >= 2) {
		size_t n = data[1] < len - 2 ? data[1] : len - 2;

		if (!apply(s, data[0] & 1, data + 2, n))
			break;
		data += 2 + n;
		len -= 2 + n;
	}
	check_read_back(s);
	state_free(s);
	return 0;
}
