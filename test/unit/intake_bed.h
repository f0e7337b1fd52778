/* intake_bed.h - what tests of a client's streams have: a server with one that is
 * summed up and one that is sent back, and what their handlers saw. */
#ifndef INTAKE_BED_H
#define INTAKE_BED_H

#include "caller.h"

#define SUM "/test/Sum"
#define BACK "/test/Echo"
#define WEB "application/grpc-web+proto"

/* What the handlers saw of the last stream. */
struct intake_bed {
	struct world w;
	struct caller c;
	struct call *call;
	int messages, sum, ends, cancels;
	int pause_at; /* this many messages, or 0 */
};

extern const struct rpc_method intake_bed_sum; /* SUM */

void intake_bed_open(struct intake_bed *b, struct server_opts opts);
void intake_bed_close(struct intake_bed *b);

/* Frames of requests with these numbers, 1 to n; each below 128. */
struct buf intake_bed_frames(int n);

/* POST a body over HTTP/1.1, in chunks of so many bytes; the last one, of none,
 * is left out. */
void intake_bed_post(struct intake_bed *t, int fd, const char *path,
		     const char *type, const struct buf *body, size_t piece);
void intake_bed_hear(struct intake_bed *t, int fd, struct buf *got,
		     const char *what); /* until that comes */

#endif
