#include "node/phrase.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

enum { MORE_WORDS = 4 }; /* that a translation has at most */

bool phrase_is(const char *word, const char *names)
{
	size_t len = strlen(word);

	for (; *names; names += strspn(names, " ")) {
		size_t n = strcspn(names, " ");

		if (n == len && !strncmp(names, word, n))
			return true;
		names += n;
	}
	return false;
}

static void add(struct phrase *p, const char *word)
{
	p->at[p->n++] = word;
}

static bool has_option(char *const *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (at[i][0] == '-')
			return true;
	return false;
}

/* "a b c"; free() it. */
static char *join(char *const *at, size_t n)
{
	struct buf b = BUF_INIT(0);

	for (size_t i = 0; i < n; i++)
		buf_putf(&b, "%s%s", i ? " " : "", at[i]);
	return buf_take(&b);
}

static void add_text(struct phrase *p, char *const *at, size_t n)
{
	if (n > 1 && !has_option(at, n)) {
		p->text = join(at, n);
		add(p, p->text);
		return;
	}
	for (size_t i = 0; i < n; i++)
		add(p, at[i]);
}

static void of_program(struct phrase *p, const struct words *w)
{
	const char *word = w->at[0];

	if (phrase_is(word, "l"))
		word = "list";
	else if (phrase_is(word, "s"))
		word = "status";
	p->text = mem_fmt("gfl-%s", word);
	add(p, p->text);
	for (size_t i = 1; i < w->n; i++)
		add(p, w->at[i]);
}

/* A node speaks for itself. */
static void add_send(struct phrase *p, const char *id)
{
	add(p, "gfl-send");
	add(p, "--from");
	add(p, id);
}

void phrase_of(struct phrase *p, const struct words *w, const char *id)
{
	const char *word = w->at[0];
	size_t used = 1;

	*p = (struct phrase){0};
	p->at = mem_zero(w->n + MORE_WORDS, sizeof(*p->at));
	if (phrase_is(word, "send")) {
		add_send(p, id);
		if (w->n > 1 && w->at[1][0] != '-')
			add(p, w->at[used++]);
		add_text(p, w->at + used, w->n - used);
	} else if (phrase_is(word, "broadcast")) {
		add_send(p, id);
		add(p, "--all");
		add_text(p, w->at + used, w->n - used);
	} else if (phrase_is(word, "refresh")) {
		add(p, "gfl-send");
		add(p, id);
		add(p, "refresh");
		add(p, "--type=2");
	} else {
		of_program(p, w);
	}
}

void phrase_release(struct phrase *p)
{
	free(p->at);
	free(p->text);
	*p = (struct phrase){0};
}
