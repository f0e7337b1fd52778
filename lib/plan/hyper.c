#include "plan/hyper.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"

bool hyper_ok(const char *text)
{
	size_t name = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	if (!name || name > HYPER_NAME_MAX || text[name] != '=' ||
	    strlen(text + name + 1) > HYPER_VALUE_MAX)
		return false;
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return false;
	return true;
}

char *hyper_of(const char *name, const char *value)
{
	char *text = mem_fmt("%s=%s", name, value);

	for (char *p = text; *p != '='; p++)
		*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
	return text;
}
