/* Paths between nodes, by rules of nft in their namespaces. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "chaos.h"

/* In the namespace of a node. */
static void in_node(struct chaos *c, int id, const char *fmt, ...) PRINTF(3, 4);
static void in_node(struct chaos *c, int id, const char *fmt, ...)
{
	char rule[2048];
	char *command;
	struct err err;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(rule, sizeof(rule), fmt, ap);
	va_end(ap);
	command = mem_fmt("nsenter --net=/run/netns/n%d %s", id, rule);
	if (system(command)) {
		err_set(&err, ERR_INTERNAL, "netns: %s failed", command);
		chaos_fail(c, &err);
	}
	free(command);
}

void net_cut(struct chaos *c, int from, int to)
{
	in_node(c, to, "nft add rule inet chaos in ip saddr " NET "%d drop",
		from);
}

void net_cut_both(struct chaos *c, int one, int other)
{
	net_cut(c, one, other);
	net_cut(c, other, one);
}

void net_reset(struct chaos *c, int from, int to)
{
	in_node(c, to,
		"nft add rule inet chaos in ip saddr " NET
		"%d meta l4proto tcp reject with tcp reset",
		from);
}

void net_loss(struct chaos *c, int to, int percent)
{
	in_node(c, to,
		"nft add rule inet chaos in ip saddr != " NET
		"254 numgen random mod 100 \\< %d drop",
		percent);
}

void net_link(struct chaos *c, int id, bool up)
{
	in_node(c, id, "ip link set eth0 %s", up ? "up" : "down");
}

/* Connections that there are have to be made anew, through the proxies. */
void net_late(struct chaos *c, int64_t ms)
{
	c->late_ms = ms;
	for (int at = 1; at <= c->nodes; at++) {
		struct buf rules = BUF_INIT(0);

		for (int to = 1; to <= c->nodes; to++)
			if (to != at)
				buf_putf(&rules,
					 "add rule inet chaos out ip daddr " NET
					 "%d tcp dport %d dnat ip to %s; "
					 "add rule inet chaos in ip saddr " NET
					 "%d meta l4proto tcp reject with "
					 "tcp reset; ",
					 to, 8900 + to,
					 c->site[to].proxy.url +
						 sizeof("http://") - 1,
					 to);
		in_node(c, at, "nft '%s'", rules.p);
		buf_release(&rules);
	}
	turn_for(c, 200);
	for (int at = 1; at <= c->nodes; at++)
		in_node(c, at, "nft flush chain inet chaos in");
}

void net_heal(struct chaos *c)
{
	for (int id = 1; id <= c->sites; id++) {
		in_node(c, id,
			"nft 'flush chain inet chaos in; "
			"flush chain inet chaos out'");
		proxy_cut(&c->site[id].proxy);
	}
	c->late_ms = 0;
}
