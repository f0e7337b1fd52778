/* steward_impl.h - what the files of the steward share. */
#ifndef NODE_STEWARD_IMPL_H
#define NODE_STEWARD_IMPL_H

#include "node/node_impl.h"

#define STEWARD_ACTION(name) GFL__V1__MEMBERSHIP__ACTION__##name

/* An entry about one member, valid for a call. */
struct steward_note {
	Gfl__V1__Member member;
	Gfl__V1__Membership change;
	Gfl__V1__Entry entry;
};

const Gfl__V1__Entry *steward_note(struct steward_note *out, int action,
				   int64_t id);

#endif
