/* post_input.h - messages from a text, a file, or the lines of one, into a
 * post. */
#ifndef REGISTRY_POST_INPUT_H
#define REGISTRY_POST_INPUT_H

#include "registry/post.h"

struct post_input {
	struct post *post;
	struct post_receiver *to; /* NULL: all, or as each line says */
	bool everyone;            /* to all, whatever a line says */
	int type;                 /* where a line says nothing */
	/* Told of each line that is no message, and is left out. */
	void (*on_bad)(const struct err *err, void *arg);
	void *arg;
};

/* All of these are payloads of at most 1 MiB, else INVALID_ARGUMENT or, of a
 * file, RESOURCE_EXHAUSTED. path "-" is standard input. */
int post_input_text(const struct post_input *in, const char *text,
		    struct err *err) MUST_CHECK;
int post_input_file(const struct post_input *in, const char *path,
		    struct err *err) MUST_CHECK;

/* A line, a message; as letter.h has it, or with plain the payload itself. What
 * is there is sent without waiting for what is yet to come, until nobody is
 * left to whom a line may go. */
int post_input_lines(const struct post_input *in, const char *path, bool plain,
		     struct err *err) MUST_CHECK;

#endif
