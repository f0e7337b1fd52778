#include "certs.h"
#include "duplex_test.c"

bool world_secure(void)
{
	return true;
}

static void fails(struct bed *b, struct tls *tls, const char *url,
		  enum err_code code, const char *words)
{
	struct rpc_opts opts = {.timeout_ms = 5000, .tls = tls};

	b->done = false;
	b->d = duplex_open(b->w.loop, url, &up_method, &opts, NULL, on_done, b);
	UNTIL(&b->w, b->done);
	CHECK_INT(b->err.code, code);
	CHECK_HAS(b->err.msg, words);
}

TEST(who_cannot_be_trusted_gets_no_stream)
{
	struct tls *other;
	struct world plain;
	struct bed b;
	char url[64];

	bed_open(&b);
	certs_make(&(struct cert){.name = "ca2"});
	certs_make(&(struct cert){.name = "spy", .signer = "ca2"});
	other = certs_load("spy", "ca2");
	fails(&b, other, b.url, ERR_UNAUTHENTICATED, "is not to be trusted");
	fails(&b, NULL, b.url, ERR_UNAUTHENTICATED, "is not to be trusted");
	tls_close(other);
	other = certs_load("spy", "ca");
	fails(&b, other, b.url, ERR_UNAUTHENTICATED,
	      "does not trust our certificate");
	tls_close(other);
	plain = b.w;
	CHECK(!server_open(&plain.server, plain.loop,
			   &(struct server_opts){.listen = "127.0.0.1:0"},
			   NULL));
	snprintf(url, sizeof(url), "https://127.0.0.1:%d",
		 server_port(plain.server));
	fails(&b, b.w.client_tls, url, ERR_INVALID_ARGUMENT,
	      "does not speak TLS");
	server_close(plain.server, 0);
	bed_close(&b);
}
