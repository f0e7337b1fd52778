#include "node/draft.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "node/state_impl.h"
#include "plan/links.h"
#include "wire/json.h"
#include "wire/rpc.h"

#define FORM(name) GFL__V1__FORM__##name

/* ---- JSON ---- */

/* An entry of this kind, from the JSON of the kind's own message. */
static int from_json(Gfl__V1__Entry **out, const char *kind, const char *text,
		     struct err *err)
{
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field_by_name(
			&gfl__v1__entry__descriptor, kind);
	char *whole;
	int rc;

	if (!f)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "no kind of entry is called \"%s\"", kind);
	whole = mem_fmt("{\"%s\":%s}", kind, text);
	rc = json_parse((ProtobufCMessage **)out, &gfl__v1__entry__descriptor,
			whole, strlen(whole), JSON_STRICT, err);
	free(whole);
	return rc;
}

/* ---- links ---- */

static Gfl__V1__Form form_of(const struct links *l, const struct draft_opts *o)
{
	if (l->rows)
		return FORM(EXPLICIT);
	return o->delta ? FORM(DELTA) : FORM(SPARSE);
}

static int check(const struct links *l, const struct draft_opts *o,
		 struct err *err)
{
	if (l->rows && o->delta)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a matrix is a whole, not a delta");
	if (!l->rows && o->trainers->n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a list names its trainers itself");
	if (l->rows && o->trainers->n && o->trainers->n != l->rows)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a matrix of %zu rows for %zu trainers", l->rows,
			       o->trainers->n);
	return 0;
}

static int trainers(int64_t **out, size_t *n, const struct opt_list *l,
		    struct err *err)
{
	*out = mem_zero(l->n + 1, sizeof(**out));
	*n = l->n;
	for (size_t i = 0; i < l->n; i++) {
		char *end;

		(*out)[i] = strtoll(l->at[i], &end, 10);
		if (*end || end == l->at[i] || (*out)[i] < 1)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "\"%s\" is no trainer's number",
				       l->at[i]);
	}
	return 0;
}

static Gfl__V1__Entry *entry_new(Gfl__V1__Entry__KindCase kind)
{
	Gfl__V1__Entry *e = mem_zero(1, sizeof(*e));

	gfl__v1__entry__init(e);
	e->kind_case = kind;
	return e;
}

/* ---- topology ---- */

/* A weight of 0 is no edge: in a delta one that goes. */
static void add_edge(Gfl__V1__Graph *g, const struct links_item *l)
{
	Gfl__V1__Edge *e;

	if (l->value == 0 && g->form != FORM(DELTA))
		return;
	e = mem_zero(1, sizeof(*e));
	gfl__v1__edge__init(e);
	e->a = l->a;
	e->b = l->b;
	e->removed = l->value == 0;
	if (!isnan(l->value) && l->value != 1)
		e->weight = l->value;
	g->edges[g->n_edges++] = e;
}

static int topology(Gfl__V1__Entry *e, const struct links *l,
		    const struct draft_opts *o, struct err *err)
{
	Gfl__V1__Graph *g = mem_zero(1, sizeof(*g));

	gfl__v1__graph__init(g);
	e->topology = mem_zero(1, sizeof(*e->topology));
	gfl__v1__topology__init(e->topology);
	e->topology->graph = g;
	g->form = form_of(l, o);
	g->base_version = o->base;
	g->edges = mem_zero(l->n + 1, sizeof(*g->edges));
	for (size_t i = 0; i < l->n; i++)
		add_edge(g, &l->list[i]);
	if (l->n && !g->n_edges)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a list without an edge (an empty JSON list "
			       "removes the topology)");
	g->n_weights = l->rows * l->rows;
	g->weights = mem_dup(l->cells, g->n_weights * sizeof(*g->weights));
	return trainers(&g->trainers, &g->n_trainers, o->trainers, err);
}

/* ---- bandwidth ---- */

static int level(int32_t *out, double bps, struct err *err)
{
	*out = bps >= 1 ? bandwidth_level(bps) : 0;
	if (*out < 1)
		*out = 1; /* in a matrix 0 is unknown */
	if (bps >= 1 && *out <= STATE_LEVEL_MAX)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT, "%g bytes/s, not 1 to %g",
		       bps, bandwidth_bps(STATE_LEVEL_MAX));
}

static int add_link(Gfl__V1__Bandwidth *b, const struct links_item *item,
		    struct err *err)
{
	Gfl__V1__Link *l = mem_zero(1, sizeof(*l));

	gfl__v1__link__init(l);
	b->links[b->n_links++] = l;
	l->from = item->a;
	l->to = item->b;
	if (isnan(item->value))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "no bytes/s from %" PRId64 " to %" PRId64,
			       item->a, item->b);
	return level(&l->half_octaves, item->value, err);
}

static int bandwidth(Gfl__V1__Entry *e, const struct links *l,
		     const struct draft_opts *o, struct err *err)
{
	Gfl__V1__Bandwidth *b = mem_zero(1, sizeof(*b));
	int rc = 0;

	gfl__v1__bandwidth__init(b);
	e->bandwidth = b;
	b->form = form_of(l, o);
	b->base_version = o->base;
	b->links = mem_zero(l->n + 1, sizeof(*b->links));
	for (size_t i = 0; !rc && i < l->n; i++)
		rc = add_link(b, &l->list[i], err);
	b->n_levels = l->rows * l->rows;
	b->levels = mem_zero(b->n_levels + 1, sizeof(*b->levels));
	for (size_t i = 0; !rc && i < b->n_levels; i++)
		if (l->cells[i] > 0)
			rc = level(&b->levels[i], l->cells[i], err);
	return rc ? rc
		  : trainers(&b->trainers, &b->n_trainers, o->trainers, err);
}

static int from_links(Gfl__V1__Entry **out, bool graph, const char *text,
		      const struct draft_opts *o, struct err *err)
{
	Gfl__V1__Entry *e = entry_new(graph ? GFL__V1__ENTRY__KIND_TOPOLOGY
					    : GFL__V1__ENTRY__KIND_BANDWIDTH);
	struct links l;
	int rc = links_parse(&l, text, err);

	if (!rc)
		rc = check(&l, o, err);
	if (!rc && graph)
		rc = topology(e, &l, o, err);
	else if (!rc)
		rc = bandwidth(e, &l, o, err);
	links_release(&l);
	if (rc)
		rpc_free(&e->base);
	else
		*out = e;
	return rc;
}

int draft_entry(Gfl__V1__Entry **out, const char *kind, const char *text,
		const struct draft_opts *o, struct err *err)
{
	bool graph = !strcmp(kind, "topology");

	if ((graph || !strcmp(kind, "bandwidth")) &&
	    text[strspn(text, " \t\r\n")] != '{')
		return from_links(out, graph, text, o, err);
	if (o->delta || o->base || o->trainers->n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--delta, --base and --trainers are about a "
			       "matrix or a list");
	return from_json(out, kind, text, err);
}

/* ---- parts ---- */

static int by_id(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Whom n edges name, each once; free() it. */
static int64_t *named(const struct graph_edge *edges, size_t n, size_t *count)
{
	int64_t *ids = mem_zero(2 * n + 1, sizeof(*ids));

	for (size_t i = 0; i < n; i++) {
		ids[2 * i] = edges[i].a;
		ids[2 * i + 1] = edges[i].b;
	}
	qsort(ids, 2 * n, sizeof(*ids), by_id);
	*count = 0;
	for (size_t i = 0; i < 2 * n; i++)
		if (!i || ids[i] != ids[*count - 1])
			ids[(*count)++] = ids[i];
	return ids;
}

size_t draft_parts(const Gfl__V1__Entry *e)
{
	struct graph g = {0};
	struct graph_edge *edges;
	size_t n, count, parts;
	int64_t *ids;

	if (e->kind_case != GFL__V1__ENTRY__KIND_TOPOLOGY ||
	    !e->topology->graph || e->topology->graph->form == FORM(DELTA))
		return 1;
	edges = state_edges(e->topology->graph, &n);
	ids = named(edges, n, &count);
	graph_replace(&g, edges, n, 1);
	parts = graph_parts(&g, ids, count);
	graph_release(&g);
	free(edges);
	free(ids);
	return parts;
}
