/* probe.h - what a check has found: a status, words and figures, written as
 * the monitoring plugins do, as Prometheus does, or as JSON. Pure. */
#ifndef REGISTRY_PROBE_H
#define REGISTRY_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* The monitoring plugins' exit statuses. */
enum probe_status { PROBE_OK, PROBE_WARNING, PROBE_CRITICAL, PROBE_UNKNOWN };

enum probe_unit { PROBE_COUNT, PROBE_SECONDS };

struct probe_figure {
	const char *name; /* [a-z_]+ */
	const char *help; /* one sentence */
	enum probe_unit unit;
	double value;
	bool bounded; /* warn and crit hold */
	double warn, crit;
};

enum { PROBE_FIGURES_MAX = 16 };

/* All zero is one that has found nothing yet, and is OK. The name and the
 * strings of figures are borrowed. */
struct probe {
	const char *name; /* what was probed: "nodes" */
	const char *whose; /* urls are, a label: "gateways", "master" */
	struct buf urls;
	enum probe_status status;
	struct buf text;
	struct probe_figure figures[PROBE_FIGURES_MAX];
	size_t n;
};

void probe_release(struct probe *p);

/* Add to what is said, and to the status: the worst one counts, in the order
 * OK, WARNING, UNKNOWN, CRITICAL. */
void probe_say(struct probe *p, enum probe_status status, const char *fmt, ...)
	PRINTF(3, 4);

/* The same with a failure: whom time or an administrator may cure, nobody
 * there, no leader, no answer in time, is status; all else UNKNOWN. */
void probe_fail(struct probe *p, enum probe_status status,
		const struct err *err);

void probe_add(struct probe *p, const struct probe_figure *f);

/* Fewer than warn is WARNING, fewer than crit CRITICAL. */
enum probe_status probe_least(double value, double warn, double crit);
/* More than warn is WARNING, more than crit CRITICAL. */
enum probe_status probe_most(double value, double warn, double crit);

const char *probe_word(enum probe_status status); /* "OK" */

/* "OK - 4 nodes alive | nodes=4;3;2;0" and a newline. */
void probe_plugin(const struct probe *p, struct buf *out);

/* Prometheus' text format: gfl_check_status, gfl_check_NAME for each figure,
 * and when: wall_ms since the Unix epoch. */
void probe_prom(const struct probe *p, int64_t wall_ms, struct buf *out);

/* One JSON object and a newline. */
void probe_json(const struct probe *p, int64_t wall_ms, struct buf *out);

#endif
