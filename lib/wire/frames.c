#include "wire/frames.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "wire/details.h"
#include "wire/utf8.h"

enum {
	FLAG_COMPRESSED = 0x01,
	FLAG_TRAILERS = 0x80,
	ROOM_AFTER = 512, /* a frame: its head and, of an answer, trailers */
};

void frames_head(uint8_t head[FRAMES_HEAD], uint8_t flags, uint32_t len)
{
	head[0] = flags;
	for (int i = 0; i < 4; i++)
		head[1 + i] = (uint8_t)(len >> (24 - 8 * i));
}

void frames_add(struct frames *a, const void *p, size_t len)
{
	buf_put(&a->in, p, len);
}

void frames_release(struct frames *a)
{
	buf_release(&a->in);
	a->at = 0;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undo percent-encoding within the sentence; what is no text, or would break
 * the line, becomes '?'. */
static void decode(char *s)
{
	char *to = s;

	for (char *from = s; *from; from++) {
		int high = *from == '%' ? hex(from[1]) : -1;
		int low = high < 0 ? -1 : hex(from[2]);

		if (low >= 0)
			from += 2;
		*to++ = low < 0 ? *from : (char)(high << 4 | low);
	}
	*to = '\0';
	for (size_t n; s < to; s += n) {
		n = utf8_one(s, (size_t)(to - s));
		if (!n || (unsigned char)*s < 0x20 || *s == 0x7f) {
			*s = '?';
			n = 1;
		}
	}
}

void frames_status(struct err *err, const char *code, const char *sentence)
{
	char *text = mem_str(sentence ? sentence : "");
	char *end;
	long number = strtol(code, &end, 10);

	decode(text);
	if (end == code || *end || number < 0 || number > ERR_UNAUTHENTICATED)
		err_set(err, ERR_UNKNOWN, "status \"%.20s\": %s", code, text);
	else
		err_set(err, (enum err_code)number, "%s",
			*text ? text : err_name((enum err_code)number));
	free(text);
}

/* The value of a trailer in lines of "name: value", as a new string or NULL. */
static char *trailer(const char *lines, size_t len, const char *name)
{
	size_t n = strlen(name);

	while (len) {
		const char *end = memchr(lines, '\n', len);
		size_t line = end ? (size_t)(end - lines) : len, at = n + 1, to;

		if (line > n && lines[n] == ':' &&
		    !strncasecmp(lines, name, n)) {
			for (to = line;
			     to > at && isspace((unsigned char)lines[to - 1]);)
				to--;
			while (at < to && lines[at] == ' ')
				at++;
			return mem_dup(lines + at, to - at);
		}
		lines += end ? line + 1 : line;
		len -= end ? line + 1 : line;
	}
	return NULL;
}

static enum frames_step end(const uint8_t *p, size_t len, struct err *err)
{
	char *code = trailer((const char *)p, len, "grpc-status");
	char *sentence = trailer((const char *)p, len, "grpc-message");
	char *details =
		trailer((const char *)p, len, "grpc-status-details-bin");

	if (code)
		frames_status(err, code, sentence);
	else
		err_set(err, ERR_UNKNOWN, "the answer ends without a status");
	if (err->code && details)
		details_read(err, details, strlen(details));
	free(details);
	free(code);
	free(sentence);
	return FRAMES_END;
}

/* Let go of what was read once it is the larger part, so that moving the rest
 * costs no more than reading did. */
static void drop_read(struct frames *a)
{
	if (a->at > a->in.len / 2) {
		buf_drop(&a->in, a->at);
		a->at = 0;
	}
}

static enum frames_step check_head(uint8_t flags, size_t len, struct err *err)
{
	size_t max = flags ? (size_t)FRAMES_MAX_TRAILERS : FRAMES_MAX_MESSAGE;

	if (flags & FLAG_COMPRESSED)
		err_set(err, ERR_UNIMPLEMENTED, "the answer is compressed");
	else if (flags & ~FLAG_TRAILERS)
		err_set(err, ERR_INTERNAL,
			"the answer has a frame of unknown kind 0x%02x", flags);
	else if (len > max)
		err_set(err, ERR_RESOURCE_EXHAUSTED,
			"the answer has a message of %zu bytes, more than %zu",
			len, max);
	else
		return FRAMES_MORE;
	return FRAMES_BAD;
}

enum frames_step frames_next(struct frames *a, const uint8_t **p, size_t *len,
			     struct err *err)
{
	const uint8_t *head;
	size_t have;

	drop_read(a);
	head = (const uint8_t *)a->in.p + a->at;
	have = a->in.len - a->at;
	if (have < FRAMES_HEAD)
		return FRAMES_MORE;
	*len = (size_t)head[1] << 24 | (size_t)head[2] << 16 |
	       (size_t)head[3] << 8 | head[4];
	if (check_head(head[0], *len, err) == FRAMES_BAD)
		return FRAMES_BAD;
	if (have - FRAMES_HEAD < *len) { /* all of it is not moved again */
		(void)!buf_room(&a->in, *len + ROOM_AFTER - have);
		return FRAMES_MORE;
	}
	*p = head + FRAMES_HEAD;
	a->at += FRAMES_HEAD + *len;
	return head[0] & FLAG_TRAILERS ? end(*p, *len, err) : FRAMES_MESSAGE;
}
