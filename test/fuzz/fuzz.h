/* fuzz.h - what the fuzz targets share: libFuzzer's entry point, and how one
 * says that a property does not hold. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Called with one input after the other; each target has its own. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A property of the code under test; failing ends the process, and libFuzzer
 * keeps the input. */
#define FUZZ_CHECK(cond)                                                       \
	do {                                                                   \
		if (!(cond)) {                                                 \
			fprintf(stderr, "%s:%d: not %s\n", __FILE__, __LINE__, \
				#cond);                                        \
			abort();                                               \
		}                                                              \
	} while (0)

#endif
