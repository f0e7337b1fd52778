/* roles.h - roles of members, one or several at once: what a proposal asks for,
 * and the account of it that the log keeps. Pure. */
#ifndef NODE_ROLES_H
#define NODE_ROLES_H

#include "proto/log.pb-c.h"
#include "raft/raft.h"

/* Whether e changes roles: a membership entry, or a batch that begins with one.
 */
bool roles_asked(const Gfl__V1__Entry *e);

/* The changes that e asks for: PROMOTE, DEMOTE and REMOVE of members, and
 * nothing else. *to is freed by the caller. INVALID_ARGUMENT. */
int roles_read(struct raft_member **to, size_t *n, const Gfl__V1__Entry *e,
	       struct err *err) MUST_CHECK;
int roles_check(const Gfl__V1__Entry *e, struct err *err) MUST_CHECK;

/* The account of these changes, as bytes of an entry; free() it. */
void *roles_pack(const struct raft_member *to, size_t n, size_t *len);

#endif
