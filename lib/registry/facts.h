/* facts.h - what a command that handles a message finds in its environment. */
#ifndef REGISTRY_FACTS_H
#define REGISTRY_FACTS_H

#include "base/command.h"
#include "proto/node.pb-c.h"

/* Add GFL_MSG_ID, _FROM, _TO, _TYPE and _SENT. */
void facts_of_message(struct facts *f, const Gfl__V1__MessageItem *m);

#endif
