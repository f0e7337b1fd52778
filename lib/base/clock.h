/* clock.h - the two clocks. Pure code never includes this: it gets the time
 * as an argument. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_ms(void);	     /* monotonic, milliseconds */
int64_t clock_us(void);	     /* monotonic, microseconds */
int64_t clock_wall_ms(void); /* since the Unix epoch; may jump */

enum { CLOCK_TEXT = 32 }; /* room for a time as text */

/* RFC 3339 in UTC with milliseconds: "2024-05-01T10:00:00.123Z". Returns
 * text. */
const char *clock_text(int64_t wall_ms, char text[CLOCK_TEXT]);

#endif
