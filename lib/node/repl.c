#include "node/repl.h"

#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/terminal.h"
#include "base/words.h"
#include "base/worker.h"
#include "node/phrase.h"

enum {
	LINE_MAX_BYTES = 1 << 20,
	GRACE_MS = 2000,
	PROMPT_SIZE = 32,
};

struct repl {
	struct repl_config cfg;
	struct terminal *terminal;
	struct worker *worker;
	char *dir; /* of our programs */
	char *url;
	char prompt[PROMPT_SIZE], id[PROMPT_SIZE];
	bool started, stopped, failed;
	bool interrupted; /* the program that runs, by the person */
	bool reading;     /* the worker has what follows */
	struct buf line;
	enum terminal_input input;
	int64_t number; /* of the line */
	struct command *command;
	struct process *process;
};

static void next(struct repl *r);

/* ---- words ---- */

static const char help_text[] =
	"list, l                 the nodes of the cluster\n"
	"send TO TEXT...         a message to a node\n"
	"broadcast TEXT...       a message to all nodes\n"
	"leader                  who leads\n"
	"status, s [NODE]        the state of this node, or another\n"
	"refresh                 ask the gateways anew\n"
	"help, h, ?              this\n"
	"quit, q, exit           leave the cluster\n"
	"Any other word runs the program of that name, for this node:";

static void help(const struct repl *r)
{
	char *pattern = mem_fmt("%s/gfl-*", r->dir);
	size_t column = 80;
	glob_t found;

	fputs(help_text, stdout);
	if (!glob(pattern, 0, NULL, &found))
		for (size_t i = 0; i < found.gl_pathc; i++) {
			const char *word =
				found.gl_pathv[i] + strlen(pattern) - 1;

			if (column + strlen(word) > 70) {
				fputs("\n ", stdout);
				column = 0;
			}
			column += strlen(word) + 1;
			printf(" %s", word);
		}
	globfree(&found);
	putchar('\n');
	fflush(stdout);
	free(pattern);
}

/* ---- running them ---- */

static void end(struct repl *r)
{
	if (r->stopped)
		return;
	r->stopped = true;
	r->cfg.on_end(r->cfg.arg);
}

static void went(struct repl *r, bool well)
{
	if (!well)
		r->failed = true;
	if (!well && r->cfg.stop_on_error)
		end(r);
	else
		next(r);
}

static void complain(struct repl *r, const struct err *err)
{
	if (terminal_is_person(r->terminal))
		fprintf(stderr, "gfl-node: %s\n", err->msg);
	else
		fprintf(stderr, "gfl-node: line %" PRId64 ": %s\n", r->number,
			err->msg);
	if (err->hint[0])
		fprintf(stderr, "gfl-node: hint: %s\n", err->hint);
}

/* A program has said itself why it failed, unless a signal ended it. */
static void on_done(const struct err *err, const char *out, size_t len,
		    void *arg)
{
	struct repl *r = arg;

	(void)out;
	(void)len;
	r->process = NULL;
	if (err && strstr(err->msg, "was ended by signal") && !r->stopped &&
	    !r->interrupted)
		complain(r, err);
	command_free(r->command);
	r->command = NULL;
	went(r, !err);
}

/* Beside us, else on the PATH. */
static int find(struct repl *r, struct phrase *p, struct err *err)
{
	char *beside = mem_fmt("%s/%s", r->dir, p->at[0]);
	const char *word = p->at[0] + strlen("gfl-");
	int rc = ERR_NOT_FOUND;

	if (!access(beside, X_OK))
		p->at[0] = beside;
	if (*word && !strchr(word, '/'))
		rc = command_of(&r->command, p->at, p->n, err);
	if (rc == ERR_NOT_FOUND) {
		err_set(err, ERR_INVALID_ARGUMENT, "unknown word '%.40s'",
			word);
		err_hint(err, "help lists the words");
	}
	free(beside);
	return rc;
}

static int run(struct repl *r, const struct words *w, struct err *err)
{
	struct facts facts = {0};
	const struct process_opts opts = {
		.facts = &facts,
		.grace_ms = GRACE_MS,
		.shared = true,
		.no_stdin = !terminal_is_person(r->terminal),
	};
	struct phrase p;
	int rc;

	phrase_of(&p, w, r->id);
	rc = find(r, &p, err);
	phrase_release(&p);
	if (rc)
		return rc;
	facts_add(&facts, "GFL_NODE", "%s", r->url);
	facts_add(&facts, "GFL_GATEWAY", "%s", r->url); /* for other nodes */
	facts_join(&facts, r->cfg.facts);
	r->interrupted = false;
	rc = process_start(&r->process, r->cfg.loop, r->command, &opts, on_done,
			   r, err);
	facts_release(&facts);
	return rc;
}

/* True: the word is ours, and was obeyed. */
static bool obey_own(struct repl *r, const char *word)
{
	if (phrase_is(word, "quit q exit")) {
		end(r);
		return true;
	}
	if (!phrase_is(word, "help h ?"))
		return false;
	help(r);
	next(r);
	return true;
}

static int obey_words(struct repl *r, const struct words *w, struct err *err)
{
	if (!w->n || w->at[0][0] == '#') {
		next(r);
		return 0;
	}
	return obey_own(r, w->at[0]) ? 0 : run(r, w, err);
}

static int obey_line(struct repl *r, struct err *err)
{
	const char *text = r->line.p ? r->line.p : "";
	struct words w;
	int rc;

	if (strlen(text) < r->line.len)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a line with a NUL in it");
	if (words_split(&w, text, err))
		return (int)err->code;
	rc = obey_words(r, &w, err);
	words_release(&w);
	return rc;
}

static void obey(struct repl *r)
{
	struct err err;

	if (!obey_line(r, &err))
		return;
	command_free(r->command);
	r->command = NULL;
	complain(r, &err);
	went(r, false);
}

/* ---- reading ---- */

static void read_line(void *arg)
{
	struct repl *r = arg;

	r->input = terminal_read(r->terminal, r->prompt, &r->line);
}

static void on_line(void *arg)
{
	struct repl *r = arg;
	struct err err;

	r->reading = false;
	if (r->stopped)
		return;
	r->number++;
	switch (r->input) {
	case TERMINAL_LINE:
		obey(r);
		break;
	case TERMINAL_TOO_LONG:
		err_set(&err, ERR_INVALID_ARGUMENT, "the line is too long");
		complain(r, &err);
		went(r, false);
		break;
	case TERMINAL_INTERRUPTED:
		next(r);
		break;
	case TERMINAL_END:
		end(r);
		break;
	}
}

static void next(struct repl *r)
{
	struct err err;

	if (r->stopped)
		return;
	r->reading = true;
	if (worker_submit(r->worker, read_line, on_line, r, &err))
		abort(); /* there is one at a time */
}

/* ---- its life ---- */

static char *own_dir(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	return slash ? mem_dup(path, (size_t)(slash - path)) : mem_str(".");
}

int repl_open(struct repl **out, const struct repl_config *cfg, struct err *err)
{
	struct repl *r = mem_zero(1, sizeof(*r));

	r->cfg = *cfg;
	r->line.max = LINE_MAX_BYTES;
	r->dir = own_dir();
	if (terminal_open(&r->terminal, err) ||
	    worker_open(&r->worker, cfg->loop, "prompt", 1, err)) {
		repl_close(r);
		return (int)err->code;
	}
	*out = r;
	return 0;
}

void repl_start(struct repl *r, int64_t node_id, const char *url)
{
	free(r->url);
	r->url = mem_str(url);
	snprintf(r->id, sizeof(r->id), "%" PRId64, node_id);
	if (!r->reading)
		snprintf(r->prompt, sizeof(r->prompt), "Node-%" PRId64 "> ",
			 node_id);
	if (r->started)
		return;
	r->started = true;
	next(r);
}

bool repl_is_person(const struct repl *r)
{
	return terminal_is_person(r->terminal);
}

void repl_interrupt(struct repl *r)
{
	r->interrupted = true;
	if (r->reading)
		terminal_interrupt(r->terminal);
}

void repl_stop(struct repl *r)
{
	r->stopped = true;
	if (r->reading)
		terminal_stop(r->terminal);
	if (r->process)
		process_stop(r->process);
}

bool repl_failed(const struct repl *r)
{
	return r->failed;
}

void repl_close(struct repl *r)
{
	if (!r)
		return;
	if (r->worker) {
		repl_stop(r);
		worker_close(r->worker);
	}
	process_drop(r->process);
	command_free(r->command);
	terminal_close(r->terminal);
	buf_release(&r->line);
	free(r->dir);
	free(r->url);
	free(r);
}
