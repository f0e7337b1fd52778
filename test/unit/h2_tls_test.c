#include "h2_flow_test.c"
#include "h2_test.c"

bool world_secure(void)
{
	return true;
}
