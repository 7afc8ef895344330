/* Workers and clients, as far as a broker can tell: when a session tells its credit, and in what portions, is as in
 * worker/session_ask.c; results go to Redis by the direct route, all that have ended while the call before is on the
 * way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/job.h"
#include "tests/simulate/simulate.h"

static double uniform(struct world *w)
{
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return (double)(w->random >> 11) * 0x1p-53;
}

static struct link_peer peer_of(char kind, uint32_t i)
{
    struct link_peer p = {.len = 5};
    p.bytes[0] = (uint8_t)kind;
    memcpy(p.bytes + 1, &i, sizeof i);
    return p;
}

static uint32_t index_of(const struct link_peer *p)
{
    uint32_t i;
    memcpy(&i, p->bytes + 1, sizeof i);
    return i;
}

static int broker_of(const struct world *w, int64_t worker)
{
    return (int)(worker % w->plan.brokers);
}

/* Into the bucket of a time; the wheel goes round once in WHEEL steps. */
static void wake_at(struct world *w, int32_t i, int64_t at_us)
{
    int64_t step_us = w->plan.step_ms * 1000, bucket = at_us / step_us;
    if (bucket <= w->wheel_at)
        bucket = w->wheel_at + 1;
    if (bucket >= w->wheel_at + WHEEL)
        bucket = w->wheel_at + WHEEL - 1;
    w->workers[i].next = w->wheel[bucket % WHEEL];
    w->wheel[bucket % WHEEL] = i;
}

static struct wire_view view(const void *bytes, size_t len)
{
    return (struct wire_view){.bytes = bytes, .len = len};
}

/* ---- workers ------------------------------------------------------------------------------------------------------
 */

/* How long the next image takes: answers differ in length, so the time is drawn between half and one and a half. */
static int64_t image_us(struct world *w)
{
    return (int64_t)((0.5 + uniform(w)) * 1e6 / w->plan.rate);
}

static void tell_credit(struct world *w, struct worker *k, int broker, bool again)
{
    uint64_t credit = (uint64_t)w->plan.credit, want = credit > k->held ? credit - k->held : 0;
    bool worth_it = want != k->told_want && (4 * want >= credit || k->held == 0);
    if (!k->open || (!worth_it && !again))
        return;
    struct message m = {
        .kind = MESSAGE_CREDIT, .session = view(k->session, SESSION_BYTES), .seq = k->seq, .want = want};
    world_tell(w, broker, SIDE_WORKER, &k->peer, &m);
    k->told_want = want;
}

static void begin_next(struct world *w, int32_t i)
{
    struct worker *k = &w->workers[i];
    k->working = k->held > k->ended + k->finishing;
    if (k->working)
        wake_at(w, i, w->now_us + image_us(w));
    else
        k->idle_since_us = w->now_us;
}

static void tell_done(struct world *w, int32_t i)
{
    struct worker *k = &w->workers[i];
    if (k->finishing || !k->ended)
        return;
    struct call c = {.broker = -1, .worker = i, .script = SCRIPT_FINISH, .n = k->ended};
    k->finishing = k->ended;
    k->ended = 0;
    shard_call(&w->shard, &c, w->now_us);
}

static void image_ends(struct world *w, int32_t i)
{
    w->workers[i].ended++;
    tell_done(w, i);
    begin_next(w, i);
}

void fleet_on_reply(struct world *w, const struct call *c)
{
    if (c->script != SCRIPT_FINISH)
        return;
    struct worker *k = &w->workers[c->worker];
    k->held = (uint16_t)(k->held - k->finishing);
    k->done += k->finishing;
    k->finishing = 0;
    tell_done(w, c->worker);
    tell_credit(w, k, broker_of(w, c->worker), false);
}

static void on_jobs(struct world *w, int32_t i, const struct message *m)
{
    struct worker *k = &w->workers[i];
    struct wire_reader r;
    size_t n = message_rows_open(m, &r);
    if (n == 0)
        world_fail("worker %d: jobs without rows, though no answer was lost", i);
    k->held = (uint16_t)(k->held + n);
    if (k->held > LIMIT_HELD_JOBS)
        world_fail("worker %d holds %d images, at most %d", i, k->held, LIMIT_HELD_JOBS);
    k->seq = m->seq + 1;
    k->told_want = UINT64_MAX;
    if (!k->working) {
        k->idle_us += w->now_us - k->idle_since_us;
        begin_next(w, i);
    }
    tell_credit(w, k, broker_of(w, i), false);
}

/* ---- clients ------------------------------------------------------------------------------------------------------
 */

/* The same images again and again: a broker checks each as if it were new, and only Redis would know better. */
static void encode_submit(struct world *w)
{
    struct job_task task = {.kind = TASK_CAPTION, .options = {.max_tokens = 128, .top_p = 1}};
    struct wire_writer rows;
    uint8_t id[ID_BYTES];
    wire_writer_init(&rows, LIMIT_FRAME_BYTES);
    wire_put_array(&rows, SUBMIT_JOBS);
    for (int i = 0; i < SUBMIT_JOBS; i++) {
        char key[32] = "2026-11-28/", image[64] = "photos:archive/";
        snprintf(key + strlen(key), 16, "%012d", i);
        snprintf(image + strlen(image), 32, "000001/%012d.jpg", i);
        struct job job = {.tenant = (char[]){"default"},
                          .campaign = (char[]){"simulated"},
                          .policy = (char[]){"default"},
                          .key = key,
                          .image = image,
                          .tasks = &task,
                          .n_tasks = 1};
        uint8_t *bytes;
        size_t len;
        struct diag why = {.text = ""};
        if (job_encode(&job, &bytes, &len, &why) != ST_OK)
            world_fail("job: %s", why.text);
        job_id(&job, id);
        struct message_row row = {.id = id, .n = {1, 4}, .body = view(bytes, len)};
        message_row_put(&rows, &row);
        free(bytes);
    }
    struct message m = {.kind = MESSAGE_SUBMIT,
                        .request = 1,
                        .campaign = view("simulated", strlen("simulated")),
                        .rows = view(rows.bytes, rows.len)};
    if (rows.state != ST_OK || message_encode(&m, &w->submit, &w->submit_len) != ST_OK)
        world_fail("a SUBMIT of %d images can't be encoded", SUBMIT_JOBS);
    wire_writer_fini(&rows);
}

static void client_step(struct world *w, struct client *c)
{
    if (c->again_us < 0 || c->again_us > w->now_us || w->offered >= (uint64_t)w->plan.images ||
        !dispatch_wants_clients(w->brokers[c->broker]))
        return;
    w->offered += SUBMIT_JOBS;
    w->in++;
    c->sent_us = w->now_us;
    c->again_us = -1;
    dispatch_on_message(w->brokers[c->broker], SIDE_CLIENT, &c->peer, w->submit, w->submit_len, w->now_us / 1000);
}

static void on_client_message(struct world *w, struct client *c, const struct message *m)
{
    int64_t took = w->now_us - c->sent_us;
    c->again_us = w->now_us;
    if (m->kind == MESSAGE_BUSY) {
        w->offered -= SUBMIT_JOBS;
        w->busy++;
        c->again_us += (int64_t)m->retry_ms * 1000;
    } else if (m->kind == MESSAGE_ACCEPTED && m->statuses.len == SUBMIT_JOBS) {
        w->accepts++;
        w->accept_us[0] += took;
        w->accept_us[1] = took > w->accept_us[1] ? took : w->accept_us[1];
    } else {
        world_fail("a client got %s: %.*s", message_kind_name(m->kind), (int)m->text.len, (const char *)m->text.bytes);
    }
}

/* ---- all of them ---------------------------------------------------------------------------------------------------
 */

void fleet_on_message(struct world *w, int broker, const struct dispatch_output *o)
{
    struct message m;
    struct diag why = {.text = ""};
    (void)broker;
    if (message_decode(o->bytes, o->len, &m, &why) != ST_OK)
        world_fail("a broker's message can't be read: %s", why.text);
    w->out++;
    uint32_t i = index_of(&o->peer);
    if (o->side == SIDE_CLIENT) {
        on_client_message(w, &w->clients[i], &m);
    } else if (m.kind == MESSAGE_JOBS) {
        on_jobs(w, (int32_t)i, &m);
    } else if (m.kind == MESSAGE_WELCOME) {
        w->workers[i].open = true;
        w->workers[i].told_want = UINT64_MAX;
        tell_credit(w, &w->workers[i], broker_of(w, i), false);
    } else {
        world_fail("a worker got %s: %.*s", message_kind_name(m.kind), (int)m.text.len, (const char *)m.text.bytes);
    }
}

static void say_hello(struct world *w, int32_t i)
{
    struct message m = {.kind = MESSAGE_HELLO,
                        .request = 1,
                        .session = view(w->workers[i].session, SESSION_BYTES),
                        .class_name = view("m/bf16", 6),
                        .tasks = view("caption", 7),
                        .label = view("simulated", 9),
                        .context = 2048};
    world_tell(w, broker_of(w, i), SIDE_WORKER, &w->workers[i].peer, &m);
}

void fleet_init(struct world *w)
{
    w->workers = calloc((size_t)w->plan.workers, sizeof *w->workers);
    w->clients = calloc((size_t)w->plan.clients, sizeof *w->clients);
    w->wheel = malloc(WHEEL * sizeof *w->wheel);
    if (!w->workers || !w->clients || !w->wheel)
        world_fail("memory is short");
    for (int i = 0; i < WHEEL; i++)
        w->wheel[i] = -1;
    for (uint32_t i = 0; i < w->plan.workers; i++) {
        struct worker *k = &w->workers[i];
        k->peer = peer_of('w', i);
        memcpy(k->session, &i, sizeof i);
        k->seq = 1;
        /* Beats do not come all at once. */
        k->beat_us = (int64_t)(uniform(w) * (double)w->plan.beat_ms * 1000);
        say_hello(w, (int32_t)i);
    }
    for (uint32_t i = 0; i < w->plan.clients; i++)
        w->clients[i] = (struct client){.peer = peer_of('c', i), .broker = broker_of(w, i)};
    encode_submit(w);
}

void fleet_fini(struct world *w)
{
    free(w->workers);
    free(w->clients);
    free(w->wheel);
    free(w->submit);
}

/* A beat each so often: the lease in Redis, and credit again, in case it was lost. A tenth of all workers is looked at
 * in each tenth of a beat. */
static void beats(struct world *w)
{
    int64_t period = w->plan.beat_ms * 1000, parts = period / (w->plan.step_ms * 1000);
    int64_t part = parts > 0 ? w->wheel_at % parts : 0, n = parts > 0 ? parts : 1;
    for (int64_t i = w->plan.workers * part / n; i < w->plan.workers * (part + 1) / n; i++) {
        struct call c = {.broker = -1, .worker = (int)i, .script = SCRIPT_HEARTBEAT};
        shard_call(&w->shard, &c, w->now_us);
        tell_credit(w, &w->workers[i], broker_of(w, i), true);
    }
}

void fleet_step(struct world *w)
{
    w->wheel_at = w->now_us / (w->plan.step_ms * 1000);
    int32_t *bucket = &w->wheel[w->wheel_at % WHEEL];
    int32_t i = *bucket;
    *bucket = -1;
    while (i >= 0) {
        int32_t next = w->workers[i].next;
        image_ends(w, i);
        i = next;
    }
    beats(w);
    for (int64_t k = 0; k < w->plan.clients; k++)
        client_step(w, &w->clients[k]);
}
