/* gfl-model - look at model files, compare, average, thin out, convert, score
 * and make them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/opt.h"
#include "base/out.h"
#include "fl/centre.h"
#include "fl/exec.h"
#include "fl/first.h"
#include "fl/pull.h"
#include "nn/checkpoint.h"
#include "nn/convert.h"
#include "nn/data.h"
#include "nn/describe.h"
#include "nn/diff.h"
#include "nn/eval.h"
#include "nn/index.h"
#include "nn/prune.h"

enum command { INFO, DIFF, AVERAGE, SPARSIFY, CONVERT, EVAL, INIT, PULL };

struct config {
	struct out_opts out;
	int command;
	bool meta;        /* info */
	const char *file; /* what to write */
	double keep;      /* sparsify */
	const char *base;
	int64_t seed, task_ms; /* init */
	const char *exec;
	struct opt_pairs hyper;
	const char *data, *part, *label, *index, *model; /* eval, convert */
	const char *rule, *names;                        /* average */
	struct aggregate_opts centre;
	bool differ;               /* what diff found */
	struct client_opts client; /* pull */
	int64_t trainer;
};

static const struct opt opts[] = {OPT_OUT(struct config, out, OUT_FORMATS),
				  OPT_END};

static const struct opt info_opts[] = {
	OPT_BOOL(0, "meta", struct config, meta,
		 "print the map of texts instead of the tensors"),
	OPT_END};

#define OPT_MODEL_OUT                                                     \
	OPT_FILE(0, "out", struct config, file, NULL,                     \
		 "the file to write: .safetensors or .st, .npz, .npy or " \
		 ".tsv",                                                  \
		 .required = true)

static const struct opt average_opts[] = {
	OPT_MODEL_OUT,
	OPT_WORD(0, "rule", struct config, rule, "RULE",
		 "mean|median|trimmed|krum|multikrum", "mean",
		 "of each value the mean, the median, or the mean without "
		 "the ends; or the models nearest to the others"),
	OPT_REAL(0, "trim", struct config, centre.trim, "SHARE", "0.2", 0,
		 0.499, "trimmed: what is cut off at either end"),
	OPT_INT(0, "byzantine", struct config, centre.byzantine, "N", "1", 0,
		1000000, "krum, multikrum: models that may be false"),
	OPT_FILE(0, "names", struct config, names, NULL,
		 "call the tensors as this model does, which has the same, one "
		 "after another"),
	OPT_END};

static const struct opt sparsify_opts[] = {
	OPT_REAL(0, "keep", struct config, keep, "SHARE", NULL, 0, 1,
		 "share of the values that stays", .required = true),
	OPT_FILE(0, "base", struct config, base, NULL,
		 "keep what differs most from this model; the rest is its"),
	OPT_MODEL_OUT, OPT_END};

static const struct opt convert_opts[] = {
	OPT_STRING(0, "model", struct config, model, "MODEL", NULL,
		   "preset or text of the model that it must be, and then "
		   "says"),
	OPT_MODEL_OUT, OPT_END};

static const struct opt eval_opts[] = {
	OPT_FILE(0, "data", struct config, data, NULL,
		 "file (IDX, .npy, .npz, .csv, .svm; also gzipped), or folder "
		 "with MNIST's names",
		 .required = true),
	OPT_WORD(0, "part", struct config, part, "PART", "train|test", "test",
		 "which set of a folder"),
	OPT_STRING(0, "label", struct config, label, "NAME", NULL,
		   "column of labels of a .csv (name, or number from 1), or "
		   "file of labels of a .npy"),
	OPT_FILE(0, "index", struct config, index, NULL,
		 "only the examples of this index file"),
	OPT_STRING(0, "model", struct config, model, "MODEL", NULL,
		   "preset or text of the model; without it the files say"),
	OPT_END};

static const struct opt init_opts[] = {
	OPT_INT64(0, "seed", struct config, seed, "N", "1", 0, INT64_MAX,
		  "the same seed gives the same values"),
	OPT_STRING(0, "exec", struct config, exec, "COMMAND", NULL,
		   "of MODEL exec: have this make it (see gfl(7), TRAINERS); "
		   "words without a shell"),
	OPT_STRING(0, "data", struct config, data, "PATH", NULL,
		   "what COMMAND is told of its data"),
	OPT_PAIRS(0, "hp", struct config, hyper, "NAME=VALUE",
		  "tell COMMAND, as GFL_HP_NAME; repeatable"),
	OPT_SECONDS(0, "exec-timeout", struct config, task_ms, "600",
		    "COMMAND fails after so long", .min = 1, .max = 86400000),
	OPT_MODEL_OUT,
	OPT_END};

static const struct opt pull_opts[] = {
	OPT_CLIENT(struct config, client),
	OPT_INT64(0, "trainer", struct config, trainer, "ID", "0", 0, 1 << 30,
		  "of this trainer: at URL, else wherever the cluster says "
		  "that it is"),
	OPT_FILE(0, "out", struct config, file, NULL,
		 "the file to write: .safetensors or .st", .required = true),
	OPT_END};

static const struct opt_cmd cmds[] = {
	[INFO] = {"info", "FILE...", "the tensors of model files", info_opts},
	[DIFF] = {"diff", "A B", "compare two models; exit 1 if they differ",
		  NULL},
	[AVERAGE] = {"average", "FILE...",
		     "write the mean of models, or another centre",
		     average_opts},
	[SPARSIFY] = {"sparsify", "FILE",
		      "keep the largest values, or the largest changes",
		      sparsify_opts},
	[CONVERT] = {"convert", "FILE",
		     "to and from numpy's .npz and .npy, and text (.tsv)",
		     convert_opts},
	[EVAL] = {"eval", "FILE...", "accuracy and loss on a data set",
		  eval_opts},
	[INIT] = {"init", "MODEL", "write a model's first values", init_opts},
	[PULL] = {"pull", "[URL]", "take a model from a running trainer",
		  pull_opts},
	{0}};

static const struct prog prog = {
	.name = "gfl-model",
	.brief = "look at model files, compare, average, convert, score them",
	.about = "Model files are safetensors, as PyTorch's tools read and "
		 "write them (.safetensors, .st, or no ending), .npz, an array "
		 "for each tensor, .npy, one vector of all values, which "
		 "--model divides, or .tsv, a line for each tensor: its name, "
		 "its shape (2x4) and its values, parted by tabs, values by "
		 "blanks. Only safetensors also say which model they are.\n\n"
		 "info prints a line for each tensor, diff one for each tensor "
		 "of either file, eval one for each file. sparsify prints how "
		 "many values there are and were kept, and their l2 norm "
		 "beside that of all.\n\n"
		 "A model is a preset (softmax, mlp, cnn, cifar10flnet, "
		 "resnet20) or a text of layers such as \"conv 32 5 pad 2; "
		 "relu; maxpool 2; dense 10\"; the layers are dense UNITS, "
		 "conv CHANNELS KERNEL [stride N] [pad N] [nobias], maxpool "
		 "KERNEL [stride N] [pad N], avgpool (of all of a channel), "
		 "flatten, relu, batchnorm, lrn CHANNELS [alpha A], and "
		 "residual, which remembers what goes into the next layer "
		 "until add adds it. \"input CHANNELS ROWS COLUMNS\" comes "
		 "first unless it is 1 28 28.\n\n"
		 "pull takes the model as it is in a run under way, or as the "
		 "last run left it; what has come stays in FILE.part until all "
		 "is there and has the right sum, and a second pull goes on "
		 "there. -t is how long it may give nothing. Nothing else uses "
		 "the network.",
	.example = "gfl-model init mlp --seed 7 --out a.safetensors\n"
		   "gfl-model average a.safetensors b.safetensors --out "
		   "mean.safetensors\n"
		   "gfl-model eval mean.safetensors --data "
		   "/usr/share/datasets/fashion-mnist\n"
		   "gfl-model pull --trainer 2 --out now.safetensors",
	.opts = opts,
	.cmds = cmds,
	.command_at = offsetof(struct config, command),
};

static int run_info(struct config *cfg, char **paths, int n, struct err *err)
{
	return describe_files(&cfg->out, paths, n, cfg->meta, err);
}

static int run_diff(struct config *cfg, char **paths, int n, struct err *err)
{
	(void)n;
	return diff_files(&cfg->out, paths[0], paths[1], &cfg->differ, err);
}

static int name_as(struct tensors *ts, const char *path, struct err *err)
{
	struct tensors like;
	int rc = convert_read(&like, path, NULL, err);

	if (rc)
		return rc;
	rc = tensors_name_as(ts, &like, "the mean", err);
	tensors_release(&like);
	return rc ? err_wrap(err, "--names %s", path) : 0;
}

static int run_average(struct config *cfg, char **paths, int n, struct err *err)
{
	struct tensors ts = {0};
	struct aggregate_opts how = AGGREGATE_OPTS;
	int rc;

	how.trim = cfg->centre.trim;
	how.byzantine = cfg->centre.byzantine;
	how.bytes_max = SIZE_MAX / 2; /* the user names the files */
	rc = centre_files(&ts, cfg->rule, &how, paths, n, err);
	if (!rc && cfg->names)
		rc = name_as(&ts, cfg->names, err);
	if (!rc)
		rc = convert_write(&ts, cfg->file, err);
	tensors_release(&ts);
	return rc;
}

static int run_sparsify(struct config *cfg, char **paths, int n,
			struct err *err)
{
	const struct prune_files how = {paths[0], cfg->base, cfg->file,
					cfg->keep};

	(void)n;
	return prune_files(&cfg->out, &how, err);
}

static int run_convert(struct config *cfg, char **paths, int n, struct err *err)
{
	struct model *m = NULL;
	struct tensors ts;
	int rc;

	(void)n;
	if (cfg->model && model_open(&m, cfg->model, err))
		return (int)err->code;
	rc = convert_read(&ts, paths[0], m, err);
	if (!rc) {
		rc = convert_write(&ts, cfg->file, err);
		tensors_release(&ts);
	}
	model_free(m);
	return rc;
}

static int run_eval(struct config *cfg, char **paths, int n, struct err *err)
{
	const struct data_opts how = {.part = cfg->part, .labels = cfg->label};
	struct index index = {0};
	struct data *d;
	int rc = 0;

	if (data_open_as(&d, cfg->data, &how, err))
		return (int)err->code;
	if (cfg->index)
		rc = index_read(&index, cfg->index, d->count, err);
	if (!rc)
		rc = eval_files(&cfg->out, paths, n, cfg->model, d, &index,
				err);
	index_release(&index);
	data_close(d);
	return rc;
}

static int make_built_in(struct tensors *ts, const char *text, int64_t seed,
			 struct err *err)
{
	struct model *m;
	float *values;

	if (model_open(&m, text, err))
		return (int)err->code;
	values = mem_zero(m->len, sizeof(*values));
	model_init(m, (uint64_t)seed, values);
	checkpoint_put(ts, m, "", values);
	free(values);
	model_free(m);
	return 0;
}

static int run_init(struct config *cfg, char **words, int n, struct err *err)
{
	const struct first_opts how = {.command = cfg->exec,
				       .data = cfg->data,
				       .beside = cfg->file,
				       .hyper = &cfg->hyper,
				       .seed = (uint64_t)cfg->seed,
				       .task_ms = cfg->task_ms};
	const bool brought = !strcmp(words[0], EXEC_MODEL);
	struct tensors ts = {0};
	int rc;

	(void)n;
	if (brought != (cfg->exec != NULL))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "the model exec and --exec go together");
	rc = brought ? first_model(&ts, &how, err)
		     : make_built_in(&ts, words[0], cfg->seed, err);
	if (!rc)
		rc = convert_write(&ts, cfg->file, err);
	tensors_release(&ts);
	return rc;
}

static int run_pull(struct config *cfg, char **urls, int n, struct err *err)
{
	struct pull_opts how = {.url = n ? urls[0] : NULL,
				.trainer = cfg->trainer,
				.file = cfg->file,
				.timeout_ms = cfg->client.timeout_ms,
				.tls = &cfg->client.tls};
	struct pulled pulled;
	char *found = NULL;
	int rc;

	if (!n && !cfg->trainer)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "name a trainer by its URL or with --trainer");
	if (!n && pull_find(&found, &cfg->client, cfg->trainer, err))
		return (int)err->code;
	how.url = n ? urls[0] : found;
	rc = pull_file(&pulled, &how, err);
	free(found);
	return rc ? rc : pull_print(&cfg->out, cfg->file, &pulled, err);
}

static int (*const runs[])(struct config *cfg, char **words, int n,
			   struct err *err) = {
	[INFO] = run_info,       [DIFF] = run_diff,
	[AVERAGE] = run_average, [SPARSIFY] = run_sparsify,
	[CONVERT] = run_convert, [EVAL] = run_eval,
	[INIT] = run_init,       [PULL] = run_pull,
};

static int run(struct config *cfg, char **words, int n, struct err *err)
{
	if (cfg->file && convert_check(cfg->file, cfg->command == PULL, err))
		return (int)err->code;
	return runs[cfg->command](cfg, words, n, err);
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	int rest = opt_parse(&prog, &cfg, argc, argv);
	struct err err;
	int status;

	if (run(&cfg, argv + rest, argc - rest, &err))
		return err_report(&prog, &err);
	status = out_close(&prog);
	return status ? status : cfg.differ;
}
