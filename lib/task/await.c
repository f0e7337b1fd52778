#include "task/await.h"

#include <inttypes.h>
#include <string.h>

#include "task/reach.h"
#include "task/task.h"
#include "proto/task.pb-c.h"

static int verdict(const Gfl__V1__Task *t, bool *holds, struct err *err)
{
	enum task_state state;

	if (!task_state_parse(t->state, &state) || !task_ended(state))
		return 0;
	*holds = true;
	if (state == TASK_DONE)
		return 0;
	return err_set(err, ERR_ABORTED, "task %" PRId64 " %s%s: %.*s", t->id,
		       state == TASK_FAILED ? "" : "was ", t->state,
		       (int)strcspn(t->error, "\n"), t->error);
}

static int look(struct look *l, bool *holds, struct err *err)
{
	const struct reach reach = {
		.masters = *l->masters,
		.timeout_ms = l->client.timeout_ms,
		.tls = l->client.tls,
	};
	Gfl__V1__ListTasksRequest in = GFL__V1__LIST_TASKS_REQUEST__INIT;
	Gfl__V1__ListTasksResponse *out;
	int rc;

	in.ids = &l->n;
	in.n_ids = 1;
	if (reach_call(&reach, RPC_TASK_LIST, &in.base,
		       (ProtobufCMessage **)&out, err))
		return (int)err->code;
	if (!out->n_tasks) {
		rpc_free(&out->base);
		return err_set(err, ERR_NOT_FOUND, "there is no task %" PRId64,
			       l->n);
	}
	buf_putf(&l->note, "task %" PRId64 ": it is %s", l->n,
		 out->tasks[0]->state);
	rc = verdict(out->tasks[0], holds, err);
	rpc_free(&out->base);
	return rc;
}

const struct condition await_task = {"task", look, true};
