/* outcell.h - one cell of a record as text, TSV and JSON. */
#ifndef BASE_OUTCELL_H
#define BASE_OUTCELL_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/out.h"

/* For a person: "-" for nothing, control characters escaped if wanted. The
 * caller frees it. */
char *outcell_text(const struct out_cell *c, bool escape);

/* Append for a program: nothing for nothing, \t \n \\ escaped. */
void outcell_tsv(struct buf *b, const struct out_cell *c);

/* Add to a JSON object under key, or under key_b64 what is not UTF-8. */
void outcell_json(json_t *row, const char *key, const struct out_cell *c);

/* "RTT S" for rtt_s: what heads a column. The caller frees it. */
char *outcell_head(const char *key);

#endif
