/* history_impl.h - what the files of history.h share. */
#ifndef FL_HISTORY_IMPL_H
#define FL_HISTORY_IMPL_H

#include "base/timer.h"
#include "fl/history.h"
#include "store/db.h"
#include "store/writer.h"

struct history {
	struct loop *loop;
	struct db *db;     /* the writer's */
	struct db *reader; /* ours */
	struct writer *writer;
	struct history_me me;
	struct history_rows *rows;   /* not yet given to the writer, or NULL */
	struct history_known *nodes; /* likewise */
	bool giving, closing;
	struct timer timer;
};

/* history.c: a job is done: it is freed, and a failure logged. */
void history_finished(const struct err *err, void *job);
/* Hand a job to the writer; what does not fit is dropped, and said. */
void history_post(struct history *h, writer_fn *fn, void *job);

/* history_me.c: who we are; the first time, somebody new. */
int history_load_me(struct history *h, struct err *err) MUST_CHECK;

/* history_nodes.c: what was gathered, unless the last job is under way. */
void history_give_nodes(struct history *h);

#endif
