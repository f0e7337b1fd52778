/* details.h - what an error says beside its code and sentence, as messages of
 * google.rpc that any gRPC library knows: its hint as a LocalizedMessage, when
 * to ask again as a RetryInfo. Pure. */
#ifndef WIRE_DETAILS_H
#define WIRE_DETAILS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

bool details_any(const struct err *err); /* has it some? */

/* Append a google.rpc.Status in base64 without padding, as the header
 * grpc-status-details-bin has it. */
void details_put_status(struct buf *out, const struct err *err);

/* Append them as Connect's JSON array: [{"type":…,"value":…},…] */
void details_put_json(struct buf *out, const struct err *err);

/* Take hint and retry_s from len characters of a grpc-status-details-bin;
 * whatever else is there, or is malformed, is ignored. */
void details_read(struct err *err, const char *text, size_t len);

#endif
