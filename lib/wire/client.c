/* The user's callbacks never run inside of libcurl, which forbids to add or
 * remove transfers there: what arrives is put aside, and delivered when libcurl
 * has finished its turn. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/client_impl.h"

enum { CONNECTIONS_KEPT = 256 }; /* per channel */

/* New files of TLS are for new handles. */
static void follow_tls(struct client *c)
{
	unsigned count = c->tls ? tls_pem(c->tls).count : 0;

	if (count == c->tls_count)
		return;
	c->tls_count = count;
	for (int i = 0; i < CLIENT_CHANNELS; i++)
		while (c->channels[i].nidle)
			curl_easy_cleanup(
				c->channels[i].idle[--c->channels[i].nidle]);
}

CURL *client_easy(struct rpc *r, curl_write_callback on_body)
{
	struct channel *ch = &r->c->channels[r->method->channel];

	follow_tls(r->c);
	return ch->nidle
		       ? ch->idle[--ch->nidle]
		       : transfer_easy(r->method->channel, on_body, r->c->tls);
}

void client_easy_back(struct rpc *r)
{
	struct channel *ch = &r->c->channels[r->method->channel];

	if (!r->t.easy)
		return;
	if (!r->is_over)
		curl_loop_remove(ch->curl, r->t.easy);
	curl_easy_setopt(r->t.easy, CURLOPT_ERRORBUFFER, NULL);
	if (ch->nidle < CLIENT_EASY_KEPT)
		ch->idle[ch->nidle++] = r->t.easy;
	else
		curl_easy_cleanup(r->t.easy);
	r->t.easy = NULL;
}

void client_deliver(void *arg)
{
	struct client *c = arg;
	struct rpc *r;

	c->delivering = true;
	while ((r = TAILQ_FIRST(&c->ready)))
		client_call_deliver(r);
	c->delivering = false;
}

static void on_over(CURL *easy, CURLcode code, void *arg)
{
	struct rpc *r = NULL;

	(void)arg;
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &r);
	r->is_over = true;
	r->code = code;
	client_call_ready(r);
}

int client_open(struct client **out, struct loop *loop, struct tls *tls,
		struct err *err)
{
	struct client *c;

	if (curl_global_init(CURL_GLOBAL_NOTHING))
		return err_set(err, ERR_INTERNAL, "libcurl does not start");
	c = mem_zero(1, sizeof(*c));
	c->loop = loop;
	c->tls = tls;
	TAILQ_INIT(&c->all);
	TAILQ_INIT(&c->ready);
	rand_os(&c->chance, sizeof(c->chance));
	for (int i = 0; i < CLIENT_CHANNELS; i++)
		c->channels[i].curl = curl_loop_new(loop, CONNECTIONS_KEPT,
						    on_over, client_deliver, c);
	*out = c;
	return 0;
}

int client_open_files(struct client **out, struct loop *loop,
		      const struct tls_opts *opts, struct err *err)
{
	struct tls *tls = NULL;
	int rc = opts ? tls_open(&tls, opts, err) : 0;

	if (!rc)
		rc = client_open(out, loop, tls, err);
	if (rc)
		tls_close(tls);
	else
		(*out)->own = tls;
	return rc;
}

void client_close(struct client *c)
{
	struct rpc *r;

	if (!c)
		return;
	assert(!c->delivering);
	while ((r = TAILQ_FIRST(&c->all)))
		client_call_destroy(r);
	for (int i = 0; i < CLIENT_CHANNELS; i++) {
		struct channel *ch = &c->channels[i];

		while (ch->nidle)
			curl_easy_cleanup(ch->idle[--ch->nidle]);
		curl_loop_free(ch->curl);
	}
	tls_close(c->own);
	free(c->bind);
	free(c);
	curl_global_cleanup();
}

void client_bind(struct client *c, const char *address)
{
	free(c->bind);
	c->bind = mem_str(address);
}

const char *client_bound(const struct client *c)
{
	return c->bind;
}

struct loop *client_loop(const struct client *c)
{
	return c->loop;
}

struct tls *client_tls(const struct client *c)
{
	return c->tls;
}

void client_timing(const struct client *c, uint64_t *bytes, int64_t *us)
{
	*bytes = c->bytes;
	*us = c->us;
}
