/* docs.h - man page and completion, generated from the table of options. */
#ifndef BASE_DOCS_H
#define BASE_DOCS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/opt.h"

/* Print the man page ("man"), the completion ("bash", "zsh", "fish") or the
 * one line ("brief") of a program: the same bytes on every machine and day. False when
 * what is none of these. */
bool docs_print(FILE *f, const struct prog *prog, const char *what);

#endif
