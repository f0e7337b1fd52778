#include "test.h"

#include "registry/survey.h"

static Gfl__V1__NodeStatus says(int64_t commit)
{
	Gfl__V1__NodeStatus s = GFL__V1__NODE_STATUS__INIT;

	s.cluster_id = (char *)"cccccccccccccccccccccccccccccccc";
	s.commit_index = commit;
	s.trainers = commit;
	return s;
}

TEST(nobody_asked_is_nobody_alive)
{
	struct survey_sum sum = survey_sum(&(struct survey){0});

	CHECK_INT(sum.alive, 0);
	CHECK_INT(sum.lag, 0);
}

TEST(the_longest_log_knows_the_rest_and_the_shortest_the_lag)
{
	Gfl__V1__NodeStatus a = says(50), b = says(70), c = says(60);
	struct survey_node nodes[] = {{1, &a}, {2, &b}, {3, &c}, {4, NULL}};
	struct survey_sum sum = survey_sum(&(struct survey){nodes, 4});

	CHECK_INT(sum.alive, 3);
	CHECK_INT(sum.lag, 20);
	CHECK_INT(sum.trainers, 70);
}

TEST(who_has_no_cluster_yet_is_not_alive)
{
	Gfl__V1__NodeStatus a = says(50);
	struct survey_node nodes[] = {{1, &a}};

	a.cluster_id = (char *)"";
	CHECK_INT(survey_sum(&(struct survey){nodes, 1}).alive, 0);
}
