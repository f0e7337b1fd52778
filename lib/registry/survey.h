/* survey.h - every member of the cluster asked how it is, all at once. */
#ifndef REGISTRY_SURVEY_H
#define REGISTRY_SURVEY_H

#include "base/opt.h"
#include "proto/node.pb-c.h"

struct survey_node {
	int64_t id;
	Gfl__V1__NodeStatus *status; /* NULL: it did not answer */
};

/* Members by ascending id. */
struct survey {
	struct survey_node *nodes;
	size_t n;
};

/* Ask where the members are (directory_nodes), then each of them, for at most
 * o's timeout both times; and once more if one of them knows of more. A member that does not answer is no failure; nobody
 * to tell the members is UNAVAILABLE. The caller releases *out. */
int survey_take(struct survey *out, const struct client_opts *o,
		struct err *err) MUST_CHECK;
void survey_release(struct survey *s);

/* What the answers say together. */
struct survey_sum {
	int64_t alive; /* that answered, and have a cluster */
	int64_t lag;   /* entries that the last of them is behind the first */
	int64_t trainers; /* live */
	int64_t run, round;
};
struct survey_sum survey_sum(const struct survey *s);

#endif
