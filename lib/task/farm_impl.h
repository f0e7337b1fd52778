/* farm_impl.h - what the parts of the farm share. */
#ifndef TASK_FARM_IMPL_H
#define TASK_FARM_IMPL_H

#include "task/farm.h"

/* Put a task into another state; due_ms is set before. */
void farm_enter(struct farm *f, struct task *t, enum task_state state);

/* What it is now is to be stored; the change may be completed. */
struct farm_change *farm_note(struct farm *f, const struct task *t);

/* Give a ready task to a worker, as its next try or (again) as the present
 * one. */
void farm_attach(struct farm *f, struct task *t, struct crew *c, bool again,
		 struct instant now);

/* Take it away from the worker that it is on, if any. */
void farm_detach(struct task *t);

/* Its worker is gone, and why; counts: the try did. */
void farm_lose(struct farm *f, struct task *t, const char *why, bool counts,
	       struct instant now);

/* A try failed: another one, or none. */
void farm_fail(struct farm *f, struct task *t, const char *why,
	       const struct farm_result *r, struct instant now);

/* It ends, and so do or begin those that wait for it. r may be NULL. */
void farm_end(struct farm *f, struct task *t, enum task_state state,
	      const char *error, const struct farm_result *r,
	      struct instant now);

/* The worker is to be told something. */
void farm_tell(struct farm *f, struct crew *c);

/* Its worker is to stop the present try, and it is taken from there. */
void farm_stop(struct farm *f, struct task *t);

#endif
