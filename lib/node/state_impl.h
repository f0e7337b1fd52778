/* state_impl.h - what the files of state.h share. */
#ifndef NODE_STATE_IMPL_H
#define NODE_STATE_IMPL_H

#include "node/state.h"

/* One turn of state_apply(). */
struct turn {
	struct state *s;
	int64_t index;
	enum state_config config;
	int64_t graph_version, bandwidth_version; /* before this entry */
	struct state_result *res;
};

/* Members, trainers and runs all begin with a message's base and an id. */
struct state_list {
	void ***items;
	size_t *n;
};

#define STATE_LIST(s, what) \
	((struct state_list){(void ***)&(s)->what, &(s)->n##what})

void *state_find(struct state_list l, int64_t id);  /* or NULL */
void state_insert(struct state_list l, void *item); /* takes it; id is new */
void state_remove(struct state_list l, int64_t id); /* frees it; id is known */
void state_text(char **to, const char *text);       /* set a message's string */

void state_apply_membership(struct turn *t, const Gfl__V1__Membership *m);
void state_end_joint(struct turn *t);
void state_apply_trainer(struct turn *t, const Gfl__V1__TrainerChange *c);
void state_apply_topology(struct turn *t, const Gfl__V1__Topology *topology);
void state_apply_graph(struct turn *t, const Gfl__V1__Graph *g);
void state_apply_bandwidth(struct turn *t, const Gfl__V1__Bandwidth *delta);
void state_apply_bridge(struct turn *t, const Gfl__V1__Bridge *b);
void state_drop_bridge(struct state *s);
int state_bridge_check(const Gfl__V1__Bridge *b, struct err *err) MUST_CHECK;
void state_apply_run(struct turn *t, const Gfl__V1__RunChange *c);

void state_new_epoch(struct turn *t);

/* Within bounds, whatever the state is: INVALID_ARGUMENT. */
int state_graph_check(const Gfl__V1__Graph *g, struct err *err) MUST_CHECK;
int state_bandwidth_check(const Gfl__V1__Bandwidth *b,
			  struct err *err) MUST_CHECK;

/* The edges that a message within bounds tells; free() them. */
struct graph_edge *state_edges(const Gfl__V1__Graph *g, size_t *n);

/* The plan in a message; plan_free() it. INVALID_ARGUMENT. */
int state_plan_decode(struct plan **out, const Gfl__V1__Topology *msg,
		      struct err *err) MUST_CHECK;
Gfl__V1__Topology *state_plan_encode(const struct plan *p);

#endif
