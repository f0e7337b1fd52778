/* spec.h - the settings of a run: what they are where nothing is said, and what
 * they cannot be. Pure: who asks for a run, who leads and who simulates one all
 * refuse the same, each time in one sentence. */
#ifndef NODE_SPEC_H
#define NODE_SPEC_H

#include "base/err.h"
#include "proto/log.pb-c.h"

/* INVALID_ARGUMENT, naming the setting, when no federation can train so, not
 * even a simulated one. Nothing may be unset but what is off by 0, or empty. */
int spec_check(const Gfl__V1__RunSpec *spec, struct err *err) MUST_CHECK;

/* The same, and UNIMPLEMENTED for a strategy that is only simulated. */
int spec_check_run(const Gfl__V1__RunSpec *spec, struct err *err) MUST_CHECK;

/* Set what is unset, in a message that came from outside, and check it so. */
int spec_complete(Gfl__V1__RunSpec *spec, struct err *err) MUST_CHECK;

#endif
