/* Events for people and log collectors, one a line on stderr. Only programs log; libraries return diags.
 * A line is `2026-01-31T12:00:00.123Z level component: text`. Threads may log at the same time: one write(2) a line. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/status.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log {
    const char *component; /* borrowed; e.g. "broker" */
    enum log_level level;  /* lines above it are dropped */
};

void log_line(const struct log *log, enum log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
