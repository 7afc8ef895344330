/* Time. Monotonic for intervals and deadlines, wall clock only for what is shown or stored. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_ms(void);      /* monotonic milliseconds since an arbitrary point */
int64_t clock_us(void);      /* the same in microseconds */
int64_t clock_wall_ms(void); /* Unix time in milliseconds */

#endif
