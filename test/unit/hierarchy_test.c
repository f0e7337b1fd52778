#include "node/hierarchy.h"

#include <stdlib.h>
#include <string.h>

#include "test.h"

#include "base/mem.h"
#include "node/state_impl.h"

#define LOWER "00112233445566778899aabbccddeeff"
#define HERE "http://127.0.0.1:8901"

static Gfl__V1__Member *add_member(struct state *s, int64_t id, const char *of,
				   int64_t term, Gfl__V1__Role role)
{
	Gfl__V1__Member *m = mem_zero(1, sizeof(*m));

	gfl__v1__member__init(m);
	m->id = id;
	m->role = role;
	m->lower_term = term;
	state_text(&m->lower_id, of);
	state_insert(STATE_LIST(s, members), m);
	return m;
}

static Gfl__V1__Trainer *add_trainer(struct state *s, int64_t id,
				     const char *instance, int64_t node,
				     int64_t examples)
{
	Gfl__V1__Trainer *t = mem_zero(1, sizeof(*t));

	gfl__v1__trainer__init(t);
	t->id = id;
	t->node_id = node;
	t->examples = examples;
	state_text(&t->instance_id, instance);
	state_text(&t->url, "http://127.0.0.1:9");
	state_insert(STATE_LIST(s, trainers), t);
	return t;
}

TEST(who_speaks_in_a_later_term_supersedes_once_it_has_caught_up)
{
	struct state *s = state_new();
	Gfl__V1__Member *old = add_member(s, 1, LOWER, 3, GFL__V1__ROLE__VOTER);
	Gfl__V1__Member *now =
		add_member(s, 4, LOWER, 5, GFL__V1__ROLE__LEARNER);
	Gfl__V1__Member *plain = add_member(s, 7, "", 0, GFL__V1__ROLE__VOTER);
	Gfl__V1__Trainer *place = add_trainer(s, 1, LOWER, 1, 0);

	place->term = 3;
	CHECK(!hierarchy_superseded(s, old));
	CHECK(!hierarchy_superseded(s, now)); /* it is about to speak */
	place->node_id = 4;
	place->term = 5;
	CHECK(!hierarchy_superseded(s, old)); /* the new one only learns */
	now->role = GFL__V1__ROLE__VOTER;
	CHECK(hierarchy_superseded(s, old));
	CHECK(!hierarchy_superseded(s, now));
	CHECK(!hierarchy_superseded(s, plain));
	now->liveness = GFL__V1__LIVENESS__DOWN;
	CHECK(!hierarchy_superseded(s, old)); /* one of them shall live */
	state_free(s);
}

TEST(the_trainer_that_exchanges_stays_while_it_lives)
{
	struct state *s = state_new();
	Gfl__V1__Trainer *first;

	CHECK_INT(hierarchy_bridge(s, 0), 0);
	first = add_trainer(s, 2, "a", 1, 10);
	add_trainer(s, 3, "b", 1, 20);
	CHECK_INT(hierarchy_bridge(s, 0), 2);
	CHECK_INT(hierarchy_bridge(s, 3), 3);
	CHECK_INT(hierarchy_bridge(s, 9), 2);
	first->no_runs = true;
	CHECK_INT(hierarchy_bridge(s, 2), 3);
	first->no_runs = false;
	first->liveness = GFL__V1__LIVENESS__DOWN;
	CHECK_INT(hierarchy_bridge(s, 2), 3);
	state_free(s);
}

TEST(a_cluster_is_the_sum_of_its_live_trainers)
{
	static const struct bandwidth_cell cells[] = {
		{2, 3, 40}, {2, 4, 90}, {3, 2, 44}, {3, 4, 90}};
	struct state *s = state_new();
	Gfl__V1__Trainer out;

	memcpy(s->cluster_id, LOWER, sizeof(LOWER));
	add_member(s, 1, "", 0, GFL__V1__ROLE__VOTER);
	hierarchy_fill(&out, s, 0, 6, HERE);
	CHECK_STR(out.url, HERE);
	CHECK(out.no_runs);
	add_trainer(s, 2, "a", 1, 10);
	add_trainer(s, 3, "b", 1, 20);
	add_trainer(s, 4, "c", 1, 40)->liveness = GFL__V1__LIVENESS__DOWN;
	bandwidth_apply(&s->bandwidth, cells, 4, 1);
	hierarchy_fill(&out, s, 2, 6, HERE);
	CHECK_STR(out.instance_id, LOWER);
	CHECK_STR(out.url, "http://127.0.0.1:9");
	CHECK(!out.no_runs);
	CHECK_INT(out.term, 6);
	CHECK_INT(out.members, 1);
	CHECK_INT(out.trainers, 2);
	CHECK_INT(out.examples, 30);
	CHECK_INT(out.half_octaves, 44);
	state_free(s);
}

TEST(what_is_new_is_told_by_how_urgent_it_is)
{
	Gfl__V1__Trainer said = GFL__V1__TRAINER__INIT, now = said;

	CHECK_INT(hierarchy_news(NULL, &now), HIERARCHY_PLACE);
	CHECK_INT(hierarchy_news(&said, &now), HIERARCHY_SAME);
	now.half_octaves = 1;
	CHECK_INT(hierarchy_news(&said, &now), HIERARCHY_SAME);
	now.half_octaves = 2;
	CHECK_INT(hierarchy_news(&said, &now), HIERARCHY_COUNTS);
	now.term = 1;
	CHECK_INT(hierarchy_news(&said, &now), HIERARCHY_PLACE);
	now = said;
	said.liveness = GFL__V1__LIVENESS__DOWN;
	CHECK_INT(hierarchy_news(&said, &now), HIERARCHY_PLACE);
}
