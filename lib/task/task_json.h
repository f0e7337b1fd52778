/* task_json.h - a task as JSON, and as the message that a worker gets; what
 * came of it as numbers, and as JSON. Pure. */
#ifndef TASK_TASK_JSON_H
#define TASK_TASK_JSON_H

#include <jansson.h>

#include "base/err.h"
#include "proto/master.pb-c.h"
#include "task/crew.h"

/* The text is one JSON object within the limits of wire/json.h; else
 * INVALID_ARGUMENT or RESOURCE_EXHAUSTED. json_decref() *out unless it is
 * NULL. */
int task_json_object(const char *text, size_t len, json_t **out,
		     struct err *err) MUST_CHECK;

/* The message for a worker; rpc_free() it. One of gfl gets the text as it is.
 * Others get what they know: "architecture", or else the whole object; the
 * numbers of epochs, the batch size, the rate and the data set by the keys
 * num_epochs or epochs, batch_size or batch, learning_rate or lr, dataset; all
 * other texts and numbers as extra. */
Morphml__Distributed__EvaluateRequest *task_json_request(const struct task *t);

/* The other way: the JSON object that a message is; free() it. A message that
 * has none is INVALID_ARGUMENT. */
int task_json_text(const Morphml__Distributed__EvaluateRequest *in, char **out,
		   struct err *err) MUST_CHECK;

/* Metrics as a JSON object: those that are not finite as texts ("nan"). free()
 * it. */
typedef Morphml__Distributed__ResultRequest__MetricsEntry task_json_metric;
char *task_json_metrics(task_json_metric *const *all, size_t n);

/* What a command printed: its last line, which is a JSON object or nothing.
 * *out is that object, or NULL. Anything else is INVALID_ARGUMENT. free() it.
 */
int task_json_printed(const char *text, size_t len, char **out,
		      struct err *err) MUST_CHECK;

/* The numbers of such an object ("" for none): those in its "metrics", or its
 * own. Free them. */
void task_json_numbers(const char *json, task_json_metric ***all, size_t *n);
void task_json_free_numbers(task_json_metric **all, size_t n);

#endif
