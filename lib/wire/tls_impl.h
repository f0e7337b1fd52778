/* tls_impl.h - what tls.c (files) and tls_conn.c (connections) share. */
#ifndef WIRE_TLS_IMPL_H
#define WIRE_TLS_IMPL_H

#include <openssl/ssl.h>

#include "wire/tls.h"

struct tls_files {
	char *cert, *key, *ca; /* PEM, or NULL */
	SSL_CTX *ctx;          /* serves if there is a certificate, and calls */
};

struct tls {
	struct tls_opts opts; /* names of files, our own copies */
	struct tls_files now;
	unsigned count;
};

/* tls_conn.c: how connections of ctx behave, whatever the files are. */
void tls_conn_setup(SSL_CTX *ctx);

#endif
