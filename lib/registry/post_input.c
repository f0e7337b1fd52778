#include "registry/post_input.h"

#include <string.h>

#include "base/input.h"
#include "registry/letter.h"

enum {
	PAYLOAD_MAX = 1 << 20,
	LETTER_MAX = 8 << 20, /* of JSON, where escapes are long */
};

static int add(const struct post_input *in, struct post_receiver *to,
	       const struct post_message *m, struct err *err)
{
	if (m->len > PAYLOAD_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a message of %zu bytes, at most %d", m->len,
			       PAYLOAD_MAX);
	if (!post_add(in->post, to, m))
		post_flush(in->post);
	return 0;
}

static int add_payload(const struct post_input *in, const void *p, size_t len,
		       struct err *err)
{
	const struct post_message m = {
		.type = in->type, .payload = p, .len = len};

	return add(in, in->to, &m, err);
}

static int add_letter(const struct post_input *in, const struct buf *line,
		      struct err *err)
{
	struct post_receiver *to = in->to;
	struct post_message m;
	struct letter l;
	int rc = letter_parse(&l, line->p ? line->p : "", line->len, err);

	if (rc)
		return rc;
	m = (struct post_message){l.id, l.type, l.payload, l.len};
	m.type = l.type < 0 ? in->type : l.type;
	if (l.to && !in->everyone)
		rc = post_to(in->post, l.to, &to, err);
	else if (!to && !in->everyone)
		rc = err_set(err, ERR_INVALID_ARGUMENT, "no \"to\"");
	if (!rc)
		rc = add(in, to, &m, err);
	letter_release(&l);
	return rc;
}

int post_input_text(const struct post_input *in, const char *text,
		    struct err *err)
{
	return add_payload(in, text, strlen(text), err);
}

int post_input_file(const struct post_input *in, const char *path,
		    struct err *err)
{
	struct buf payload = BUF_INIT(PAYLOAD_MAX);
	int rc = input_read(&payload, path, err);

	if (!rc)
		rc = add_payload(in, payload.p, payload.len, err);
	buf_release(&payload);
	return rc;
}

/* Is there still anybody to whom the next line may go? */
static bool goes_on(const struct post_input *in, bool plain)
{
	struct post_receiver *const *all;
	size_t n = post_receivers(in->post, &all);

	for (size_t i = 0; i < n; i++)
		if (!all[i]->failed.code)
			return true;
	return !n || (!plain && !in->everyone);
}

static void add_lines(const struct post_input *in, struct input *from,
		      bool plain)
{
	struct buf line = BUF_INIT(plain ? PAYLOAD_MAX : LETTER_MAX);
	struct err bad;
	bool more = true;
	int rc;

	for (long long n = 1; more && goes_on(in, plain); n++) {
		if (!input_ready(from))
			post_flush(in->post);
		rc = input_line(from, &line, &more, &bad);
		if (!rc && more)
			rc = plain ? add_payload(in, line.p, line.len, &bad)
				   : add_letter(in, &line, &bad);
		if (rc) {
			err_wrap(&bad, "line %lld", n);
			in->on_bad(&bad, in->arg);
		}
	}
	buf_release(&line);
}

int post_input_lines(const struct post_input *in, const char *path, bool plain,
		     struct err *err)
{
	struct input *from;

	if (input_open(&from, path, err))
		return (int)err->code;
	add_lines(in, from, plain);
	input_close(from);
	return 0;
}
