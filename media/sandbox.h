/* What a decoder's process may do: compute, allocate up to a limit, read system libraries, use the descriptors it has.
 * No network, no new program, no write to any file, no look at other processes. Linux on x86-64. */
#ifndef MEDIA_SANDBOX_H
#define MEDIA_SANDBOX_H

#include <stdint.h>

#include "base/status.h"

enum sandbox_part { SANDBOX_SECCOMP = 1, SANDBOX_LANDLOCK = 2 };

/* Confines the calling process for good: no core files, `memory_bytes` of address space on top of what it has now, few
 * descriptors, and the parts that the kernel offers (*parts). One thread must be running. */
MUST_CHECK enum status sandbox_enter(int64_t memory_bytes, unsigned *parts);
/* The parts that this kernel offers, without entering. */
unsigned sandbox_offered(void);

#endif
