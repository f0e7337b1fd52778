#include "nn/threads.h"

#include <stdlib.h>
#include <unistd.h>

int threads_begin(int threads, char **argv, struct err *err)
{
	if (threads <= 1 || getenv("OMP_WAIT_POLICY"))
		return 0;
	setenv("OMP_WAIT_POLICY", "passive", 1);
	execv("/proc/self/exe", argv);
	return err_sys(err, "start anew for %d threads", threads);
}
