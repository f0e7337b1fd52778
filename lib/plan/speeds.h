/* speeds.h - how fast the links between n places are, in bytes/s: an n by n
 * matrix from a description. Pure. */
#ifndef PLAN_SPEEDS_H
#define PLAN_SPEEDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* "uniform:RATE", all alike, or "random:LOW:HIGH", evenly by chance for each
 * pair; a RATE is bytes/s and may end in k, M or G (1000s). *out is n by n,
 * symmetric, 0 on the diagonal, freed by the caller. NOT_FOUND if the text does
 * not begin like one of these, INVALID_ARGUMENT if it goes on wrongly. */
int speeds_make(double **out, size_t n, const char *text, uint64_t seed,
		struct err *err) MUST_CHECK;

/* A matrix as text: a line of n numbers for each place, what it sends to the
 * others, apart by blanks, tabs or commas; "#" begins a comment, and a line
 * "# unit RATE" says what a number counts. There must be at least n lines: the
 * first n places are taken. Numbers off the diagonal must be above 0. what
 * names the text in messages. */
int speeds_parse(double **out, size_t n, const char *text, const char *what,
		 struct err *err) MUST_CHECK;

#endif
