/* certs.h - authorities and certificates for tests, made as they are needed. */
#ifndef CERTS_H
#define CERTS_H

#include "base/opt.h"
#include "wire/tls.h"

struct cert {
	const char *name;   /* of the files NAME.pem and NAME.key, and its CN */
	const char *signer; /* NAME of an authority; NULL: it is one */
	const char *san;    /* as OpenSSL writes it; NULL: of this machine */
	long from_s, to_s;  /* from now; to_s 0: a day */
};

void certs_make(const struct cert *c);

/* An authority "ca", and of it "server" and "member", who is
 * gfl://lab/node/7. */
void certs_usual(void);

/* The files of name and of authority ca, either NULL: loaded. */
struct tls *certs_load(const char *name, const char *ca);

#endif
