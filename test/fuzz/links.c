/* Topologies and speeds as people write them: what is taken is an entry that
 * may be applied, and refused for no other reason than what it says. */
#include "fuzz.h"

#include <string.h>

#include "node/draft.h"
#include "node/state.h"
#include "wire/rpc.h"

static void apply(const Gfl__V1__Entry *e)
{
	struct state *s = state_new();
	struct state_result result = {0};
	struct err err;

	FUZZ_CHECK(!state_apply(s, 1, 1, false, e, &result, &err));
	FUZZ_CHECK(!result.refused.code || !s->graph.version);
	for (size_t i = 0; i < s->graph.n; i++)
		FUZZ_CHECK(s->graph.edges[i].a < s->graph.edges[i].b &&
			   s->graph.edges[i].weight > 0);
	state_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const kinds[] = {"topology", "bandwidth"};
	static const struct opt_list all;
	const struct draft_opts opts = {.delta = len & 1, .trainers = &all};
	char *text = calloc(1, len + 1);

	FUZZ_CHECK(text);
	memcpy(text, data, len);
	for (size_t i = 0; i < 2; i++) {
		Gfl__V1__Entry *e;
		struct err err;

		if (draft_entry(&e, kinds[i], text, &opts, &err)) {
			FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT ||
				   err.code == ERR_RESOURCE_EXHAUSTED);
			continue;
		}
		FUZZ_CHECK(draft_parts(e) <= len);
		if (!state_proposable(e, &err))
			apply(e);
		rpc_free(&e->base);
	}
	free(text);
	return 0;
}
