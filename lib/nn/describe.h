/* describe.h - what is in model files, as records. */
#ifndef NN_DESCRIBE_H
#define NN_DESCRIBE_H

#include <stdbool.h>

#include "base/out.h"

/* Print a record for each tensor of the files (convert.h), with what its values
 * are like; or, as meta says, for each text of their maps. */
int describe_files(const struct out_opts *opts, char **paths, int n, bool meta,
		   struct err *err) MUST_CHECK;

#endif
