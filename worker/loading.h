/* What a program says about a model while it is loaded: how far it is, once it takes longer than a moment, and the
 * account of its memory. */
#ifndef WORKER_LOADING_H
#define WORKER_LOADING_H

#include <stdint.h>

#include "base/log.h"
#include "model/engine.h"

struct loading {
    const struct log *log; /* borrowed; NULL: plain lines on stderr */
    int64_t told_ms;       /* when the last line was written, or the first call came */
};
/* An engine's on_progress; ctx is a struct loading. */
void loading_progress(void *ctx, double done, double total);
/* The account: its lines on stderr, or one line of the log. */
void loading_account(const struct log *log, const struct engine *e);

#endif
