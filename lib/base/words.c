#include "base/words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool is_blank(char c)
{
	return c && strchr(" \t\r\n", c);
}

/* Copy the word that starts at *from to *to, ended by a NUL, and go behind it
 * in both. What is copied never outruns what is read. */
static int take_word(char **to, const char **from, struct err *err)
{
	const char *p = *from;
	char *out = *to, quote = 0;

	for (; *p && (quote || !is_blank(*p)); p++) {
		if (*p == quote) {
			quote = 0;
		} else if (!quote && (*p == '\'' || *p == '"')) {
			quote = *p;
		} else if (*p == '\\' && quote != '\'' &&
			   (!quote || p[1] == '"' || p[1] == '\\')) {
			if (!*++p)
				return err_set(err, ERR_INVALID_ARGUMENT,
					       "a backslash at the end");
			*out++ = *p;
		} else {
			*out++ = *p;
		}
	}
	if (quote)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a %c that is not closed", quote);
	*out++ = '\0';
	*to = out;
	*from = p;
	return 0;
}

int words_split(struct words *out, const char *text, struct err *err)
{
	struct words w = {.text = mem_zero(1, strlen(text) + 2)};
	char *to = w.text;
	size_t cap = 0;

	w.at = mem_grow(NULL, &cap, 1, sizeof(*w.at));
	for (;;) {
		while (is_blank(*text))
			text++;
		if (!*text)
			break;
		w.at = mem_grow(w.at, &cap, w.n + 2, sizeof(*w.at));
		w.at[w.n++] = to;
		if (take_word(&to, &text, err)) {
			words_release(&w);
			return (int)err->code;
		}
	}
	w.at[w.n] = NULL;
	*out = w;
	return 0;
}

void words_copy(struct words *out, const char *const *at, size_t n)
{
	size_t len = 1;
	char *to;

	for (size_t i = 0; i < n; i++)
		len += strlen(at[i]) + 1;
	out->text = to = mem_zero(1, len);
	out->at = mem_zero(n + 1, sizeof(*out->at));
	out->n = n;
	for (size_t i = 0; i < n; i++) {
		out->at[i] = to;
		to = stpcpy(to, at[i]) + 1;
	}
}

void words_release(struct words *w)
{
	free(w->at);
	free(w->text);
	*w = (struct words){0};
}
