/* Scenarios with a queue that runs: a call to Redis, a client, a worker's session. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "protocol/store.h"
#include "tests/torture/queue.h"
#include "tests/torture/scenarios.h"
#include "tests/torture/torture.h"
#include "worker/session.h"

enum { PATIENCE_MS = 10000 };

static const struct queue *begin(void)
{
    torture_rest(true);
    const struct queue *q = queue_begin();
    torture_rest(false);
    return q;
}

enum status store_round(void)
{
    const struct queue *q = begin();
    struct store *store = NULL;
    struct store_args args = {0};
    struct store_answer a = {.owner = NULL};
    enum status s = q ? store_open(q->redis, 1, &store, NULL) : ST_IO;
    if (s == ST_OK) {
        store_use_only(store, UINT64_C(1) << SCRIPT_BOOT);
        s = store_wait_ready(store, PATIENCE_MS, NULL);
    }
    store_arg_u64(&args, 1);
    store_arg_u64(&args, 1);
    if (s == ST_OK)
        s = store_call(store, SCRIPT_BOOT, &args, PATIENCE_MS, &a, NULL);
    if (s == ST_IO) /* an answer that could not be taken in is a lost one */
        s = ST_NOMEM;
    if (s == ST_OK && reply_number(&a.reply, 0) < 1)
        s = ST_INVALID;
    store_answer_free(&a);
    store_args_fini(&args);
    store_close(store);
    return s;
}

static bool look(void *ctx, const uint8_t id[ID_BYTES], const char *record, size_t len)
{
    (void)ctx, (void)id, (void)record, (void)len;
    return true;
}

enum status client_round(void)
{
    const struct queue *q = begin();
    struct client *c = NULL;
    struct campaign_status status;
    struct result_cursor cursor = {.next = 0};
    uint8_t id[ID_BYTES];
    bool more;
    enum status s =
        q ? client_open(&(struct client_options){.address = q->clients, .timeout_ms = PATIENCE_MS}, &c, NULL) : ST_IO;
    if (s == ST_OK)
        s = queue_hand_in(c, id);
    if (s == ST_OK)
        s = client_seal(c, "torture", NULL);
    if (s == ST_OK)
        s = client_status(c, "torture", &status, NULL);
    if (s == ST_OK)
        s = status.total > 0 ? client_results(c, "torture", &cursor, look, NULL, &more, NULL) : ST_INVALID;
    client_close(c);
    return s;
}

/* ---- a worker that answers at once ------------------------------------------------------------------------------ */

struct worker {
    struct session *session;
    volatile sig_atomic_t stop;
    int64_t until;
};

static enum status take(void *ctx, struct job *job, struct flight *flight, struct diag *why)
{
    static const char record[] = "{\"schema\":1,\"id\":\"x\",\"status\":\"ok\"}";
    struct worker *w = ctx;
    struct session_end end = {.failed = false};
    (void)why;
    job_free(job);
    torture_rest(true);
    end.record = strdup(record);
    torture_rest(false);
    session_started(w->session, flight);
    session_finished(w->session, flight, &end);
    w->stop = 1;
    return ST_OK;
}

static void nothing_to_cancel(void *ctx, struct flight *flight)
{
    (void)ctx, (void)flight;
}

static void nothing_to_drain(void *ctx)
{
    (void)ctx;
}

static void turned(void *ctx, bool welcomed)
{
    struct worker *w = ctx;
    (void)welcomed;
    if (clock_ms() > w->until)
        w->stop = 1;
}

static enum status is_well(void *ctx, struct diag *why)
{
    (void)ctx, (void)why;
    return ST_OK;
}

/* What short memory may do to a job: nothing, or put it off. */
static enum status check_job(struct client *c, const uint8_t *id)
{
    static const char *const fine[] = {"done", "ready", "running", "delayed", "suspect"};
    struct job_status job = {.body = NULL};
    enum status s = client_job(c, id, JOB_SHOW, &job, NULL);
    bool is_fine = false;
    for (size_t i = 0; s == ST_OK && i < sizeof fine / sizeof *fine; i++)
        is_fine = is_fine || strcmp(job.state, fine[i]) == 0;
    job_status_fini(&job);
    return s == ST_OK && !is_fine ? ST_INVALID : s;
}

enum status session_round(void)
{
    static const struct log quiet = {.component = "torture", .level = LOG_ERROR};
    static struct worker w;
    const struct session_engine engine = {.ctx = &w,
                                          .start = take,
                                          .cancel = nothing_to_cancel,
                                          .drain = nothing_to_drain,
                                          .turned = turned,
                                          .state = is_well};
    uint8_t id[ID_BYTES];
    const struct queue *q = begin();
    torture_rest(true);
    enum status s = q ? queue_hand_in(q->client, id) : ST_IO;
    torture_rest(false);
    const struct session_options o = {.broker = q ? q->workers : NULL,
                                      .class_name = "m/f32",
                                      .tasks = "caption",
                                      .label = "torture",
                                      .context = 1,
                                      .credit = 4,
                                      .drain_ms = PATIENCE_MS,
                                      .log = &quiet};
    w = (struct worker){.until = clock_ms() + PATIENCE_MS};
    if (s == ST_OK)
        s = session_open(&o, &engine, &w.session, NULL);
    if (s == ST_OK)
        s = session_run(w.session, &w.stop, NULL);
    if (s == ST_OK && clock_ms() > w.until)
        s = ST_TIMEOUT;
    session_close(w.session);
    torture_rest(true);
    if (s == ST_OK)
        s = check_job(q->client, id);
    torture_rest(false);
    return s;
}
