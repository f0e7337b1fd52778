#include "fl/participants.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fl/participants_impl.h"

/* ---- instructions ---- */

struct instruction *instruction_new(const CoordinatorMessage *in)
{
	struct instruction *i = mem_zero(1, sizeof(*i));

	i->msg = (CoordinatorMessage *)rpc_copy(&in->base);
	i->size = protobuf_c_message_get_packed_size(&in->base);
	i->refs = 1;
	return i;
}

void instruction_free(struct instruction *i)
{
	if (!i || --i->refs)
		return;
	rpc_free(&i->msg->base);
	free(i);
}

/* ---- for the user ---- */

static const struct participants_opts usual = {
	.max = 100000,
	.max_out = 100000,
	.max_unread = 64 << 20,
	.lease_ms = 10000,
	.hold_ms = 25000,
};

/* What is not said is as usual. */
static struct participants_opts complete(const struct participants_opts *o)
{
	struct participants_opts all = *o;

	all.max = all.max ? all.max : usual.max;
	all.max_out = all.max_out ? all.max_out : usual.max_out;
	all.max_unread = all.max_unread ? all.max_unread : usual.max_unread;
	all.lease_ms = all.lease_ms ? all.lease_ms : usual.lease_ms;
	all.hold_ms = all.hold_ms ? all.hold_ms : usual.hold_ms;
	return all;
}

void participants_open(struct participants **out, struct loop *loop,
		       struct server *s, const struct participants_opts *opts)
{
	struct participants *ps = mem_zero(1, sizeof(*ps));

	ps->loop = loop;
	ps->server = s;
	ps->opts = complete(opts);
	ps->tick_ms = INT64_MAX;
	TAILQ_INIT(&ps->giving);
	pool_init(&ps->pool,
		  &(struct pool_config){.members_max = ps->opts.max,
					.jobs_max = ps->opts.max_out,
					.lease_ms = ps->opts.lease_ms});
	server_handle(s, RPC_PARTICIPANT_CONNECT, stream_serve, ps);
	server_handle(s, RPC_PARTICIPANT_ASK, ask_serve, ps);
	server_handle(s, RPC_PARTICIPANT_LIST, list_serve, ps);
	server_metrics(s, list_metrics, ps);
	*out = ps;
}

static void hang_up(struct seat *seat, int reconnect_in_s)
{
	if (*seat->token)
		ask_hang_up(seat, reconnect_in_s);
	else
		seat_hang_up(seat, reconnect_in_s);
}

void participants_close(struct participants *ps, int reconnect_in_s)
{
	struct seat *seat, *next_seat;
	struct run *run, *next_run;

	if (!ps)
		return;
	ps->closing = true;
	HASH_ITER (hh, ps->seats, seat, next_seat) {
		hang_up(seat, reconnect_in_s);
		seat_free(seat);
	}
	HASH_ITER (hh, ps->runs, run, next_run)
		run_free(ps, run);
	timer_stop(&ps->give);
	timer_stop(&ps->tick);
	timer_stop(&ps->wake);
	pool_release(&ps->pool);
	free(ps);
}

int participants_run(struct participants *ps, struct instruction *i,
		     const struct run_opts *opts, run_done_fn *done, void *arg,
		     int64_t *number, struct err *err)
{
	const struct pool_order order = {
		.who = opts->who,
		.timeout_ms = opts->timeout_ms ? opts->timeout_ms : 600000,
		.tries = opts->tries ? opts->tries : 3,
	};
	size_t max = server_max_message(ps->server);
	struct run *run;
	int64_t job;

	if (i->size > max)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "an instruction of %zu bytes is above "
			       "max-message (%zu)",
			       i->size, max);
	if (pool_submit(&ps->pool, &order, clock_ms(), &job, err))
		return (int)err->code;
	run = mem_zero(1, sizeof(*run));
	run->job = job;
	run->instruction = i;
	i->refs++;
	run->done = done;
	run->arg = arg;
	HASH_ADD(hh, ps->runs, job, sizeof(run->job), run);
	if (number)
		*number = job;
	participants_act(ps);
	return 0;
}

void participants_withdraw(struct participants *ps, int64_t number)
{
	struct run *run;

	HASH_FIND(hh, ps->runs, &number, sizeof(number), run);
	if (!run)
		return;
	run_free(ps, run);
	seat_rest(seat_find(ps, pool_withdraw(&ps->pool, number, clock_ms())));
	participants_act(ps);
}

void participants_get(struct participants *ps, size_t min_n,
		      participants_fn *fn, void *arg)
{
	ps->min_n = min_n;
	ps->enough = fn;
	ps->enough_arg = arg;
	participants_look(ps);
}

size_t participants_count(const struct participants *ps)
{
	return ps->n_there;
}

void participants_each(const struct participants *ps, participants_each_fn *fn,
		       void *arg)
{
	struct seat *seat, *next;

	HASH_ITER (hh, ps->seats, seat, next)
		if (seat->there)
			fn(seat->id, arg);
}

void participants_dismiss(struct participants *ps, int64_t who,
			  int reconnect_in_s)
{
	struct seat *seat = seat_find(ps, who);
	struct pool_info info;

	if (!seat || !pool_look(&ps->pool, who, &info))
		return;
	pool_leave(&ps->pool, who, clock_ms());
	hang_up(seat, reconnect_in_s);
	seat_free(seat);
	participants_act(ps);
}
