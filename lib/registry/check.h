/* check.h - is the cluster well? Its nodes, leader, gateways, or all of them,
 * looked at once; or a master of tasks, its workers and its queue; or a server
 * of rounds, and its clients or participants. */
#ifndef REGISTRY_CHECK_H
#define REGISTRY_CHECK_H

#include "base/opt.h"
#include "registry/probe.h"

struct check_opts {
	struct client_opts client; /* its timeout bounds each question */
	struct opt_list masters;   /* one */
	struct opt_list servers;   /* of rounds; of several the active one */
	double warn, crit;         /* below 0: what is usual for the check */
};

/* Check "nodes", "leader", "gateway", "cluster", "master" or "server". Whatever
 * is wrong with those is in *out, which the caller releases; another name, or bounds that
 * leave no room for a warning, are INVALID_ARGUMENT. */
int check_run(struct probe *out, const char *name, const struct check_opts *o,
	      struct err *err) MUST_CHECK;

#endif
