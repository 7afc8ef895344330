/* Events for people and log collectors, one a line on stderr. Only programs log; libraries return diags.
 *
 * For people a line is `2026-01-31T12:00:00.123Z level component: text`, with `[campaign job]` in front of the text
 * where it is about one; for collectors (--log json) one JSON object: time, level, component, campaign?, job?, text,
 * and left_out where lines like it were. Control characters in texts are shown as `?`, so that a line stays one.
 * Threads may log at the same time: one write(2) a line. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>

#include "base/settings.h"
#include "base/status.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_form { LOG_TEXT, LOG_JSON };

/* How often lines of one kind (one format text) are written: the first few in a while, and how many were left out with
 * the next one after it. */
struct log_limits;
MUST_CHECK enum status log_limits_new(struct log_limits **out);
void log_limits_free(struct log_limits *l); /* NULL is fine */

struct log {
    const char *component; /* borrowed; e.g. "broker" */
    enum log_level level;  /* lines above it are dropped */
    enum log_form form;
    struct log_limits *limits; /* borrowed; NULL: every line is written */
};

/* The settings of it: --log text|json, --log-level. `at`: offset of a struct log_flags in the program's struct. */
struct log_flags {
    int form, level; /* index of "text|json", "error|warn|info|debug" */
};
struct setting_group log_flags_group(size_t at);

/* fmt: a literal, since it tells kinds of lines apart. */
void log_line(const struct log *log, enum log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same about a job, or a campaign: NULL where it is about none. */
void log_about(const struct log *log, enum log_level level, const char *campaign, const char *job, const char *fmt, ...)
    PRINTF_LIKE(5, 6);

#endif
