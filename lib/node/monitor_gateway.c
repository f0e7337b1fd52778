/* The gateway's stream of a monitor: of whichever gateway answers. */
#include "base/rand.h"
#include "node/monitor_impl.h"

static void try_gateway(void *arg);

/* The gateway that is watched, or being tried. */
static const char *current(const struct monitor *m)
{
	const struct opt_list *all = &m->opts.client.gateways;

	return all->at[(m->gateway - 1) % all->n];
}

static void on_node_event(const ProtobufCMessage *out, void *arg)
{
	struct monitor *m = arg;

	if (!m->gateway_connected)
		monitor_tell(m, "connected", "gateway", current(m), NULL);
	m->gateway_connected = true;
	view_gateway(&m->view, (const NodeEvent *)out);
}

static void lose_gateway(struct monitor *m, const char *why)
{
	bool others = m->opts.client.gateways.n > 1;

	client_cancel(m->nodes);
	client_cancel(m->gateway_pulse);
	m->nodes = m->gateway_pulse = NULL;
	if (m->gateway_connected)
		monitor_tell(m, "lost", "gateway", current(m), why);
	timer_set(&m->gateway_retry, m->loop,
		  m->gateway_connected && others ? 0 : RETRY_MAX_MS,
		  try_gateway, m);
	m->gateway_connected = false;
}

static void on_nodes_end(const struct err *err, const ProtobufCMessage *out,
			 void *arg)
{
	struct monitor *m = arg;

	(void)out;
	m->nodes = NULL;
	lose_gateway(m, err ? err->msg : "it ended the stream");
}

static void try_gateway(void *arg)
{
	WatchNodesRequest in = WATCH_NODES_REQUEST__INIT;
	struct rpc_opts opts = {0};
	struct monitor *m = arg;

	in.snapshot = true;
	m->gateway++;
	m->nodes =
		client_stream(m->client, current(m), RPC_GATEWAY_WATCH_NODES,
			      &in.base, &opts, on_node_event, on_nodes_end, m);
	monitor_gateway_ask(m);
}

static void on_pulse(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	struct monitor *m = arg;

	(void)out;
	m->gateway_pulse = NULL;
	if (err)
		lose_gateway(m, err->msg);
}

/* One that hangs, or is cut off, ends no stream. */
void monitor_gateway_ask(struct monitor *m)
{
	HealthCheckRequest in = HEALTH_CHECK_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = PULSE_MS};

	if (m->nodes && !m->gateway_pulse)
		m->gateway_pulse = client_call(m->client, current(m),
					       RPC_GATEWAY_HEALTH_CHECK,
					       &in.base, &opts, on_pulse, m);
}

/* Each gateway has its share of those who watch. */
void monitor_gateway_begin(struct monitor *m)
{
	struct rand r;

	m->gateway_wanted = true;
	rand_os(&r, sizeof(r));
	m->gateway = rand_below(&r, m->opts.client.gateways.n);
	timer_set(&m->gateway_retry, m->loop, 0, try_gateway, m);
}

void monitor_gateway_end(struct monitor *m)
{
	timer_stop(&m->gateway_retry);
	client_cancel(m->nodes);
	client_cancel(m->gateway_pulse);
}

const char *monitor_gateway(const struct monitor *m)
{
	if (!m->gateway_wanted)
		return NULL;
	return m->gateway_connected ? current(m) : "";
}
