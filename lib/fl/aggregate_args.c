#include "fl/aggregate_args.h"

int aggregate_args_parse(struct aggregate_args *args, struct err *err)
{
	args->opts.bytes_max = (size_t)args->hold_bytes;
	return staleness_parse(&args->opts.staleness, args->staleness, err);
}
