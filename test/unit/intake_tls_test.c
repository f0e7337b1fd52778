#include "intake_end_test.c"
#include "intake_test.c"

bool world_secure(void)
{
	return true;
}
