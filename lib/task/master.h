/* master.h - MasterService and TaskService on a server: a queue of evaluation
 * tasks, and the workers that do them.
 *
 * What a reply speaks of is durable before it leaves: a task that is handed out
 * as much as one that was submitted or a result. */
#ifndef TASK_MASTER_H
#define TASK_MASTER_H

#include "store/writer.h"
#include "task/farm.h"
#include "wire/client.h"
#include "wire/server.h"

struct master;

/* Bytes that a message of a master must have room for: a task and its result,
 * or many small ones. */
enum { MASTER_MESSAGE_MIN = 8 << 20 };

struct master_config {
	struct farm_config farm;
	int64_t keep_ms; /* what has ended is forgotten after so long; 0: never
			  */
	bool push;       /* workers of others that have an address get tasks by
			    a call of ours, unless they say otherwise */
};

/* Load the queue from db (before w owns it) and serve it on s. client is for
 * calls of workers. failed(arg) runs when the file cannot be written any more:
 * the daemon must stop. All is borrowed until master_close(). */
int master_open(struct master **out, struct loop *loop, struct server *s,
		struct client *client, struct db *db,
		const struct master_config *config, loop_fn *failed, void *arg,
		struct err *err) MUST_CHECK;

/* Why it failed, or NULL. */
const struct err *master_failed(const struct master *m);

/* How many tasks have not ended. */
size_t master_unfinished(const struct master *m);

/* Finish what is being written. After the server, before the client. NULL is
 * nothing. */
void master_close(struct master *m);

#endif
