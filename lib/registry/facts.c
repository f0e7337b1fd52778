#include "registry/facts.h"

#include <inttypes.h>

#include "base/clock.h"

void facts_of_message(struct facts *f, const Gfl__V1__MessageItem *m)
{
	char sent[CLOCK_TEXT];

	facts_add(f, "GFL_MSG_ID", "%s", m->id);
	facts_add(f, "GFL_MSG_FROM", "%" PRId64, m->from);
	facts_add(f, "GFL_MSG_TO", "%" PRId64, m->to);
	facts_add(f, "GFL_MSG_TYPE", "%" PRId32, m->type);
	facts_add(f, "GFL_MSG_SENT", "%s", clock_text(m->sent_ms, sent));
}
