/* How fast links are, measured where bytes arrive. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/trainer_impl.h"

enum {
	PROBE_MS = 60000, /* how long a measurement is fresh */
	PROBE_WAIT_MS = 10000,
};

void trainer_link(struct trainer *t, int64_t from, int64_t to, double bps)
{
	enum { MAX = 256 };
	const struct state *s = trainer_state(t);

	if (!(bps >= 1) || t->nlinks >= MAX || from == to || !s ||
	    !state_trainer(s, from) || !state_trainer(s, to))
		return;
	t->links = mem_grow(t->links, &t->links_cap, t->nlinks + 1,
			    sizeof(*t->links));
	t->links[t->nlinks++] =
		(struct bandwidth_cell){from, to, bandwidth_level(bps)};
}

double trainer_speed(uint64_t bytes, int64_t us)
{
	return bytes >= TRAINER_PROBE_BYTES && us > 0
		       ? (double)bytes * 1e6 / (double)us
		       : 0;
}

static struct seen_peer *seen_peer(struct trainer *t, int64_t id)
{
	for (size_t i = 0; i < t->npeers; i++)
		if (t->peers[i].id == id)
			return &t->peers[i];
	t->peers = mem_grow(t->peers, &t->peers_cap, t->npeers + 1,
			    sizeof(*t->peers));
	t->peers[t->npeers] = (struct seen_peer){id, -PROBE_MS};
	return &t->peers[t->npeers++];
}

static void probe_done(const struct err *err, const ProtobufCMessage *out,
		       void *arg)
{
	struct trainer *t = arg;

	(void)out;
	t->probe = NULL;
	if (err && log_on(LEVEL_DEBUG))
		log_err("probe", err);
}

/* The receiver measures and reports; so we only send, now and then. */
void trainer_probe(struct trainer *t, int64_t peer)
{
	Gfl__V1__ProbeRequest in = GFL__V1__PROBE_REQUEST__INIT;
	const Gfl__V1__Trainer *to = state_trainer(trainer_state(t), peer);
	struct rpc_opts opts = {.timeout_ms = PROBE_WAIT_MS};
	struct seen_peer *p = seen_peer(t, peer);
	int64_t now = clock_ms();

	if (t->probe || !to || now - p->probed_ms < PROBE_MS)
		return;
	p->probed_ms = now;
	in.from = t->id;
	in.to = peer;
	in.payload.len = TRAINER_PROBE_BYTES;
	in.payload.data = mem_zero(TRAINER_PROBE_BYTES, 1);
	t->probe = client_call(t->client, to->url, RPC_TRAINER_PROBE, &in.base,
			       &opts, probe_done, t);
	free(in.payload.data);
}

void trainer_on_probe(struct call *call, const ProtobufCMessage *in, void *arg)
{
	const Gfl__V1__ProbeRequest *r = (const Gfl__V1__ProbeRequest *)in;
	Gfl__V1__ProbeResponse out = GFL__V1__PROBE_RESPONSE__INIT;
	struct trainer *t = arg;
	uint64_t bytes;
	int64_t us;

	call_timing(call, &bytes, &us);
	out.bytes_per_s = trainer_speed(bytes, us);
	trainer_link(t, r->from, t->id, out.bytes_per_s);
	call_reply(call, &out.base);
}
