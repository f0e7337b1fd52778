/* hyper.h - settings for programs that people bring to train: "NAME=VALUE",
 * which becomes the variable GFL_HP_NAME of their environment. */
#ifndef PLAN_HYPER_H
#define PLAN_HYPER_H

#include <stdbool.h>

enum {
	HYPER_MAX = 32 /* settings */,
	HYPER_NAME_MAX = 64,
	HYPER_VALUE_MAX = 256
};

#define HYPER_WANTED \
	"NAME=VALUE, a name of A-Z, 0-9 and _, of at most 64 and 256 bytes"

bool hyper_ok(const char *text);

/* As one names it: "learning-rate" is LEARNING_RATE. The caller frees it. */
char *hyper_of(const char *name, const char *value);

#endif
