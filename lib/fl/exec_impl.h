/* exec_impl.h - what the files of exec.h share. */
#ifndef FL_EXEC_IMPL_H
#define FL_EXEC_IMPL_H

#include "fl/child.h"
#include "fl/exec.h"

struct exec {
	struct child *child;
	struct exec_opts opts;
	char *data, *index, *test;
	char *dir, *in, *out; /* files of models */
};

#endif
