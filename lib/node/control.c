/* Messages for the node itself, which no inbox keeps: control words, which it
 * acts upon, pings, and peers that say they are ready. The answer says what was
 * done: a word that is not known, or that cannot be done here, is refused. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "node/node_impl.h"

enum { WORDS_MAX = 2, TEXT_MAX = 128 }; /* bytes of a control message */

/* A control message, and with what it is answered. */
struct control {
	struct node *n;
	const char *argument; /* or NULL */
	struct buf *reply;
};

static int no_argument(const struct control *c, struct err *err)
{
	if (!c->argument)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT, "unexpected word '%s'",
		       c->argument);
}

static void stop(void *arg)
{
	struct node *n = arg;

	if (n->cfg.on_shutdown)
		n->cfg.on_shutdown(n->cfg.arg);
	else
		node_leave(n);
}

static int stop_soon(struct control *c, struct err *err)
{
	if (no_argument(c, err))
		return (int)err->code;
	timer_set(&c->n->asked_to_stop, c->n->loop, 0, stop, c->n);
	return 0;
}

/* Unlike shutdown it is no pause, whatever --keep-membership says. */
static int leave(struct control *c, struct err *err)
{
	if (stop_soon(c, err))
		return (int)err->code;
	c->n->cfg.keep_membership = false;
	return 0;
}

static int refresh(struct control *c, struct err *err)
{
	if (no_argument(c, err))
		return (int)err->code;
	announce_refresh(c->n);
	buf_putf(c->reply, "members=%zu", c->n->state->nmembers);
	return 0;
}

static int status(struct control *c, struct err *err)
{
	Gfl__V1__NodeStatus s = GFL__V1__NODE_STATUS__INIT;

	if (no_argument(c, err))
		return (int)err->code;
	handlers_status(c->n, &s);
	buf_putf(c->reply,
		 "node=%" PRId64 " role=%s term=%" PRId64 " leader=%" PRId64
		 " applied=%" PRId64 " members=%" PRId64 " trainers=%" PRId64
		 " run=%" PRId64 " inbox=%" PRId64 " ready=%s uptime_s=%.3f"
		 " url=%s",
		 s.node_id, s.role, s.term, s.leader_id, s.applied_index,
		 s.members, s.trainers, s.run, s.inbox, s.ready ? "yes" : "no",
		 s.uptime_s, s.url);
	free(s.ready_peers);
	return 0;
}

/* The answer says that it has begun; the next leader is known later. */
static int transfer(struct control *c, struct err *err)
{
	struct node *n = c->n;
	int64_t to = 0;
	char *end = NULL;
	int rc;

	if (c->argument)
		to = strtoll(c->argument, &end, 10);
	if (c->argument && (*end || to < 1))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "'%s' is no node's id", c->argument);
	if (n->leads) {
		rc = driver_transfer(n->driver, to, err);
		if (rc == ERR_UNAVAILABLE) /* we are there; who is not? */
			err->code = ERR_FAILED_PRECONDITION;
		return rc ? (int)err->code : 0;
	}
	err_set(err, ERR_FAILED_PRECONDITION,
		"node %" PRId64 " does not lead, so it has nothing to transfer",
		n->meta.node_id);
	if (n->leader)
		err_hint(err, "node %" PRId64 " leads", n->leader);
	return (int)err->code;
}

static const struct word {
	const char *name;
	int (*act)(struct control *c, struct err *err);
} words[] = {
	{"shutdown", stop_soon}, {"leave", leave},       {"refresh", refresh},
	{"status", status},      {"transfer", transfer},
};

static const struct word *find(const char *name)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(words[i].name, name))
			return &words[i];
	return NULL;
}

static int unknown(const char *name, struct err *err)
{
	struct buf known = BUF_INIT(0);

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		buf_putf(&known, "%s%s", i ? ", " : "", words[i].name);
	err_set(err, ERR_INVALID_ARGUMENT,
		"unknown control word '%.40s': there are %s", name, known.p);
	buf_release(&known);
	return (int)err->code;
}

/* Cut text up; returns how many words it has, which may be past max. */
static size_t split(char *text, char **out, size_t max)
{
	char *rest, *word = strtok_r(text, " \t\r\n", &rest);
	size_t count = 0;

	for (; word; word = strtok_r(NULL, " \t\r\n", &rest)) {
		if (count < max)
			out[count] = word;
		count++;
	}
	return count;
}

static int obey(struct control *c, char *text, struct err *err)
{
	char *part[WORDS_MAX] = {"", NULL};
	const struct word *word;

	if (split(text, part, WORDS_MAX) > WORDS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a control message is a word and an argument");
	c->argument = part[1];
	word = find(part[0]);
	return word ? word->act(c, err) : unknown(part[0], err);
}

static bool is_text(const Gfl__V1__MessageItem *m)
{
	return m->payload.len <= TEXT_MAX &&
	       (!m->payload.len ||
		!memchr(m->payload.data, '\0', m->payload.len));
}

static int control(struct control *c, const Gfl__V1__MessageItem *m,
		   struct err *err)
{
	char *text;
	int rc;

	if (!is_text(m))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a control message is a text of at most %d "
			       "bytes",
			       TEXT_MAX);
	text = mem_dup(m->payload.data, m->payload.len);
	log_info("control", "from=%" PRId64 " text=%s", m->from, text);
	rc = obey(c, text, err);
	if (rc)
		log_warn("control_refused", "from=%" PRId64 " error=%s",
			 m->from, err->msg);
	free(text);
	return rc;
}

/* Does the payload begin with a word of ours? */
static bool begins_with_word(const Gfl__V1__MessageItem *m)
{
	char *text, *part = NULL;
	bool ours;

	if (!is_text(m))
		return false;
	text = mem_dup(m->payload.data, m->payload.len);
	ours = split(text, &part, 1) && find(part);
	free(text);
	return ours;
}

bool control_is(const struct node *n, const Gfl__V1__MessageItem *m)
{
	if (m->type == MESSAGE_CONTROL)
		return !handler_has(n, m->type) || begins_with_word(m);
	return m->type == MESSAGE_HEARTBEAT || m->type == MESSAGE_READY;
}

int control_take(struct node *n, const Gfl__V1__MessageItem *m,
		 struct buf *reply, struct err *err)
{
	struct control c = {.n = n, .reply = reply};

	if (m->type == MESSAGE_CONTROL)
		return control(&c, m, err);
	return m->type == MESSAGE_READY ? pairs_heard(n, m, err) : 0;
}

void control_close(struct node *n)
{
	timer_stop(&n->asked_to_stop);
}
