#include "wire/json_scan.h"

#include <stdbool.h>
#include <string.h>

#include "wire/json.h"

/* Past the string that begins at i. */
static size_t skip_string(const char *s, size_t i, size_t len)
{
	for (i++; i < len && s[i] != '"'; i++)
		if (s[i] == '\\')
			i++;
	return i < len ? i + 1 : len;
}

static bool in_number(char c)
{
	return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' ||
	       c == 'e' || c == 'E';
}

/* Would jansson refuse or round the number of these n characters? */
static bool is_long_integer(const char *s, size_t n)
{
	size_t first = s[0] == '-';

	for (size_t i = first; i < n; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	if (n > first && s[first] == '0')
		return first && n == 2;
	return n >= 19;
}

/* Copy what lies before the number at i, and the number as a string. */
static void rewrite(struct buf *exact, const char *s, size_t *copied, size_t i,
		    size_t n)
{
	buf_put(exact, s + *copied, i - *copied);
	buf_puts(exact, "\"\\u0000");
	buf_put(exact, s + i, n);
	buf_puts(exact, "\"");
	*copied = i + n;
}

static int structure(char c, int *depth, int *tokens, struct err *err)
{
	if (!memchr("[]{},:", c, 6))
		return 0;
	if (++*tokens > JSON_MAX_TOKENS)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "JSON of more than %d of the characters []{},:",
			       JSON_MAX_TOKENS);
	if (c == '[' || c == '{')
		++*depth;
	else if (c == ']' || c == '}')
		--*depth;
	if (*depth > JSON_MAX_DEPTH)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "JSON nested deeper than %d", JSON_MAX_DEPTH);
	return 0;
}

/* Move *end past the number at i. */
static int number(const char *s, size_t i, size_t *end, size_t len,
		  struct err *err)
{
	for (*end = i; *end < len && in_number(s[*end]); ++*end)
		if (*end - i >= JSON_MAX_NUMBER)
			return err_set(err, ERR_RESOURCE_EXHAUSTED,
				       "a number of more than %d characters",
				       JSON_MAX_NUMBER);
	return 0;
}

int json_scan(const char *text, size_t len, struct buf *exact, struct err *err)
{
	int depth = 0, tokens = 0, rc;
	size_t copied = 0, i = 0, end = 0;

	if (len > JSON_MAX_BYTES)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "JSON of %zu bytes, more than %d", len,
			       JSON_MAX_BYTES);
	while (i < len) {
		if (text[i] == '"') {
			i = skip_string(text, i, len);
		} else if (text[i] == '-' ||
			   (text[i] >= '0' && text[i] <= '9')) {
			if ((rc = number(text, i, &end, len, err)))
				return rc;
			if (is_long_integer(text + i, end - i))
				rewrite(exact, text, &copied, i, end - i);
			i = end;
		} else if ((rc = structure(text[i++], &depth, &tokens, err))) {
			return rc;
		}
	}
	if (copied)
		buf_put(exact, text + copied, len - copied);
	return 0;
}

int json_load(json_t **out, const char *text, size_t len, size_t flags,
	      struct err *err)
{
	json_error_t why;

	*out = json_loadb(text, len, flags | JSON_REJECT_DUPLICATES, &why);
	if (*out)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT, "line %d column %d: %s",
		       why.line, why.column, why.text);
}
