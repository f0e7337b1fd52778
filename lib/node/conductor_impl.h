/* conductor_impl.h - what the files of the conductor share. */
#ifndef NODE_CONDUCTOR_IMPL_H
#define NODE_CONDUCTOR_IMPL_H

#include "node/node_impl.h"
#include "plan/coordinator.h"

struct conductor {
	struct coordinator *plan; /* NULL while another node leads */
	Gfl__V1__Run *table;      /* the last reports, of the run under way */
	bool fresh;               /* the table is ahead of the log */
	bool busy;                /* an act is proposed */
	int64_t pause_until_ms, look_ms;
	struct coordinator_trainer *trainers; /* of the view, as these */
	struct coordinator_failed *failed;
	struct coordinator_run run;
};

/* conductor.c: what a trainer said last of run, or NULL. */
const Gfl__V1__TrainerReport *conductor_find(const Gfl__V1__Run *run,
					     int64_t trainer);

/* conductor_act.c: proposals. One act at a time is under way. */
void conductor_act(struct node *n, const struct coordinator_act *act);
/* A new epoch, so that its partners wait for it no more. */
void conductor_mark_down(struct node *n, int64_t trainer, const char *why);
/* Last words about a run that is over. */
void conductor_late(struct node *n, const Gfl__V1__TrainerReport *r);

#endif
