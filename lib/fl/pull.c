#include "fl/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/timer.h"
#include "proto/node.pb-c.h"
#include "proto/trainer.pb-c.h"
#include "registry/directory.h"

enum {
	WHOLE_MS = 86400000,
	GRACE_MS =
		1000, /* a source that is gone is told as that, not as late */
	RESTARTS = 5, /* of a model that is another one each time */
};

struct job {
	const struct pull_opts *opts;
	struct pulled *out;
	struct loop *loop;
	struct client *client;
	struct tensor_pull *pull;
	Gfl__V1__PullModelRequest ask;
	char *part, *sum; /* paths */
	int fd;           /* of part */
	uint64_t at;
	bool fresh; /* nothing of it was there */
	struct timer patience;
	struct err *err;
	int rc;
};

int pull_find(char **url, const struct client_opts *o, int64_t id,
	      struct err *err)
{
	Gfl__V1__GetStateRequest in = GFL__V1__GET_STATE_REQUEST__INIT;
	Gfl__V1__State *state;

	if (directory_call(o, RPC_NODE_GET_STATE, &in.base,
			   (ProtobufCMessage **)&state, err))
		return (int)err->code;
	*url = NULL;
	for (size_t i = 0; i < state->n_trainers; i++)
		if (state->trainers[i]->id == id)
			*url = mem_str(state->trainers[i]->url);
	rpc_free(&state->base);
	return *url ? 0
		    : err_set(err, ERR_NOT_FOUND,
			      "the cluster has no trainer %" PRId64, id);
}

/* --- what is there --------------------------------------------------------- */

static int open_part(struct job *j, struct err *err)
{
	j->fd = open(j->part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (j->fd < 0)
		return err_sys(err, "write %s", j->part);
	if (flock(j->fd, LOCK_EX | LOCK_NB))
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "another pull is at %s", j->part);
	return 0;
}

/* Of what it is a part; it is none when nobody says that. */
static void look_at_part(struct job *j, struct tensor_had *had)
{
	struct stat st;
	struct err err;
	size_t len;
	char *text;

	*had = (struct tensor_had){.fd = j->fd};
	if (fstat(j->fd, &st) || !st.st_size ||
	    file_read(&text, &len, j->sum, 4096, &err))
		return;
	if (len >= TENSOR_SHA256 &&
	    strspn(text, "0123456789abcdef") == TENSOR_SHA256 - 1) {
		str_copy(had->sha256, sizeof(had->sha256), text);
		had->had = (uint64_t)st.st_size;
	}
	free(text);
}

static void forget_part(struct job *j)
{
	unlink(j->part);
	unlink(j->sum);
}

static int note_sum(const struct job *j, const char *sha256, struct err *err)
{
	const char *slash = strrchr(j->part, '/');
	char *line = mem_fmt("%s  %s\n", sha256, slash ? slash + 1 : j->part);
	const struct file_part all = {line, strlen(line)};
	int rc = file_replace(j->sum, &all, 1, err);

	free(line);
	return rc;
}

/* --- what comes ------------------------------------------------------------ */

static void end(struct job *j, const struct err *err)
{
	timer_stop(&j->patience);
	j->rc = err ? (int)err->code : 0;
	if (err)
		*j->err = *err;
	loop_stop(j->loop);
}

static void too_long(void *arg)
{
	struct job *j = arg;
	struct err err;

	tensor_pull_cancel(j->pull);
	j->pull = NULL;
	err_set(&err, ERR_DEADLINE_EXCEEDED, "%s gives nothing for %g s",
		j->opts->url, (double)j->opts->timeout_ms / 1e3);
	end(j, &err);
}

static void be_patient(struct job *j)
{
	if (j->opts->timeout_ms)
		timer_set(&j->patience, j->loop, j->opts->timeout_ms + GRACE_MS,
			  too_long, j);
}

static int begin(const struct tensor_info *info, void *arg, struct err *err)
{
	struct job *j = arg;

	j->out->info = *info;
	be_patient(j);
	if (!j->fresh)
		return 0;
	if (ftruncate(j->fd, 0))
		return err_sys(err, "write %s", j->part);
	return note_sum(j, info->sha256, err);
}

static int take(uint64_t offset, const void *p, size_t len, void *arg,
		struct err *err)
{
	struct job *j = arg;

	be_patient(j);
	j->at = offset + len;
	return tensor_write(j->fd, offset, p, len, err);
}

static void done(const struct err *err, void *arg)
{
	struct job *j = arg;

	j->pull = NULL;
	end(j, err);
}

static const ProtobufCMessage *ask(uint64_t offset, const char *sha256,
				   void *arg)
{
	struct job *j = arg;

	gfl__v1__pull_model_request__init(&j->ask);
	j->ask.to = j->opts->trainer;
	j->ask.file = true;
	j->ask.offset = offset;
	j->ask.sha256 = (char *)(uintptr_t)sha256;
	return &j->ask.base;
}

/* Who is not there is told at once, and not for as long as a pull that has
 * begun is worth waiting. */
static int knock(const struct job *j, struct err *err)
{
	Gfl__V1__TrainerStatusRequest in =
		GFL__V1__TRAINER_STATUS_REQUEST__INIT;
	Gfl__V1__TrainerStatus *status;

	in.to = j->opts->trainer;
	if (client_now(j->opts->tls, j->opts->url, RPC_TRAINER_GET_STATUS,
		       &in.base, j->opts->timeout_ms,
		       (ProtobufCMessage **)&status, err))
		return (int)err->code;
	j->out->trainer = status->trainer_id;
	rpc_free(&status->base);
	return 0;
}

/* --- the whole ------------------------------------------------------------- */

static int pull_once(struct job *j, const struct tensor_had *had,
		     struct err *err)
{
	static const struct tensor_sink sink = {.begin = begin, .bytes = take};
	const struct rpc_opts opts = {.timeout_ms = WHOLE_MS,
				      .try_ms = j->opts->timeout_ms};

	j->fresh = !had->had;
	j->at = j->out->had = had->had;
	j->err = err;
	be_patient(j);
	if (had->had) {
		if (tensor_pull_rest(&j->pull, j->client, j->opts->url,
				     &rpc_methods[RPC_TRAINER_PULL_MODEL],
				     &opts, had, ask, &sink, done, j, err))
			return (int)err->code;
	} else {
		j->pull = tensor_pull(j->client, j->opts->url,
				      &rpc_methods[RPC_TRAINER_PULL_MODEL],
				      &opts, ask, &sink, done, j);
	}
	loop_run(j->loop);
	return j->rc;
}

static int pull_all(struct job *j, struct err *err)
{
	struct tensor_had had;
	int rc;

	if (knock(j, err) || open_part(j, err))
		return (int)err->code;
	look_at_part(j, &had);
	rc = pull_once(j, &had, err);
	for (int i = 0; rc == ERR_ABORTED && i < RESTARTS; i++) {
		had.had = 0;
		rc = pull_once(j, &had, err);
	}
	if (rc == ERR_DATA_LOSS || (rc && !j->at))
		forget_part(j);
	else if (rc)
		err_hint(err,
			 "pull again to go on: %" PRIu64 " of %" PRIu64
			 " bytes are in %s",
			 j->at, j->out->info.size, j->part);
	if (!rc)
		rc = file_become(j->fd, j->part, j->opts->file, err);
	if (!rc)
		unlink(j->sum);
	return rc;
}

int pull_file(struct pulled *out, const struct pull_opts *opts, struct err *err)
{
	struct job j = {.opts = opts, .out = out, .fd = -1};
	int rc = loop_open(&j.loop, err);

	if (rc)
		return rc;
	*out = (struct pulled){0};
	j.part = mem_fmt("%s.part", opts->file);
	j.sum = mem_fmt("%s.part.sha256", opts->file);
	rc = client_open_files(&j.client, j.loop, opts->tls, err);
	if (!rc)
		rc = pull_all(&j, err);
	timer_stop(&j.patience);
	client_close(j.client);
	loop_close(j.loop);
	if (j.fd >= 0)
		close(j.fd);
	free(j.part);
	free(j.sum);
	return rc;
}

static const struct out_col cols[] = {
	{"file", OUT_TEXT},      {"trainer", OUT_INT},
	{"size_bytes", OUT_INT}, {"resumed_bytes", OUT_INT},
	{"sha256", OUT_TEXT},
};

int pull_print(const struct out_opts *opts, const char *file,
	       const struct pulled *p, struct err *err)
{
	struct out *o;

	if (out_begin(&o, opts, cols, 5, false, err))
		return (int)err->code;
	out_row(o, out_text(file), out_int(p->trainer),
		out_int((int64_t)p->info.size), out_int((int64_t)p->had),
		out_text(p->info.sha256));
	return out_end(o, err);
}
