/* round_out.h - the rounds of a server as rows on stdout (base/out.h): of
 * training, or of participants that are led. */
#ifndef FL_ROUND_OUT_H
#define FL_ROUND_OUT_H

#include <stdbool.h>

#include "base/out.h"
#include "fl/director.h"
#include "fl/hub.h"

/* As out_begin() of a daemon; led: rows of round_out_led(). */
int round_out_begin(struct out **out, const struct out_opts *opts, bool led,
		    struct err *err) MUST_CHECK;

void round_out_hub(const struct hub_round *r, void *out);
void round_out_led(const struct director_round *r, void *out);

#endif
