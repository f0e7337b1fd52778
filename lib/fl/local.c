#include "fl/local.h"

#include <stdlib.h>

#include "base/mem.h"
#include "fl/clients.h"

static int open_sets(struct local *l, const struct local_opts *opts,
		     struct err *err)
{
	struct data_opts how = {"train", opts->classes, opts->label};

	if (data_open_as(&l->train, opts->data, &how, err))
		return (int)err->code;
	how.part = "test";
	return opts->test ? data_open_as(&l->test, opts->test, &how, err) : 0;
}

int local_open(struct local *l, const struct local_opts *opts, struct err *err)
{
	*l = (struct local){0};
	if (opts->elsewhere) {
		l->indexes =
			mem_zero((size_t)opts->clients, sizeof(*l->indexes));
	} else if (open_sets(l, opts, err)) {
		local_release(l);
		return (int)err->code;
	} else if (clients_indexes(&l->indexes, opts->index, opts->clients,
				   l->train->count, err)) {
		local_release(l);
		return err_wrap(err, "--index");
	}
	l->clients = opts->clients;
	return 0;
}

void local_release(struct local *l)
{
	for (int i = 0; i < l->clients; i++)
		index_release(&l->indexes[i]);
	free(l->indexes);
	data_close(l->test);
	data_close(l->train);
	*l = (struct local){0};
}

size_t local_examples(const struct local *l)
{
	size_t n = 0;

	for (int i = 0; i < l->clients; i++)
		n += l->indexes[i].n;
	return n;
}
