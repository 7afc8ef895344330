/* The memory that a process on this machine may use. */
#ifndef WORKER_HOST_MEMORY_H
#define WORKER_HOST_MEMORY_H

#include <stdint.h>

/* In bytes: the machine's, or less where the process' control group, or one that it lies in, says so (both versions of
 * them). What can't be read sets no limit. root: in front of /proc and of the mounts that it names, "" for the real
 * ones. */
int64_t host_memory(const char *root);

#endif
