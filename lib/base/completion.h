/* completion.h - what a shell can complete of a program's command line, from
 * the table of options: functions of bash and zsh, commands of fish. */
#ifndef BASE_COMPLETION_H
#define BASE_COMPLETION_H

#include <stdio.h>

#include "base/opt.h"

void completion_bash(FILE *f, const struct prog *prog);
void completion_zsh(FILE *f, const struct prog *prog);
void completion_fish(FILE *f, const struct prog *prog);

#endif
