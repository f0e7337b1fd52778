#include "intake_test.c"

bool world_secure(void)
{
	return true;
}
