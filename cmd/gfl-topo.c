/* gfl-topo - make a topology, or a matrix of bandwidth, of a well-known shape.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/input.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/out.h"
#include "base/rand.h"
#include "base/value.h"
#include "plan/links.h"
#include "plan/shape.h"

#define FORMATS OUT_FORMATS "|matrix|dot"

struct config {
	struct out_opts out;
	const char *weights, *bandwidth;
	int degree, rows;
	double probability;
	int64_t seed;
};

static const struct opt opts[] = {
	OPT_INT(0, "degree", struct config, degree, "D", "4", 1, SHAPE_MAX,
		"regular: neighbours of each"),
	OPT_REAL(0, "probability", struct config, probability, "P", "0", 0, 1,
		 "random: of each edge; 0: 2 ln N / N"),
	OPT_INT(0, "rows", struct config, rows, "ROWS", "0", 0, SHAPE_MAX,
		"grid: rows, which divide N; 0: as square as can be"),
	OPT_INT64(0, "seed", struct config, seed, "N", "1", 0, INT64_MAX,
		  "the same seed makes the same"),
	OPT_STRING(0, "weights", struct config, weights, "LOW:HIGH", NULL,
		   "weights of the edges, uniform between these; else 1"),
	OPT_STRING(0, "bandwidth", struct config, bandwidth,
		   "uniform:LOW:HIGH|FILE", NULL,
		   "print bytes/s of the edges instead: uniform between these, "
		   "or as the matrix in FILE has them"),
	OPT_OUT(struct config, out, FORMATS),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-topo",
	.args = "ring|star|full|grid|regular|random N",
	.brief = "make a topology, or a matrix of bandwidth",
	.about =
		"Prints a connected graph of trainers 1 to N, an edge a line: "
		"a, b, weight; with --bandwidth both directions of each edge: "
		"from, to, bytes_per_s. `gfl-log append topology` and `gfl-log "
		"append bandwidth` read either, as tsv, json or matrix (row by "
		"row; 0 is no edge). ring: each with the next. star: all with "
		"the first. full: all with all. grid: each with its four "
		"neighbours. regular: each with --degree others, by chance. "
		"random: each pair with --probability, drawn until all are "
		"connected. dot is for Graphviz. No network.",
	.example = "gfl-topo ring 8 | gfl-log append topology -\n"
		   "gfl-topo random 20 --seed 7 -o dot | dot -Tsvg >graph.svg\n"
		   "gfl-topo full 4 --bandwidth uniform:1M:100M -o matrix >bw\n"
		   "gfl-topo grid 12 --rows 3 --bandwidth sites.txt",
	.opts = opts,
};

struct graph_out {
	size_t n;
	unsigned char *edge; /* n by n */
	double *value;       /* the same: weights, or bytes/s */
	bool bandwidth;
};

/* ---- values ---- */

static void set_both(struct graph_out *g, size_t i, size_t j, double x)
{
	g->value[i * g->n + j] = g->value[j * g->n + i] = x;
}

static void draw_values(struct graph_out *g, double low, double high,
			int64_t seed)
{
	struct rand r = {rand_mix((uint64_t)seed)};

	for (size_t i = 0; i < g->n; i++)
		for (size_t j = i + 1; j < g->n; j++)
			if (g->edge[i * g->n + j])
				set_both(g, i, j,
					 low + (high - low) * rand_unit(&r));
}

/* "0.5", or a size: "10M". */
static bool number(const char *text, double *x)
{
	int64_t bytes;
	struct err err;
	char *end;

	*x = strtod(text, &end);
	if (end != text && !*end)
		return true;
	if (value_size(text, &bytes, &err))
		return false;
	*x = (double)bytes;
	return true;
}

static int parse_range(const char *text, double *low, double *high,
		       struct err *err)
{
	const char *colon = strchr(text, ':');
	char *first = mem_dup(text, colon ? (size_t)(colon - text) : 0);
	bool ok = colon && number(first, low) && number(colon + 1, high);

	free(first);
	if (ok && *low > 0 && *low <= *high && isfinite(*high))
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "\"%s\" is not LOW:HIGH, from above 0", text);
}

static int read_matrix(struct links *out, const char *path, struct err *err)
{
	struct buf text = BUF_INIT(256 << 20);
	int rc = input_read(&text, path, err);

	if (!rc)
		rc = links_parse(out, text.len ? text.p : "", err);
	buf_release(&text);
	if (!rc && !out->rows) {
		links_release(out);
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "a list, where a matrix is needed");
	}
	return rc ? err_wrap(err, "bandwidth from %s", path) : 0;
}

/* Every edge needs both its speeds there; more trainers than ours do no harm.
 */
static int take_values(struct graph_out *g, const struct links *m,
		       const char *path, struct err *err)
{
	if (m->rows < g->n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has %zu rows, fewer than %zu trainers", path,
			       m->rows, g->n);
	for (size_t i = 0; i < g->n; i++)
		for (size_t j = 0; j < g->n; j++) {
			double x = m->cells[i * m->rows + j];

			if (!g->edge[i * g->n + j])
				continue;
			if (x <= 0)
				return err_set(err, ERR_INVALID_ARGUMENT,
					       "%s has no speed from %zu to "
					       "%zu",
					       path, i + 1, j + 1);
			g->value[i * g->n + j] = x;
		}
	return 0;
}

static int fill_bandwidth(struct graph_out *g, const struct config *cfg,
			  struct err *err)
{
	struct links m;
	double low, high;
	int rc;

	if (!strncmp(cfg->bandwidth, "uniform:", 8)) {
		if (parse_range(cfg->bandwidth + 8, &low, &high, err))
			return err_wrap(err, "--bandwidth");
		draw_values(g, low, high, cfg->seed);
		return 0;
	}
	if (read_matrix(&m, cfg->bandwidth, err))
		return (int)err->code;
	rc = take_values(g, &m, cfg->bandwidth, err);
	links_release(&m);
	return rc;
}

static int fill_values(struct graph_out *g, const struct config *cfg,
		       struct err *err)
{
	double low = 1, high = 1;

	g->bandwidth = cfg->bandwidth != NULL;
	if (cfg->bandwidth && cfg->weights)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--bandwidth and --weights are two things to "
			       "print");
	if (cfg->bandwidth)
		return fill_bandwidth(g, cfg, err);
	if (cfg->weights && parse_range(cfg->weights, &low, &high, err))
		return err_wrap(err, "--weights");
	draw_values(g, low, high, cfg->seed);
	return 0;
}

/* ---- output ---- */

/* Call for each edge, or each direction of it. */
static bool shown(const struct graph_out *g, size_t i, size_t j)
{
	return g->edge[i * g->n + j] && (g->bandwidth || i < j);
}

static int print_records(const struct config *cfg, const struct graph_out *g,
			 struct err *err)
{
	static const struct out_col edges[] = {
		{"a", OUT_INT}, {"b", OUT_INT}, {"weight", OUT_REAL}};
	static const struct out_col speeds[] = {
		{"from", OUT_INT}, {"to", OUT_INT}, {"bytes_per_s", OUT_REAL}};
	struct out *o;

	if (out_begin(&o, &cfg->out, g->bandwidth ? speeds : edges, 3, false,
		      err))
		return (int)err->code;
	for (size_t i = 0; i < g->n; i++)
		for (size_t j = 0; j < g->n; j++)
			if (shown(g, i, j))
				out_row(o, out_int((int64_t)i + 1),
					out_int((int64_t)j + 1),
					out_real(g->value[i * g->n + j]));
	return out_end(o, err);
}

static void print_matrix(const struct graph_out *g)
{
	for (size_t i = 0; i < g->n * g->n; i++)
		printf("%.15g%c", g->value[i], (i + 1) % g->n ? ' ' : '\n');
}

static void print_dot(const struct graph_out *g)
{
	printf("%s gfl {\n", g->bandwidth ? "digraph" : "graph");
	for (size_t i = 0; i < g->n; i++)
		for (size_t j = 0; j < g->n; j++) {
			double x = g->value[i * g->n + j];

			if (!shown(g, i, j))
				continue;
			printf("\t%zu %s %zu", i + 1,
			       g->bandwidth ? "->" : "--", j + 1);
			if (x != 1)
				printf(" [label=\"%.3g\"]", x);
			puts(";");
		}
	puts("}");
}

static int print(const struct config *cfg, const struct graph_out *g,
		 struct err *err)
{
	const char *format = cfg->out.format ? cfg->out.format : "";

	if (!strcmp(format, "matrix"))
		print_matrix(g);
	else if (!strcmp(format, "dot"))
		print_dot(g);
	else
		return print_records(cfg, g, err);
	return 0;
}

static int make(const struct config *cfg, const struct shape *s,
		struct err *err)
{
	struct graph_out g = {.n = s->n};
	int rc;

	g.edge = mem_zero(s->n * s->n + 1, 1);
	g.value = mem_zero(s->n * s->n + 1, sizeof(*g.value));
	rc = shape_make(s, g.edge, err);
	if (!rc)
		rc = fill_values(&g, cfg, err);
	if (!rc)
		rc = print(cfg, &g, err);
	free(g.edge);
	free(g.value);
	return rc;
}

static int run(const struct config *cfg, char *const *operands, struct err *err)
{
	int kind = value_choice(SHAPE_KINDS, operands[0]);
	char *end;
	long long n = strtoll(operands[1], &end, 10);
	struct shape s = {.rows = (size_t)cfg->rows,
			  .degree = (size_t)cfg->degree,
			  .probability = cfg->probability,
			  .seed = (uint64_t)cfg->seed};

	if (kind < 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "no topology is called \"%s\": ring, star, "
			       "full, grid, regular or random",
			       operands[0]);
	if (*end || end == operands[1] || n < 2 || n > SHAPE_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s is not a number of trainers, 2 to %d",
			       operands[1], SHAPE_MAX);
	s.kind = (enum shape_kind)kind;
	s.n = (size_t)n;
	return make(cfg, &s, err);
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;
	int rest = opt_parse(&prog, &cfg, argc, argv);

	if (run(&cfg, argv + rest, &err))
		return err_report(&prog, &err);
	return out_close(&prog);
}
