/* peer.h - who is at the other end of a connection, and how far that is
 * proved.
 *
 * A certificate names a member of a federation by one URI among its subject's
 * alternative names: gfl://CLUSTER/ROLE/ID. */
#ifndef WIRE_PEER_H
#define WIRE_PEER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum peer_trust {
	PEER_PLAIN,      /* from elsewhere, without TLS: it may be anybody */
	PEER_LOOPBACK,   /* from this machine, without TLS */
	PEER_UNVERIFIED, /* TLS, but no certificate */
	PEER_VERIFIED,   /* TLS, and a certificate that our authority signed */
};

enum { PEER_PART = 64, PEER_ADDR = 46 };

/* What a verified certificate says; what it does not is "". A name is there as
 * a whole or not at all. */
struct identity {
	char cn[PEER_PART + 1]; /* its subject's common name */
	char cluster[PEER_PART + 1], role[PEER_PART + 1], id[PEER_PART + 1];
};

struct peer {
	enum peer_trust trust;
	char addr[PEER_ADDR];            /* in numbers, without a port */
	const struct identity *identity; /* of PEER_VERIFIED; else NULL */
};

/* Take cluster, role and id from the len bytes of a URI. Each has 1 to 64
 * letters, digits, '-', '_' and '.', the first of them a letter or digit; any
 * other URI is refused by false, and *who is then as it was. */
bool peer_parse(struct identity *who, const char *uri, size_t len) MUST_CHECK;

/* Who a verified peer is, "CLUSTER/ROLE/ID", or else its common name as
 * "CN=NAME"; "" of all others. */
enum { PEER_NAME = 3 * (PEER_PART + 1) };
void peer_name(char out[PEER_NAME], const struct peer *p);

/* Take the common name; one that is too long, or has a control character or
 * bytes that are not ASCII, stays "". */
void peer_set_cn(struct identity *who, const char *cn, size_t len);

/* May it call path, a method that changes something? Only with a verified
 * certificate or from this machine without TLS, unless everyone who can reach
 * us is trusted. UNAUTHENTICATED or PERMISSION_DENIED. */
int peer_check(const struct peer *p, bool trust_all, const char *path,
	       struct err *err) MUST_CHECK;

#endif
