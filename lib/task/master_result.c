/* Workers that bring results. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "task/master_impl.h"
#include "task/task_json.h"

enum { RESULTS_MAX = 10000 }; /* in one request */

/* A task that the farm has no longer: who ended it? */
static bool known_end(struct master *m, const struct farm_result *r,
		      struct err *err)
{
	struct queue_rows rows = {0};
	const Gfl__V1__Task *t;
	struct err none;
	int64_t id;
	bool same;

	if (!task_parse_id(r->task, &id) ||
	    queue_get(m->reader, id, &rows, &none)) {
		queue_rows_release(&rows);
		return false;
	}
	t = rows.at[0];
	same = r->success && !strcmp(t->state, "done") &&
	       !strcmp(t->worker, r->worker);
	if (!same)
		err_set(err, ERR_ABORTED, "task %s is %s already%s%s", r->task,
			t->state, *t->worker ? ", by " : "", t->worker);
	queue_rows_release(&rows);
	return same;
}

void master_bound(struct farm_result *r, size_t bytes, char why[MASTER_WHY])
{
	if (bytes <= TASK_RESULT_MAX)
		return;
	r->metrics = r->output = "";
	if (!r->success)
		return;
	snprintf(why, MASTER_WHY, "its result has %zu bytes, at most %d", bytes,
		 TASK_RESULT_MAX);
	r->success = false;
	r->final = true;
	r->error = why;
}

int master_result(struct master *m, const struct farm_result *r,
		  struct err *err)
{
	enum breaker_state before;
	struct crew *c;
	int rc;

	HASH_FIND_STR(m->farm.crew, r->worker, c);
	before = c ? c->breaker.state : BREAKER_CLOSED;
	rc = farm_result(&m->farm, r, master_now(), err);
	if (!c || c->breaker.state == before)
		return rc;
	if (c->breaker.state == BREAKER_OPEN)
		log_warn("breaker", "worker=%s state=%s for_s=%g", c->id,
			 breaker_name(c->breaker.state),
			 (double)m->farm.config.breaker.open_ms / 1000);
	else
		log_info("breaker", "worker=%s state=%s", c->id,
			 breaker_name(c->breaker.state));
	return rc;
}

static size_t size_of(const Morphml__Distributed__ResultRequest *in)
{
	Morphml__Distributed__ResultRequest alone = *in;

	alone.n_more = 0;
	return morphml__distributed__result_request__get_packed_size(&alone);
}

/* Tasks of another queue have the same numbers. */
static int take(struct master *m, const char *master_id,
		const struct farm_result *r, struct err *err)
{
	int rc;

	if (*master_id && strcmp(master_id, m->id) != 0)
		return err_set(err, ERR_ABORTED,
			       "task %.40s is not of this queue, but of %.40s",
			       r->task, master_id);
	rc = master_result(m, r, err);
	return rc == ERR_NOT_FOUND && known_end(m, r, err) ? 0 : rc;
}

static Morphml__Distributed__ResultResponse *
take_result(struct master *m, const Morphml__Distributed__ResultRequest *in,
	    const char *worker)
{
	char *numbers = task_json_metrics(
		(task_json_metric *const *)in->metrics, in->n_metrics);
	struct farm_result r = {
		.worker = worker,
		.task = in->task_id,
		.try = in->attempt,
		.success = in->success,
		.returned = in->returned,
		.final = in->final,
		.duration_s = in->duration,
		.error = in->error,
		.metrics = in->n_metrics ? numbers : "",
		.output = in->output,
	};
	Morphml__Distributed__ResultResponse *out = mem_zero(1, sizeof(*out));
	char why[MASTER_WHY];
	struct err err;

	master_bound(&r, size_of(in), why);
	morphml__distributed__result_response__init(out);
	out->acknowledged = !take(m, in->master_id, &r, &err);
	out->message = mem_str(out->acknowledged ? "" : err.msg);
	if (!out->acknowledged && !in->returned)
		log_info("result_refused", "worker=%s reason=%s", worker,
			 err.msg);
	free(numbers);
	return out;
}

static int check_result(const Morphml__Distributed__ResultRequest *in,
			struct err *err)
{
	if (*in->output &&
	    task_json_object(in->output, strlen(in->output), NULL, err))
		return err_wrap(err, "output of task %.40s", in->task_id);
	return 0;
}

static void on_result(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Morphml__Distributed__ResultRequest *in =
		(const Morphml__Distributed__ResultRequest *)msg;
	Morphml__Distributed__ResultResponse *out;
	struct master *m = arg;
	struct crew *c;
	struct err err;
	int rc = master_check_id(in->worker_id, &err);

	if (!rc && in->n_more > RESULTS_MAX)
		rc = err_set(&err, ERR_RESOURCE_EXHAUSTED,
			     "more than %d results in one request",
			     RESULTS_MAX);
	if (!rc)
		rc = check_result(in, &err);
	for (size_t i = 0; !rc && i < in->n_more; i++)
		rc = check_result(in->more[i], &err);
	if (rc) {
		call_fail(call, &err);
		return;
	}
	if (!master_lets_speak(m, call, in->worker_id))
		return;
	HASH_FIND_STR(m->farm.crew, in->worker_id, c);
	if (c && !c->dead && !c->left)
		c->seen_ms = clock_ms();
	out = take_result(m, in, in->worker_id);
	out->more = mem_zero(in->n_more, sizeof(*out->more));
	for (size_t i = 0; i < in->n_more; i++)
		out->more[out->n_more++] =
			take_result(m, in->more[i], in->worker_id);
	master_answer(m, call, &out->base)->to_worker = true;
	master_step(m);
}

void master_serve_results(struct master *m)
{
	server_handle(m->server, RPC_MASTER_SUBMIT_RESULT, on_result, m);
}
