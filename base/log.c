#include "base/log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

void log_line(const struct log *log, enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    enum { LINE_BYTES = 2048 };
    if (level > log->level)
        return;
    struct timespec t;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    char line[LINE_BYTES];
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %s %s: ", t.tv_nsec / 1000000, names[level],
                          log->component);
    va_list args;
    va_start(args, fmt);
    int text = vsnprintf(line + n, sizeof line - n, fmt, args);
    va_end(args);
    n += text > 0 ? (size_t)text : 0;
    if (n > sizeof line - 1)
        n = sizeof line - 1;
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        return; /* nobody left to tell */
}
