#include "tests/unit/worker/idle_engine.h"

#include "protocol/job.h"

static enum status start(void *ctx, struct job *job, struct flight *flight, struct diag *why)
{
    (void)ctx;
    (void)flight;
    job_free(job);
    return diag_set(why, ST_REFUSED, "this engine does nothing");
}

static void cancel(void *ctx, struct flight *flight)
{
    (void)ctx;
    (void)flight;
}

static void drain(void *ctx)
{
    (void)ctx;
}

static enum status state(void *ctx, struct diag *why)
{
    (void)ctx;
    (void)why;
    return ST_OK;
}

const struct session_engine idle_engine = {.start = start, .cancel = cancel, .drain = drain, .state = state};
