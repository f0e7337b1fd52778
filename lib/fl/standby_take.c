/* The newest state of another server comes, is looked at, and written. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "fl/standby_impl.h"

enum { PULL_MS = 600000, PULL_PATIENCE_MS = 4000 };

static void taken(struct standby *s, const struct snapshot *newest)
{
	succession_taken(&s->next, newest ? newest->term : 0,
			 newest ? newest->version : 0);
	standby_act(s);
}

static void given_up(struct standby *s, const struct err *err)
{
	log_warn("state_not_taken", "server=%s error=%s", s->from, err->msg);
	taken(s, NULL);
}

static int write_state(struct db *db, void *arg, struct err *err)
{
	return snapshot_write(db, ((struct standby *)arg)->coming, err);
}

static void state_written(const struct err *err, void *arg)
{
	struct standby *s = arg;

	if (err) {
		snapshot_drop(s->coming);
		s->coming = NULL;
		standby_fail(s, err);
		return;
	}
	snapshot_drop(s->newest);
	s->newest = s->coming;
	s->coming = NULL;
	log_info("state", "term=%lld round=%lld server=%s",
		 (long long)s->newest->term, (long long)s->newest->version,
		 s->from);
	if (s->writer) /* else we close */
		taken(s, s->newest);
}

static int pull_begin(const struct tensor_info *info, void *arg,
		      struct err *err)
{
	struct standby *s = arg;

	if (strcmp(info->layout, s->opts.layout) != 0)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "it is of another model");
	if (info->size > s->opts.max_bytes)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "%llu bytes, expected %zu at most",
			       (unsigned long long)info->size,
			       s->opts.max_bytes);
	if (!s->bytes)
		s->bytes = mem_zero(1, info->size + 1);
	s->info = *info;
	return 0;
}

static int pull_bytes(uint64_t offset, const void *p, size_t len, void *arg,
		      struct err *err)
{
	(void)err;
	memcpy(((struct standby *)arg)->bytes + offset, p, len);
	return 0;
}

static const ProtobufCMessage *pull_ask(uint64_t offset, const char *sha256,
					void *arg)
{
	struct standby *s = arg;
	Gfl__V1__FlStateRequest *in = &s->pull_ask;

	gfl__v1__fl_state_request__init(in);
	in->follower = s->id;
	in->offset = offset;
	in->sha256 = (char *)(uintptr_t)sha256;
	return &in->base;
}

static struct snapshot *take_bytes(struct standby *s)
{
	struct snapshot *n = mem_zero(1, sizeof(*n));

	n->users = 1;
	n->info = s->info;
	n->bytes = s->bytes;
	s->bytes = NULL;
	return n;
}

static int check(struct standby *s, struct snapshot *n, struct err *err)
{
	if (snapshot_check(n, s->from, err))
		return (int)err->code;
	if (succession_takes(&s->next, n->term, n->version))
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION, "ours is newer by now");
}

static void pulled(const struct err *err, void *arg)
{
	struct standby *s = arg;
	struct snapshot *n;
	struct err why;

	s->pull = NULL;
	if (err) {
		free(s->bytes);
		s->bytes = NULL;
		given_up(s, err);
		return;
	}
	n = take_bytes(s);
	if (check(s, n, &why)) {
		snapshot_drop(n);
		given_up(s, &why);
		return;
	}
	s->coming = n;
	if (writer_post(s->writer, write_state, state_written, s, &why))
		state_written(&why, s);
}

void standby_take(struct standby *s, const char *url)
{
	static const struct tensor_sink sink = {.begin = pull_begin,
						.bytes = pull_bytes};
	const struct rpc_opts opts = {.timeout_ms = PULL_MS,
				      .try_ms = PULL_PATIENCE_MS};

	s->from = url;
	s->pull = tensor_pull(s->client, url, &rpc_methods[RPC_FL_PULL_STATE],
			      &opts, pull_ask, &sink, pulled, s);
}

/* What is being written is written. */
void standby_take_close(struct standby *s)
{
	struct writer *writer = s->writer;

	tensor_pull_cancel(s->pull);
	s->writer = NULL;
	writer_close(writer);
	free(s->bytes);
}
