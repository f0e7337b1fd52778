/* daemon.h - what all daemons do around their loop: start, tell that they are
 * ready, stop, and find the place of their state.
 *
 *	if (daemon_start(&d, &cfg->daemon, err))   before threads and the loop
 *	…open database, bind, listen…
 *	if (daemon_ready(&d, port, err))
 *	loop_run(loop);                   its on_stop calls daemon_stopping()
 *	daemon_end(&d); */
#ifndef BASE_DAEMON_H
#define BASE_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/opt.h"

struct daemon_opts {
	struct opt_addr listen;
	const char *advertise; /* URL for others, or NULL */
	const char *bind;      /* source address of connections, or NULL */
	const char *db;        /* file, or NULL: see daemon_db() */
	const char *port_file; /* or NULL */
	int ready_fd;          /* or -1 */
	int64_t shutdown_ms;   /* 0: as long as it takes */
	int64_t max_message;   /* bytes; 0: the server's default */
	int max_connections;   /* 0: as many as there are descriptors for */
	int per_source;        /* connections of one address; 0: a quarter */
	struct tls_opts tls;
	struct opt_list cors; /* origins of web pages to serve */
	bool insecure, background;
};

#define OPT_SERVING(T, m, def_listen)                                         \
	OPT_ADDR(0, "listen", T, m.listen, def_listen,                        \
		 "serve here; port 0 takes a free one"),                      \
		OPT_ROW(ADDR_HOST, 0, "host", struct opt_addr, T, m.listen,   \
			"HOST", NULL, "host of --listen", .hidden = true),    \
		OPT_ROW(ADDR_PORT, 0, "port", struct opt_addr, T, m.listen,   \
			"PORT", NULL, "port of --listen", .hidden = true),    \
		OPT_STRING(0, "advertise", T, m.advertise, "URL", NULL,       \
			   "the address that others are told"),               \
		OPT_FILE(0, "port-file", T, m.port_file, NULL,                \
			 "write the port here once ready"),                   \
		OPT_INT(0, "ready-fd", T, m.ready_fd, "N", "-1", -1, 1 << 20, \
			"write a newline to this descriptor once ready"),     \
		OPT_SECONDS(0, "shutdown-timeout", T, m.shutdown_ms, "30",    \
			    "stop at once after this long; 0 never"),         \
		OPT_SIZE(0, "max-message", T, m.max_message, "64MiB",         \
			 "a larger message is refused", .min = 1 << 20,       \
			 .max = 1 << 30),                                     \
		OPT_INT(0, "max-connections", T, m.max_connections, "N", "0", \
			0, 1000000, "others wait; 0: by descriptors"),        \
		OPT_INT(0, "max-per-source", T, m.per_source, "N", "0", 0,    \
			1000000, "of one address; 0: a quarter of all"),      \
		OPT_TLS(T, m.tls),                                            \
		OPT_BOOL(0, "insecure", T, m.insecure,                        \
			 "trust everyone who can reach the port, even where " \
			 "there is no TLS"),                                  \
		OPT_LIST(0, "cors-origin", T, m.cors, "ORIGIN", NULL,         \
			 "serve web pages of this origin; repeatable"),       \
		OPT_BOOL(0, "background", T, m.background,                    \
			 "detach once ready, and print the pid; 2>FILE keeps " \
			 "the log")

/* Of a daemon that calls others, and of one that keeps state. */
#define OPT_BIND(T, m)                                    \
	OPT_STRING(0, "bind", T, m.bind, "ADDRESS", NULL, \
		   "source of outgoing connections")
#define OPT_DB(T, m) OPT_FILE(0, "db", T, m.db, NULL, "keep state in this file")

#define OPT_DAEMON(T, m, def_listen) \
	OPT_SERVING(T, m, def_listen), OPT_BIND(T, m), OPT_DB(T, m)

/* Which of the processes of a launcher this is, from 0; -1: started by none.
 * The variables are Open MPI's, those of PMIx and PMI, which other MPIs set,
 * Slurm's and Kubernetes'. */
#define OPT_RANK(T, m, brief)                                                  \
	OPT_INT(0, "rank", T, m, "N", "-1", -1, DAEMON_RANK_MAX, brief,        \
		.env = "OMPI_COMM_WORLD_RANK PMIX_RANK PMI_RANK SLURM_PROCID " \
		       "JOB_COMPLETION_INDEX")

enum { DAEMON_RANK_MAX = (1 << 30) - 1 };

struct daemon {
	const struct daemon_opts *opts;
	int parent_fd; /* of --background: who started us waits here, or -1 */
	bool ready;
};

enum { DAEMON_KEPT_FDS = 64 }; /* for files and connections of our own */

/* Take as many descriptors as we may have. Refuse (INVALID_ARGUMENT) to listen
 * beyond this machine with neither a certificate nor --insecure, and more
 * connections than descriptors allow; with --background go on in a child: the
 * parent waits until daemon_ready(), prints the pid and exits 0, or exits as
 * the child does. */
int daemon_start(struct daemon *d, const struct daemon_opts *opts,
		 struct err *err) MUST_CHECK;

/* Serving on port, database open: write the port file (by rename), log one
 * line, then READY=1 to NOTIFY_SOCKET, a newline to --ready-fd, and detach: the
 * log goes on only in a file or the journal. */
int daemon_ready(struct daemon *d, int port, struct err *err) MUST_CHECK;

/* Stopping has begun: tell systemd, and end with status 4 if it is not over
 * after --shutdown-timeout, even when the loop hangs. */
void daemon_stopping(struct daemon *d);

/* Remove the port file. */
void daemon_end(struct daemon *d);

/* Where state is kept: --db, else file in $STATE_DIRECTORY, else in
 * $XDG_STATE_HOME/gfl or ~/.local/state/gfl, which is made. Never the current
 * directory. *path is the caller's to free. FAILED_PRECONDITION when none of
 * these is set. */
int daemon_db(char **path, const struct daemon_opts *opts, const char *file,
	      struct err *err) MUST_CHECK;

#endif
