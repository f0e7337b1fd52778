/* letter.h - a message as it is written in a line of JSON. Pure. */
#ifndef REGISTRY_LETTER_H
#define REGISTRY_LETTER_H

#include <stddef.h>

#include "base/err.h"

enum { LETTER_ID_MAX = 128 }; /* bytes */

struct letter {
	char *to; /* an id or a URL, or NULL: not said */
	char *id; /* or NULL: a new one */
	int type; /* or -1: not said */
	void *payload;
	size_t len;
};

/* From {"to":2,"type":1,"payload":"..."} of len bytes at text: `to` may be a
 * string, `payload_b64` stands for bytes that are no text, `id` may be there,
 * and other keys do not matter. INVALID_ARGUMENT says what is wrong.
 * letter_release() it. */
int letter_parse(struct letter *out, const char *text, size_t len,
		 struct err *err) MUST_CHECK;

void letter_release(struct letter *l);

#endif
