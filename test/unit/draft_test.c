#include "node/draft.h"

#include "test.h"

#include "plan/links.h"
#include "wire/rpc.h"

#define FORM(name) GFL__V1__FORM__##name

static Gfl__V1__Entry *draft(const char *kind, const char *text,
			     struct draft_opts o, struct err *err)
{
	static const struct opt_list none;
	Gfl__V1__Entry *e = NULL;

	if (!o.trainers)
		o.trainers = &none;
	*err = (struct err){0};
	if (draft_entry(&e, kind, text, &o, err))
		CHECK(!e);
	return e;
}

static const struct draft_opts plain;

static void refused(const char *kind, const char *text, struct draft_opts o,
		    const char *why)
{
	struct err err;

	CHECK(!draft(kind, text, o, &err));
	CHECK_INT(err.code, ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, why);
}

TEST(a_list_is_a_topology_as_text_and_as_json)
{
	static const char *const same[] = {
		"1 2\n2\t3 0.5\n", "# two\n\n 1, 2 # one\n2,3,0.5",
		"[{\"a\":1,\"b\":2},{\"from\":2,\"to\":3,\"weight\":0.5}]"};

	for (size_t i = 0; i < 3; i++) {
		struct err err;
		Gfl__V1__Entry *e = draft("topology", same[i], plain, &err);
		const Gfl__V1__Graph *g = e->topology->graph;

		CHECK_INT(g->form, FORM(SPARSE));
		CHECK_INT(g->n_edges, 2);
		CHECK_INT(g->edges[0]->b, 2);
		CHECK_NEAR(g->edges[0]->weight, 0, 0);
		CHECK_NEAR(g->edges[1]->weight, 0.5, 0);
		CHECK_INT(draft_parts(e), 1);
		rpc_free(&e->base);
	}
}

TEST(a_matrix_names_its_trainers_by_its_rows_or_as_told)
{
	static const struct opt_list ids = {.n = 3, .at = {"2", "4", "9"}};
	static const char *const same[] = {"0 2 0\n2 0 0\n0 0 0\n",
					   "[[0,2,0],[2,0,0],[0,0,0]]"};
	const struct draft_opts told = {.base = 7, .trainers = &ids};
	struct err err;

	for (size_t i = 0; i < 2; i++) {
		Gfl__V1__Entry *e = draft("topology", same[i], told, &err);

		CHECK_INT(e->topology->graph->form, FORM(EXPLICIT));
		CHECK_INT(e->topology->graph->base_version, 7);
		CHECK_INT(e->topology->graph->n_weights, 9);
		CHECK_INT(e->topology->graph->trainers[2], 9);
		rpc_free(&e->base);
	}
	refused("topology", "0 1\n1 0", told, "2 rows for 3 trainers");
	refused("topology", "1 2", told, "names its trainers itself");
}

TEST(a_delta_removes_what_has_no_weight)
{
	const struct draft_opts delta = {.delta = true, .base = 5};
	struct err err;
	Gfl__V1__Entry *e = draft("topology", "1 2 0\n1 3", delta, &err);
	const Gfl__V1__Graph *g = e->topology->graph;

	CHECK_INT(g->form, FORM(DELTA));
	CHECK_INT(g->base_version, 5);
	CHECK(g->edges[0]->removed);
	CHECK(!g->edges[1]->removed);
	rpc_free(&e->base);
	refused("topology", "0 1\n1 0", delta, "a whole, not a delta");
}

TEST(an_empty_list_removes_the_topology_and_an_empty_file_does_not)
{
	struct err err;
	Gfl__V1__Entry *e = draft("topology", " [] ", plain, &err);

	CHECK_INT(e->topology->graph->form, FORM(SPARSE));
	CHECK_INT(e->topology->graph->n_edges, 0);
	CHECK_INT(draft_parts(e), 0);
	rpc_free(&e->base);
	refused("topology", "", plain, "neither a matrix nor a list");
	refused("topology", "# nothing\n", plain, "neither");
	refused("topology", "1 2 0\n", plain, "without an edge");
}

TEST(parts_that_never_exchange_are_counted)
{
	struct err err;
	Gfl__V1__Entry *e =
		draft("topology", "1 2\n9 8\n3 4\n2 3", plain, &err);

	CHECK_INT(draft_parts(e), 2);
	rpc_free(&e->base);
}

TEST(speeds_are_bytes_a_second)
{
	struct err err;
	Gfl__V1__Entry *e =
		draft("bandwidth", "1 2 1048576\n2 1 1", plain, &err);

	CHECK_INT(e->bandwidth->form, FORM(SPARSE));
	CHECK_INT(e->bandwidth->links[0]->half_octaves, 40);
	CHECK_INT(e->bandwidth->links[1]->half_octaves, 1);
	rpc_free(&e->base);
	e = draft("bandwidth", "0 1024\n2048 0", plain, &err);
	CHECK_INT(e->bandwidth->levels[1], 20);
	CHECK_INT(e->bandwidth->levels[2], 22);
	CHECK_INT(e->bandwidth->levels[3], 0);
	rpc_free(&e->base);
	refused("bandwidth", "1 2", plain, "no bytes/s from 1 to 2");
	refused("bandwidth", "1 2 0.5", plain, "0.5 bytes/s");
	refused("bandwidth", "1 2 1e30", plain, "bytes/s");
}

TEST(text_that_is_neither_is_refused_with_its_place)
{
	static const struct {
		const char *text, *why;
	} wrong[] = {
		{"1 2\n1 x", "line 2 has something that is no number"},
		{"1 2\n3", "line 2 is not two trainers"},
		{"1 2 3 4", "line 1 is not two trainers"},
		{"1 1", "line 1 links a trainer to itself"},
		{"1 -2", "line 1 does not begin with two trainers"},
		{"1 2 -1", "line 1 has a value below 0"},
		{"1 2 inf", "line 1 has something that is no number"},
		{"0 1\n1 0 1", "row 2 has 3 numbers, not 2"},
		{"0 1\n1 0\n0 1", "row 3 is one too many"},
		{"0 1 1\n1 0 1", "3 columns and 2 rows"},
		{"0 1\n1 1", "row 2 is not 0 on the matrix' diagonal"},
		{"0 nan\n1 0", "line 1 has something that is no number"},
		{"0", "a matrix of 1 columns"},
		{"[[0,1],3]", "row 2 is no array"},
		{"[{\"a\":1}]", "item 1 does not begin with two"},
		{"[{\"a\":1,\"b\":2,\"wieght\":3}]", "wieght"},
		{"[{\"a\":1,\"b\":2},7]", "item 2 is no object"},
		{"[1", "line 1: "},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		refused("topology", wrong[i].text, plain, wrong[i].why);
}

TEST(json_of_the_message_itself_goes_on_to_work)
{
	struct err err;
	Gfl__V1__Entry *e = draft("topology",
				  "{\"graph\":{\"form\":\"DELTA\",\"edges\":"
				  "[{\"a\":1,\"b\":2}]}}",
				  plain, &err);

	CHECK_INT(e->topology->graph->n_edges, 1);
	rpc_free(&e->base);
	refused("topology", "{}", (struct draft_opts){.base = 3}, "--base");
	refused("rain", "{}", plain, "no kind of entry is called");
}
