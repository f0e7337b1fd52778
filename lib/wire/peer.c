#include "wire/peer.h"

#include <stdio.h>
#include <string.h>

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

/* One part from *p up to end or a slash, into out. */
static bool take_part(const char **p, const char *end, char out[PEER_PART + 1])
{
	const char *from = *p;
	size_t n = 0;

	while (from + n < end && from[n] != '/' && n <= PEER_PART) {
		char c = from[n];

		if (!is_alnum(c) && (!n || !strchr("-_.", c) || !c))
			return false;
		n++;
	}
	if (!n || n > PEER_PART)
		return false;
	memcpy(out, from, n);
	out[n] = '\0';
	*p = from + n;
	return true;
}

static bool take_slash(const char **p, const char *end)
{
	return *p < end && *(*p)++ == '/';
}

bool peer_parse(struct identity *who, const char *uri, size_t len)
{
	static const char scheme[] = "gfl://";
	const size_t skip = sizeof(scheme) - 1;
	const char *p = uri + skip, *end = uri + len;
	struct identity found = *who;

	if (len < skip || memcmp(uri, scheme, skip) != 0)
		return false;
	if (!take_part(&p, end, found.cluster) || !take_slash(&p, end) ||
	    !take_part(&p, end, found.role) || !take_slash(&p, end) ||
	    !take_part(&p, end, found.id) || p != end)
		return false;
	*who = found;
	return true;
}

void peer_set_cn(struct identity *who, const char *cn, size_t len)
{
	who->cn[0] = '\0';
	if (len > PEER_PART)
		return;
	for (size_t i = 0; i < len; i++)
		if (cn[i] < ' ' || cn[i] > '~')
			return;
	memcpy(who->cn, cn, len);
	who->cn[len] = '\0';
}

void peer_name(char out[PEER_NAME], const struct peer *p)
{
	const struct identity *who = p->identity;

	*out = '\0';
	if (p->trust != PEER_VERIFIED || !who)
		return;
	if (*who->cluster)
		snprintf(out, PEER_NAME, "%s/%s/%s", who->cluster, who->role,
			 who->id);
	else if (*who->cn)
		snprintf(out, PEER_NAME, "CN=%s", who->cn);
}

int peer_check(const struct peer *p, bool trust_all, const char *path,
	       struct err *err)
{
	if (trust_all || p->trust == PEER_LOOPBACK || p->trust == PEER_VERIFIED)
		return 0;
	if (p->trust == PEER_UNVERIFIED)
		return err_set(err, ERR_UNAUTHENTICATED,
			       "%.200s is for members: it needs a certificate "
			       "(--tls-cert, --tls-key) that this server's "
			       "authority signed",
			       path);
	return err_set(err, ERR_PERMISSION_DENIED,
		       "%.200s is not open to %s without TLS: serve with "
		       "--tls-cert, --tls-key and --tls-ca, or trust everyone "
		       "who can reach the port by --insecure",
		       path, p->addr);
}
