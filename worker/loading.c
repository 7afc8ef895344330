#include "worker/loading.h"

#include <stdio.h>

#include "base/clock.h"

enum { TELL_EVERY_MS = 2000 };

void loading_progress(void *ctx, double done, double total)
{
    struct loading *l = ctx;
    int64_t now = clock_ms();
    if (l->told_ms == 0)
        l->told_ms = now;
    if (now - l->told_ms < TELL_EVERY_MS)
        return;
    if (l->log)
        log_line(l->log, LOG_INFO, "loading the model: %.0f %%", 100 * done / total);
    else
        fprintf(stderr, "loading the model: %.0f %%\n", 100 * done / total);
    l->told_ms = now;
}

void loading_account(const struct log *log, const struct engine *e)
{
    if (!log) {
        fputs(engine_memory_account(e), stderr);
        return;
    }
    /* On one line: its columns close up. */
    char line[1024];
    size_t n = 0;
    for (const char *at = engine_memory_account(e); *at && n + 3 < sizeof line; at++) {
        if (*at == '\n' && at[1])
            line[n++] = ';';
        if (*at != ' ' && *at != '\n')
            line[n++] = *at;
        else if (n > 0 && line[n - 1] != ' ')
            line[n++] = ' ';
    }
    line[n] = '\0';
    log_line(log, LOG_INFO, "memory: %s", line);
}
