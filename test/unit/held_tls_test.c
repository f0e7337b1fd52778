#include "held_test.c"

bool world_secure(void)
{
	return true;
}
