#include "certs.h"
#include "test.h"

#include <sys/prctl.h>
#include <sys/stat.h>

#include <openssl/pem.h>

#include "base/file.h"
#include "base/mem.h"
#include "wire/tls_impl.h"

/* Two ends, and the bytes that are on their way from each. */
struct pair {
	struct tls_conn *end[2]; /* client, server */
	struct buf way[2], got[2];
	ssize_t last[2];
	struct err err[2];
};

static void pair_open(struct pair *p, struct tls *client, struct tls *server,
		      const char *host, const char *alpn)
{
	memset(p, 0, sizeof(*p));
	p->end[0] = tls_connect(client, host, alpn);
	p->end[1] = tls_accept(server);
}

static void pair_close(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		tls_free(p->end[i]);
		buf_release(&p->way[i]);
		buf_release(&p->got[i]);
	}
}

static void take(struct pair *p, int i, const char *bytes, size_t len)
{
	char part[5000];

	tls_feed(p->end[i], bytes, len);
	while ((p->last[i] = tls_read(p->end[i], part, sizeof(part), &p->way[i],
				      &p->err[i])) > 0)
		buf_put(&p->got[i], part, (size_t)p->last[i]);
}

/* Carry up to most bytes at a time until there are none. */
static void carry(struct pair *p, size_t most)
{
	while (p->way[0].len || p->way[1].len)
		for (int i = 0; i < 2; i++) {
			size_t n = p->way[i].len < most ? p->way[i].len : most;
			char *some = mem_dup(p->way[i].p, n);

			buf_drop(&p->way[i], n);
			if (n && p->last[!i] == TLS_MORE)
				take(p, !i, some, n);
			free(some);
		}
}

static void shake(struct pair *p, size_t most)
{
	take(p, 0, NULL, 0);
	carry(p, most);
}

static void say(struct pair *p, int i, const char *text)
{
	CHECK(tls_write(p->end[i], text, strlen(text), &p->way[i]));
	carry(p, SIZE_MAX);
	CHECK_STR(p->got[!i].p, text);
}

struct four {
	struct tls *server, *open, *member, *stranger;
};

static void four_open(struct four *f)
{
	certs_usual();
	f->server = certs_load("server", "ca");
	f->open = certs_load("server", NULL);
	f->member = certs_load("member", "ca");
	f->stranger = certs_load(NULL, "ca");
}

static void four_close(struct four *f)
{
	tls_close(f->server);
	tls_close(f->open);
	tls_close(f->member);
	tls_close(f->stranger);
}

TEST(a_handshake_in_fragments_of_one_byte_ends_well)
{
	const struct identity *who;
	struct four f;
	struct pair p;

	four_open(&f);
	pair_open(&p, f.member, f.server, "127.0.0.1", "h2");
	shake(&p, 1);
	CHECK(tls_ready(p.end[0]) && tls_ready(p.end[1]));
	CHECK(tls_is_h2(p.end[0]) && tls_is_h2(p.end[1]));
	who = tls_identity(p.end[1]);
	CHECK(who);
	CHECK_STR(who->cn, "member");
	CHECK_STR(who->cluster, "lab");
	CHECK_STR(who->role, "node");
	CHECK_STR(who->id, "7");
	CHECK(!tls_identity(p.end[0]));
	say(&p, 0, "hello");
	say(&p, 1, "and hello");
	tls_end(p.end[0], &p.way[0]);
	carry(&p, 1);
	CHECK_INT(p.last[1], TLS_END);
	CHECK(!tls_write(p.end[0], "x", 1, &p.way[0]));
	pair_close(&p);
	four_close(&f);
}

TEST(large_messages_pass)
{
	char *text = mem_zero(1, 300001);
	struct four f;
	struct pair p;

	memset(text, 'x', 300000);
	four_open(&f);
	pair_open(&p, f.member, f.server, "127.0.0.1", NULL);
	shake(&p, SIZE_MAX);
	CHECK(tls_write(p.end[1], text, 300000, &p.way[1]));
	carry(&p, 777);
	CHECK_STR(p.got[0].p, text);
	free(text);
	pair_close(&p);
	four_close(&f);
}

TEST(without_a_certificate_one_is_a_stranger)
{
	struct four f;
	struct pair p;

	four_open(&f);
	pair_open(&p, f.stranger, f.server, "127.0.0.1", "http/1.1");
	shake(&p, SIZE_MAX);
	CHECK(tls_ready(p.end[1]) && !tls_is_h2(p.end[1]));
	CHECK(!tls_identity(p.end[1]));
	say(&p, 0, "hello");
	pair_close(&p);
	pair_open(&p, f.member, f.open, "127.0.0.1", NULL);
	shake(&p, SIZE_MAX);
	CHECK(tls_ready(p.end[1]));
	CHECK(!tls_identity(p.end[1]));
	pair_close(&p);
	four_close(&f);
}

TEST(other_protocols_are_refused)
{
	struct four f;
	struct pair p;

	four_open(&f);
	pair_open(&p, f.member, f.server, "127.0.0.1", "ftp");
	shake(&p, SIZE_MAX);
	CHECK_INT(p.last[1], TLS_BROKEN);
	CHECK_INT(p.last[0], TLS_BROKEN);
	CHECK_HAS(p.err[0].msg, "no application protocol");
	pair_close(&p);
	four_close(&f);
}

/* The handshake ends badly at end i, whose error has these words. */
static void refused(struct tls *client, struct tls *server, const char *host,
		    int i, enum err_code code, const char *words)
{
	struct pair p;

	pair_open(&p, client, server, host, NULL);
	shake(&p, SIZE_MAX);
	CHECK_INT(p.last[i], TLS_BROKEN);
	CHECK_INT(p.err[i].code, code);
	CHECK_HAS(p.err[i].msg, words);
	CHECK_INT(p.last[!i], TLS_BROKEN); /* by an alert */
	CHECK(!tls_identity(p.end[1]));
	pair_close(&p);
}

TEST(only_the_right_server_is_called)
{
	struct tls *other, *system;
	struct four f;

	four_open(&f);
	certs_make(&(struct cert){.name = "ca2"});
	other = certs_load(NULL, "ca2");
	system = certs_load("member", NULL);
	refused(other, f.server, "127.0.0.1", 0, ERR_UNAUTHENTICATED,
		"unable to get local issuer");
	refused(system, f.server, "127.0.0.1", 0, ERR_UNAUTHENTICATED,
		"unable to get local issuer");
	refused(NULL, f.server, "127.0.0.1", 0, ERR_UNAUTHENTICATED,
		"unable to get local issuer");
	refused(f.member, f.server, "127.0.0.2", 0, ERR_UNAUTHENTICATED,
		"IP address mismatch");
	refused(f.member, f.server, "server", 0, ERR_UNAUTHENTICATED,
		"ostname mismatch");
	tls_close(other);
	tls_close(system);
	four_close(&f);
}

TEST(a_certificate_of_another_authority_is_refused)
{
	struct tls *t;
	struct four f;

	four_open(&f);
	certs_make(&(struct cert){.name = "ca2"});
	certs_make(&(struct cert){.name = "spy", .signer = "ca2"});
	t = certs_load("spy", "ca");
	refused(t, f.server, "127.0.0.1", 1, ERR_UNAUTHENTICATED,
		"unable to get local issuer certificate");
	tls_close(t);
	four_close(&f);
}

TEST(a_member_cannot_sign_others)
{
	struct tls *t;
	struct four f;

	four_open(&f);
	certs_make(&(struct cert){.name = "heir", .signer = "member"});
	t = certs_load("heir", "ca");
	refused(t, f.server, "127.0.0.1", 1, ERR_UNAUTHENTICATED,
		"unable to get local issuer certificate");
	tls_close(t);
	four_close(&f);
}

/* Show a certificate that tls_open() would not load. */
static void wear(struct tls *t, const char *cert, const char *key)
{
	CHECK(SSL_CTX_use_certificate_file(t->now.ctx, cert,
					   SSL_FILETYPE_PEM) == 1);
	CHECK(SSL_CTX_use_PrivateKey_file(t->now.ctx, key, SSL_FILETYPE_PEM) ==
	      1);
}

TEST(a_certificate_out_of_its_time_is_refused)
{
	struct four f;

	four_open(&f);
	certs_make(&(struct cert){
		.name = "old", .signer = "ca", .from_s = -7200, .to_s = -3600});
	certs_make(&(struct cert){
		.name = "young", .signer = "ca", .from_s = 3600});
	wear(f.member, "old.pem", "old.key");
	refused(f.member, f.server, "127.0.0.1", 1, ERR_UNAUTHENTICATED,
		"certificate has expired");
	wear(f.member, "young.pem", "young.key");
	refused(f.member, f.server, "127.0.0.1", 1, ERR_UNAUTHENTICATED,
		"certificate is not yet valid");
	wear(f.server, "old.pem", "old.key");
	refused(f.stranger, f.server, "127.0.0.1", 0, ERR_UNAUTHENTICATED,
		"certificate has expired");
	four_close(&f);
}

/* Who a member with this SAN is to the server. */
static void named(const char *san, const char *cluster, const char *id)
{
	const struct cert odd = {.name = "odd", .signer = "ca", .san = san};
	const struct identity *who;
	struct tls *server, *t;
	struct pair p;

	certs_make(&odd);
	server = certs_load("server", "ca");
	t = certs_load("odd", "ca");
	pair_open(&p, t, server, "127.0.0.1", NULL);
	shake(&p, SIZE_MAX);
	who = tls_identity(p.end[1]);
	CHECK(who);
	CHECK_STR(who->cn, "odd");
	CHECK_STR(who->cluster, cluster);
	CHECK_STR(who->id, id);
	pair_close(&p);
	tls_close(t);
	tls_close(server);
}

TEST(a_name_is_one_uri_or_none)
{
	certs_usual();
	named("URI:gfl://lab/node/1", "lab", "1");
	named("URI:http://lab/,URI:gfl://lab/admin/ann,DNS:x", "lab", "ann");
	named("DNS:lab", "", "");
	named("URI:gfl://lab/node/1,URI:gfl://lab/node/2", "", "");
	named("URI:gfl://lab/node/1,URI:gfl://lab/node/1", "", "");
	named("URI:gfl://lab/node", "", "");
	named("DNS:gfl://lab/node/1", "", "");
	named("email:gfl://lab/node/1", "", "");
}

TEST(garbage_ends_a_handshake)
{
	static const char *const bad[] = {
		"GET / HTTP/1.1\r\n\r\n",
		"\x16\x03\x01\xff\xff",
		"\x16\x03\x01\x00\x01\x01",
		"\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff",
		"\x17\x03\x03\x00\x05hello",
		"\x15\x03\x03\x00\x02\x02\x28",
	};
	static const size_t len[] = {18, 5, 6, 10, 10, 7};
	struct four f;
	struct pair p;

	four_open(&f);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		pair_open(&p, f.member, f.server, "127.0.0.1", NULL);
		take(&p, 1, bad[i], len[i]);
		CHECK(p.last[1] == TLS_BROKEN || p.last[1] == TLS_MORE);
		CHECK(!tls_ready(p.end[1]) && !tls_identity(p.end[1]));
		CHECK(!tls_write(p.end[1], "x", 1, &p.way[1]));
		if (p.last[1] == TLS_BROKEN)
			take(&p, 1, "more", 4);
		pair_close(&p);
	}
	four_close(&f);
}

/* Each byte of the client's flights changed in turn, or left out with all that
 * follows: the server's handshake never ends well, and nothing leaks. */
TEST(no_damaged_handshake_ends_well)
{
	struct four f;
	struct pair p;

	four_open(&f);
	for (size_t at = 0; at < 2000; at += 7) {
		pair_open(&p, f.member, f.server, "127.0.0.1", NULL);
		take(&p, 0, NULL, 0);
		take(&p, 1, p.way[0].p, p.way[0].len);
		buf_reset(&p.way[0]);
		take(&p, 0, p.way[1].p, p.way[1].len);
		buf_reset(&p.way[1]);
		if (at < p.way[0].len)
			p.way[0].p[at] ^= 0x20;
		else
			p.way[0].len = at - p.way[0].len < p.way[0].len
					       ? at - p.way[0].len
					       : p.way[0].len - 1;
		take(&p, 1, p.way[0].p, p.way[0].len);
		CHECK(!tls_ready(p.end[1]) || p.last[1] == TLS_BROKEN);
		CHECK(!tls_identity(p.end[1]));
		pair_close(&p);
	}
	four_close(&f);
}

TEST(damage_after_the_handshake_is_noticed)
{
	struct four f;
	struct pair p;

	four_open(&f);
	pair_open(&p, f.member, f.server, "127.0.0.1", NULL);
	shake(&p, SIZE_MAX);
	CHECK(tls_write(p.end[0], "hello", 5, &p.way[0]));
	p.way[0].p[p.way[0].len - 1] ^= 1;
	carry(&p, SIZE_MAX);
	CHECK_INT(p.last[1], TLS_BROKEN);
	CHECK_INT(p.got[1].len, 0);
	pair_close(&p);
	four_close(&f);
}

/* ---- files ---- */

static void refuses(const char *cert, const char *key, const char *ca,
		    enum err_code code, const char *words)
{
	const struct tls_opts o = {cert, key, ca};
	struct err err = {0};
	struct tls *t;

	CHECK_INT(tls_open(&t, &o, &err), code);
	CHECK(!t);
	CHECK_HAS(err.msg, words);
}

static void write_file(const char *path, const char *text)
{
	const struct file_part part = {text, strlen(text)};

	CHECK(!file_replace(path, &part, 1, NULL));
}

TEST(files_that_will_not_do_are_refused)
{
	const enum err_code bad = ERR_INVALID_ARGUMENT;

	certs_usual();
	certs_make(&(struct cert){
		.name = "old", .signer = "ca", .from_s = -9, .to_s = -1});
	write_file("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
	write_file("none.pem", "hello\n");
	refuses("x.pem", "x.key", NULL, ERR_NOT_FOUND, "x.pem");
	refuses("server.pem", NULL, NULL, bad, "go together");
	refuses(NULL, "server.key", "ca.pem", bad, "go together");
	refuses("server.pem", "x.key", NULL, ERR_NOT_FOUND, "x.key");
	refuses("server.pem", "member.key", NULL, bad,
		"member.key does not belong to certificate server.pem");
	refuses("old.pem", "old.key", NULL, bad, "old.pem has expired on 20");
	refuses("none.pem", "server.key", NULL, bad, "none.pem has no cert");
	refuses("junk.pem", "server.key", NULL, bad, "junk.pem has no cert");
	refuses(NULL, NULL, "junk.pem", bad, "junk.pem has no certificate");
	refuses(NULL, NULL, "none.pem", bad, "none.pem has no certificate");
	refuses(NULL, NULL, ".", bad, "not a regular file");
	CHECK(!chmod("ca.key", 0640));
	refuses("ca.pem", "ca.key", NULL, bad, "ca.key is a secret");
	CHECK(!chmod("none.pem", 0600));
	refuses("server.pem", "none.pem", NULL, bad, "none.pem has no private");
}

TEST(a_key_with_a_passphrase_is_refused_at_once)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	FILE *f;

	certs_usual();
	f = fopen("locked.key", "w");
	CHECK(PEM_write_PrivateKey(f, key, EVP_aes_128_cbc(),
				   (const unsigned char *)"abc", 3, NULL,
				   NULL));
	CHECK(!fchmod(fileno(f), 0600) && !fclose(f));
	EVP_PKEY_free(key);
	refuses("server.pem", "locked.key", NULL, ERR_INVALID_ARGUMENT,
		"locked.key is encrypted");
}

TEST(a_certificate_is_for_its_names_alone)
{
	struct tls *t;

	certs_usual();
	t = certs_load("member", NULL);
	CHECK(tls_is_for(t, "member.lab"));
	CHECK(tls_is_for(t, "MEMBER.lab"));
	CHECK(tls_is_for(t, "127.0.0.1"));
	CHECK(!tls_is_for(t, "member"));
	CHECK(!tls_is_for(t, "x.member.lab"));
	CHECK(!tls_is_for(t, "127.0.0.2"));
	CHECK(!tls_is_for(t, ""));
	tls_close(t);
	t = certs_load(NULL, "ca");
	CHECK(!tls_is_for(t, "member.lab"));
	tls_close(t);
}

#ifndef __SANITIZE_ADDRESS__
TEST(a_process_with_a_key_is_not_dumped)
{
	struct tls *t;

	certs_usual();
	t = certs_load(NULL, "ca");
	CHECK_INT(prctl(PR_GET_DUMPABLE), 1);
	tls_close(t);
	t = certs_load("member", NULL);
	CHECK_INT(prctl(PR_GET_DUMPABLE), 0);
	tls_close(t);
}
#endif

TEST(no_files_are_no_tls)
{
	const struct tls_opts none = {0};
	struct tls *t;

	CHECK(!tls_open(&t, &none, NULL));
	CHECK(!t && !tls_has_cert(t) && !tls_has_ca(t));
	tls_reload(t);
	tls_close(t);
}

TEST(new_files_are_for_new_connections_and_bad_ones_for_none)
{
	const struct cert other = {
		.name = "server", .signer = "ca", .san = "IP:127.0.0.9"};
	struct four f;
	struct pair p, before;

	four_open(&f);
	pair_open(&before, f.member, f.server, "127.0.0.1", NULL);
	write_file("server.pem", "junk");
	tls_reload(f.server);
	CHECK_INT(tls_pem(f.server).count, 0);
	pair_open(&p, f.member, f.server, "127.0.0.1", NULL);
	shake(&p, SIZE_MAX);
	CHECK(tls_ready(p.end[0]));
	pair_close(&p);
	certs_make(&other);
	tls_reload(f.server);
	CHECK_INT(tls_pem(f.server).count, 1);
	pair_open(&p, f.member, f.server, "127.0.0.9", NULL);
	shake(&p, SIZE_MAX);
	CHECK(tls_ready(p.end[0]));
	pair_close(&p);
	shake(&before, SIZE_MAX);
	CHECK(tls_ready(before.end[0]));
	pair_close(&before);
	four_close(&f);
}
