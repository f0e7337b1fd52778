/* What the log says of links between trainers: how fast they are, and which of
 * them may be used at all. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "node/state_impl.h"

#define FORM(name) GFL__V1__FORM__##name

static const double WEIGHT_MIN = 1e-6, WEIGHT_MAX = 1e6;

/* Are entries about another version than what there was before this one? A
 * whole that names none replaces whatever there is. */
static bool of_the_past(struct turn *t, Gfl__V1__Form form, int64_t base,
			int64_t now, const char *what)
{
	if (base == now || (form != FORM(DELTA) && !base))
		return false;
	err_set(&t->res->refused, ERR_ABORTED,
		"%s on version %lld, which is %lld now", what, (long long)base,
		(long long)now);
	return true;
}

/* ---- matrices ---- */

/* The trainer of a row or column. */
static int64_t trainer_at(const int64_t *trainers, size_t n, size_t i)
{
	return n ? trainers[i] : (int64_t)i + 1;
}

static int check_square(size_t cells, const int64_t *trainers, size_t n,
			size_t *rows, struct err *err)
{
	*rows = (size_t)lround(sqrt((double)cells));
	if (!cells || *rows * *rows != cells)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a matrix of %zu numbers, which is no square",
			       cells);
	if (n && n != *rows)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a matrix of %zu rows for %zu trainers", *rows,
			       n);
	if (*rows > STATE_TRAINERS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a matrix of %zu rows, at most %d", *rows,
			       STATE_TRAINERS_MAX);
	for (size_t i = 0; i < n; i++)
		if (trainers[i] < 1 || trainers[i] > STATE_ID_MAX ||
		    (i && trainers[i] <= trainers[i - 1]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "a matrix whose trainers do not ascend "
				       "from 1");
	return 0;
}

static int no_list(struct err *err, size_t items)
{
	return items ? err_set(err, ERR_INVALID_ARGUMENT,
			       "a matrix and a list in one")
		     : 0;
}

static int no_matrix(struct err *err, size_t cells)
{
	return cells ? err_set(err, ERR_INVALID_ARGUMENT,
			       "a list and a matrix in one")
		     : 0;
}

static int unknown_form(struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "a form that is not DELTA, SPARSE or EXPLICIT");
}

/* ---- the graph ---- */

static bool weight_ok(double w)
{
	return isfinite(w) && w >= WEIGHT_MIN && w <= WEIGHT_MAX;
}

static int bad_weight(struct err *err, int64_t a, int64_t b, double w)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "the weight of %lld to %lld is %g, not %g to %g",
		       (long long)a, (long long)b, w, WEIGHT_MIN, WEIGHT_MAX);
}

static int check_edge(const Gfl__V1__Edge *e, bool delta, struct err *err)
{
	if (e->a < 1 || e->b < 1 || e->a > STATE_ID_MAX || e->b > STATE_ID_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "an edge from %lld to %lld, which are no "
			       "trainers' numbers",
			       (long long)e->a, (long long)e->b);
	if (e->a == e->b)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "an edge from %lld to itself", (long long)e->a);
	if (e->removed && !delta)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "edge %lld to %lld is removed in a whole",
			       (long long)e->a, (long long)e->b);
	if (e->weight != 0 && !weight_ok(e->weight))
		return bad_weight(err, e->a, e->b, e->weight);
	return 0;
}

static int check_list(const Gfl__V1__Graph *g, struct err *err)
{
	int rc = no_matrix(err, g->n_weights);

	for (size_t i = 0; !rc && i < g->n_edges; i++)
		rc = check_edge(g->edges[i], g->form == FORM(DELTA), err);
	return rc;
}

static int check_cell(const Gfl__V1__Graph *g, size_t n, size_t i, size_t j,
		      size_t *edges, struct err *err)
{
	double w = g->weights[i * n + j], back = g->weights[j * n + i];
	int64_t a = trainer_at(g->trainers, g->n_trainers, i);
	int64_t b = trainer_at(g->trainers, g->n_trainers, j);

	if (w != back)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "the matrix is not symmetric: %g from %lld to "
			       "%lld, %g back",
			       w, (long long)a, (long long)b, back);
	if (w != 0 && !weight_ok(w))
		return bad_weight(err, a, b, w);
	*edges += w != 0;
	return 0;
}

static int check_weights(const Gfl__V1__Graph *g, struct err *err)
{
	size_t n, edges = 0;
	int rc = no_list(err, g->n_edges);

	if (!rc)
		rc = check_square(g->n_weights, g->trainers, g->n_trainers, &n,
				  err);
	for (size_t i = 0; !rc && i < n; i++)
		for (size_t j = i + 1; !rc && j < n; j++)
			rc = check_cell(g, n, i, j, &edges, err);
	if (!rc && !edges)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "a matrix without an edge (an empty list removes "
			     "the topology)");
	return rc;
}

int state_graph_check(const Gfl__V1__Graph *g, struct err *err)
{
	if (g->form == FORM(EXPLICIT))
		return check_weights(g, err);
	if (g->form == FORM(SPARSE) || g->form == FORM(DELTA))
		return check_list(g, err);
	return unknown_form(err);
}

static struct graph_edge edge_of(const Gfl__V1__Edge *e)
{
	struct graph_edge out = {e->a, e->b, e->weight != 0 ? e->weight : 1};

	if (e->a > e->b)
		out = (struct graph_edge){e->b, e->a, out.weight};
	if (e->removed)
		out.weight = 0;
	return out;
}

struct graph_edge *state_edges(const Gfl__V1__Graph *g, size_t *n)
{
	size_t rows = (size_t)lround(sqrt((double)g->n_weights));
	struct graph_edge *out =
		mem_zero(g->n_edges + g->n_weights + 1, sizeof(*out));

	*n = 0;
	for (size_t i = 0; i < g->n_edges; i++)
		out[(*n)++] = edge_of(g->edges[i]);
	for (size_t i = 0; i < rows; i++)
		for (size_t j = i + 1; j < rows; j++)
			if (g->weights[i * rows + j] != 0)
				out[(*n)++] = (struct graph_edge){
					trainer_at(g->trainers, g->n_trainers,
						   i),
					trainer_at(g->trainers, g->n_trainers,
						   j),
					g->weights[i * rows + j]};
	return out;
}

/* What is left, in *next: a graph with one edge at least, or none was wanted.
 */
static int check_next(const struct graph *next, const Gfl__V1__Graph *g,
		      struct err *err)
{
	if (next->n > STATE_EDGES_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "a topology of %zu edges, at most %d", next->n,
			       STATE_EDGES_MAX);
	if (!next->n && g->form == FORM(DELTA))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a delta that leaves no edge (an empty list "
			       "removes the topology)");
	return 0;
}

static struct graph copy_of(const struct graph *g)
{
	struct graph out = {g->version, NULL, g->n, g->n};

	out.edges = mem_dup(g->edges, g->n * sizeof(*g->edges));
	return out;
}

/* Plans change with it at once: it begins an epoch. */
void state_apply_graph(struct turn *t, const Gfl__V1__Graph *g)
{
	struct graph next;
	struct graph_edge *edges;
	size_t n;

	if (state_graph_check(g, &t->res->refused) ||
	    of_the_past(t, g->form, g->base_version, t->graph_version,
			"topology"))
		return;
	edges = state_edges(g, &n);
	next = copy_of(&t->s->graph);
	if (g->form == FORM(DELTA))
		graph_apply(&next, edges, n, t->index);
	else
		graph_replace(&next, edges, n, t->index);
	free(edges);
	if (check_next(&next, g, &t->res->refused)) {
		graph_release(&next);
		return;
	}
	graph_release(&t->s->graph);
	t->s->graph = next;
	t->res->changed |= STATE_GRAPH;
	state_new_epoch(t);
}

/* ---- speeds ---- */

static bool level_ok(int32_t level)
{
	return level >= 0 && level <= STATE_LEVEL_MAX;
}

bool state_link_ok(const struct state *s, const Gfl__V1__Link *l)
{
	return l->from != l->to && state_trainer(s, l->from) &&
	       state_trainer(s, l->to) && level_ok(l->half_octaves);
}

int state_bandwidth_check(const Gfl__V1__Bandwidth *b, struct err *err)
{
	size_t n;

	if (b->form == FORM(SPARSE) || b->form == FORM(DELTA))
		return no_matrix(err, b->n_levels);
	if (b->form != FORM(EXPLICIT))
		return unknown_form(err);
	if (no_list(err, b->n_links) ||
	    check_square(b->n_levels, b->trainers, b->n_trainers, &n, err))
		return (int)err->code;
	for (size_t i = 0; i < b->n_levels; i++)
		if (!level_ok(b->levels[i]))
			return err_set(
				err, ERR_INVALID_ARGUMENT,
				"a speed of %d half octaves, not 0 to %d",
				(int)b->levels[i], STATE_LEVEL_MAX);
	return 0;
}

/* Call fn for each link that a message tells, until one fails. */
typedef int link_fn(const Gfl__V1__Link *l, void *arg);

static int each_link(const Gfl__V1__Bandwidth *b, link_fn *fn, void *arg)
{
	size_t rows = (size_t)lround(sqrt((double)b->n_levels));
	Gfl__V1__Link l = GFL__V1__LINK__INIT;
	int rc = 0;

	for (size_t i = 0; !rc && i < b->n_links; i++)
		rc = fn(b->links[i], arg);
	for (size_t i = 0; !rc && i < b->n_levels; i++) {
		if (!b->levels[i] || i % (rows + 1) == 0)
			continue;
		l.from = trainer_at(b->trainers, b->n_trainers, i / rows);
		l.to = trainer_at(b->trainers, b->n_trainers, i % rows);
		l.half_octaves = b->levels[i];
		rc = fn(&l, arg);
	}
	return rc;
}

struct knowing {
	const struct state *s;
	struct err *err;
};

static int check_known(const Gfl__V1__Link *l, void *arg)
{
	const struct knowing *k = arg;

	if (state_link_ok(k->s, l))
		return 0;
	return err_set(
		k->err, ERR_INVALID_ARGUMENT,
		"a link from %lld to %lld of %d half octaves: not of two "
		"trainers that are attached, or not 0 to %d",
		(long long)l->from, (long long)l->to, (int)l->half_octaves,
		STATE_LEVEL_MAX);
}

int state_links_known(const struct state *s, const Gfl__V1__Bandwidth *b,
		      struct err *err)
{
	struct knowing k = {s, err};

	return each_link(b, check_known, &k);
}

struct cells {
	const struct state *s;
	struct bandwidth_cell *at;
	size_t n;
};

static int take_link(const Gfl__V1__Link *l, void *arg)
{
	struct cells *c = arg;

	if (state_link_ok(c->s, l))
		c->at[c->n++] = (struct bandwidth_cell){l->from, l->to,
							l->half_octaves};
	return 0;
}

void state_apply_bandwidth(struct turn *t, const Gfl__V1__Bandwidth *told)
{
	struct bandwidth *b = &t->s->bandwidth;
	struct cells c = {.s = t->s};
	size_t kept;

	if (state_bandwidth_check(told, &t->res->refused) ||
	    of_the_past(t, told->form, told->base_version, t->bandwidth_version,
			"bandwidth"))
		return;
	c.at = mem_zero(told->n_links + told->n_levels + 1, sizeof(*c.at));
	(void)each_link(told, take_link, &c);
	kept = told->form == FORM(DELTA) ? b->n : 0;
	if (kept + c.n > STATE_LINKS_MAX) {
		err_set(&t->res->refused, ERR_RESOURCE_EXHAUSTED,
			"speeds of %zu links and %zu, at most %d in all", kept,
			c.n, STATE_LINKS_MAX);
	} else {
		b->n = kept;
		bandwidth_apply(b, c.at, c.n, t->index);
		t->res->changed |= STATE_BANDWIDTH;
	}
	free(c.at);
}
