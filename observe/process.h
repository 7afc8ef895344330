/* What every program tells of itself, under the names that Prometheus' own clients use: process_cpu_seconds_total,
 * process_resident_memory_bytes, process_open_fds, process_start_time_seconds; and ferretry_build_info. */
#ifndef OBSERVE_PROCESS_H
#define OBSERVE_PROCESS_H

#include "base/status.h"
#include "observe/metrics.h"

/* program: "ferret-worker"; borrowed while m lives. */
MUST_CHECK enum status process_metrics(struct metrics *m, const char *program);

#endif
