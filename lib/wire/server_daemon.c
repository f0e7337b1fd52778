/* A server as the options of a daemon have it. */
#include <stdlib.h>

#include "base/daemon.h"
#include "wire/server.h"

int server_open_as(struct server **out, struct loop *loop,
		   const struct daemon_opts *daemon, struct server_opts opts,
		   struct err *err)
{
	char *listen = opt_addr_text(&daemon->listen);
	int rc;

	opts.listen = listen;
	opts.advertise = daemon->advertise;
	opts.insecure = daemon->insecure;
	opts.cors = &daemon->cors;
	opts.max_connections = (size_t)daemon->max_connections;
	opts.max_per_source = (size_t)daemon->per_source;
	if (!opts.max_message)
		opts.max_message = (size_t)daemon->max_message;
	rc = server_open(out, loop, &opts, err);
	free(listen);
	return rc;
}
