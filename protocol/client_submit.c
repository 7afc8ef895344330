/* The client's window of SUBMITs: batches go out several at a time, are sent again until they are answered, and may be
 * accepted in any order. The committed place only ever moves over a prefix that is accepted as a whole, so that whoever
 * starts there again misses nothing; what is handed in twice is a duplicate and free. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "protocol/client_impl.h"

enum { ASK_AGAIN_MS = 2000, STEP_MS = 200, TELL_MS = 1000, NOT_CONNECTED_MS = 20 };

static void free_slot(struct submit_slot *s)
{
    if (s)
        free(s->rows);
    free(s);
}

void client_submit_fini(struct client *c)
{
    while (c->first) {
        struct submit_slot *s = c->first;
        c->first = s->next;
        free_slot(s);
    }
    free_slot(c->open);
    c->open = NULL;
    wire_writer_fini(&c->open_rows);
}

struct submit_counts client_submit_counts(const struct client *c)
{
    return c->counts;
}

const char *client_submit_busy(const struct client *c)
{
    return c->busy_text.text;
}

void client_on_wait(struct client *c, bool (*fn)(void *ctx, const struct submit_counts *counts), void *ctx)
{
    c->on_wait = fn;
    c->on_wait_ctx = ctx;
}

/* ---- sending
 * --------------------------------------------------------------------------------------------------------- */

static void set_place(const struct client *c, struct message *m)
{
    if (!c->has_done || !wire_view_is(m->campaign, c->done_campaign))
        return;
    m->manifest = (struct wire_view){.bytes = c->done.manifest, .len = PLACE_HASH_BYTES};
    m->offset = c->done.offset;
}

static void post_due(struct client *c, int64_t now)
{
    for (struct submit_slot *s = c->first; s; s = s->next) {
        if (s->accepted || s->send_at > now)
            continue;
        struct message m = {.kind = MESSAGE_SUBMIT,
                            .request = s->request,
                            .campaign = {(const uint8_t *)s->campaign, strlen(s->campaign)},
                            .rows = {s->rows, s->rows_len}};
        set_place(c, &m);
        enum status st = client_post(c, &m);
        s->send_at = now + (st == ST_OK ? ASK_AGAIN_MS : NOT_CONNECTED_MS);
        if (st != ST_OK)
            return; /* in order: a gap would only be sent twice */
    }
}

/* Closes the batch that is being filled and queues it. */
static enum status close_batch(struct client *c)
{
    struct submit_slot *s = c->open;
    if (!s || s->n == 0)
        return ST_OK;
    struct wire_writer w;
    wire_writer_init(&w, LIMIT_FRAME_BYTES);
    wire_put_array(&w, s->n);
    wire_put_raw(&w, c->open_rows.bytes, c->open_rows.len);
    enum status st = wire_writer_take(&w, &s->rows, &s->rows_len);
    wire_writer_fini(&w);
    if (st != ST_OK)
        return st;
    wire_writer_fini(&c->open_rows);
    s->request = ++c->last_request;
    if (c->last)
        c->last->next = s;
    else
        c->first = s;
    c->last = s;
    c->n_slots++;
    c->open = NULL;
    return ST_OK;
}

/* ---- answers
 * --------------------------------------------------------------------------------------------------------- */

static void count_statuses(struct client *c, const struct message *m)
{
    for (size_t i = 0; i < m->statuses.len; i++) {
        switch (m->statuses.bytes[i]) {
        case 'n':
            c->counts.accepted++;
            c->counts.local += !wire_view_is(m->durability, "replicated");
            break;
        case 'f': c->counts.finished++; break;
        default: c->counts.duplicate++; break;
        }
    }
    c->counts.unfinished = m->unfinished;
}

/* Moves the committed place over what is accepted. */
static void retire(struct client *c)
{
    while (c->first && c->first->accepted) {
        struct submit_slot *s = c->first;
        if (s->has_place) {
            c->has_done = true;
            c->place_is_committed = false;
            c->done = s->place;
            memcpy(c->done_campaign, s->campaign, sizeof c->done_campaign);
        }
        c->first = s->next;
        if (!c->first)
            c->last = NULL;
        c->n_slots--;
        free_slot(s);
    }
}

/* Why nothing is taken, for client_submit_busy. */
static void tell_busy(struct client *c, const struct message *m)
{
    snprintf(c->busy_text.text, sizeof c->busy_text.text, "%.*s", (int)m->text.len, (const char *)m->text.bytes);
}

/* Each time that it is not taken the pause doubles, up to four times what the broker asked for. */
static void be_busy(struct client *c, struct submit_slot *s, const struct message *m, int64_t now)
{
    enum { DOUBLE_MOST = 2 };
    s->send_at = now + ((int64_t)m->retry_ms << (s->busy < DOUBLE_MOST ? s->busy : DOUBLE_MOST));
    s->busy++;
    tell_busy(c, m);
}

void client_submit_answer(struct client *c, const struct message *m)
{
    struct submit_slot *s = c->first;
    while (s && s->request != m->request)
        s = s->next;
    if (!s || s->accepted)
        return; /* a second answer to something sent twice */
    int64_t now = clock_ms();
    if (m->kind == MESSAGE_ACCEPTED && m->statuses.len == s->n) {
        s->accepted = true;
        c->busy_text.text[0] = '\0';
        count_statuses(c, m);
        retire(c);
    } else if (m->kind == MESSAGE_BUSY) {
        be_busy(c, s, m, now);
        if (m->unfinished)
            c->counts.unfinished = m->unfinished;
    } else if (m->kind == MESSAGE_ERROR && wire_view_is(m->code, message_code_name(CODE_STORE))) {
        s->send_at = now + (int64_t)m->retry_ms;
        tell_busy(c, m);
    } else if (c->failure == ST_OK) {
        c->failure = m->kind == MESSAGE_ERROR
                         ? client_error(m, &c->failure_text)
                         : diag_set(&c->failure_text, ST_FORMAT, "the broker answered SUBMIT with %s",
                                    message_kind_name(m->kind));
    }
}

/* One round of sending and receiving; waits at most until something must be sent again. */
static enum status step(struct client *c, struct diag *why)
{
    int64_t now = clock_ms();
    if (client_move_on(c, now))
        for (struct submit_slot *s = c->first; s; s = s->next)
            s->send_at = now;
    post_due(c, now);
    int64_t wait = STEP_MS;
    for (struct submit_slot *s = c->first; s; s = s->next)
        if (!s->accepted && s->send_at - now < wait)
            wait = s->send_at - now;
    struct client_answer a;
    enum status st = client_receive(c, wait > 0 ? (int)wait : 1, &a, why);
    while (st == ST_OK) {
        client_submit_answer(c, &a.message);
        link_frame_free(&a.frame);
        st = client_receive(c, 0, &a, why);
    }
    if (st != ST_BUSY)
        return st;
    if (c->failure != ST_OK) {
        if (why)
            *why = c->failure_text;
        return c->failure;
    }
    now = clock_ms();
    if (now - c->heard_at >= c->timeout_ms)
        return diag_set(why, ST_TIMEOUT, "no answer from a broker at %s for %d s", c->address, c->timeout_ms / 1000);
    if (c->on_wait && now - c->told_at >= TELL_MS) {
        c->told_at = now;
        if (!c->on_wait(c->on_wait_ctx, &c->counts))
            return ST_CANCELLED;
    }
    return ST_OK;
}

/* Waits until at most `most` batches are on the way. */
static enum status wait_room(struct client *c, size_t most, struct diag *why)
{
    c->heard_at = c->well_at = clock_ms();
    c->told_at = c->heard_at;
    enum status s = ST_OK;
    while (s == ST_OK && c->n_slots > most)
        s = step(c, why);
    return s;
}

/* ---- the caller's side
 * ------------------------------------------------------------------------------------------------ */

static enum status open_batch(struct client *c, const struct job *job, struct diag *why)
{
    if (c->open)
        return ST_OK;
    if (strlen(job->campaign) > LIMIT_NAME_BYTES)
        return diag_set(why, ST_LIMIT, "campaign: over %d bytes", LIMIT_NAME_BYTES);
    c->open = calloc(1, sizeof *c->open);
    if (!c->open)
        return ST_NOMEM;
    memcpy(c->open->campaign, job->campaign, strlen(job->campaign) + 1);
    wire_writer_init(&c->open_rows, BATCH_BYTES + 2 * LIMIT_JOB_BYTES);
    c->open_since = clock_ms();
    return ST_OK;
}

static enum status add_job(struct client *c, const struct job *job, const struct place *after, struct diag *why)
{
    uint8_t *body, id[ID_BYTES];
    size_t len;
    enum status s = job_encode(job, &body, &len, why);
    if (s != ST_OK)
        return s;
    if (len > LIMIT_JOB_BYTES)
        s = diag_set(why, ST_LIMIT, "job \"%s\": %zu bytes, at most %d", job->key, len, LIMIT_JOB_BYTES);
    if (s == ST_OK)
        s = open_batch(c, job, why);
    if (s == ST_OK) {
        job_id(job, id);
        struct message_row row = {.id = id,
                                  .n = {(uint64_t)job->priority, (uint64_t)job->max_retries,
                                        job->deadline_ms > 0 ? (uint64_t)job->deadline_ms : 0,
                                        job->not_before_ms > 0 ? (uint64_t)job->not_before_ms : 0},
                                  .body = {body, len}};
        message_row_put(&c->open_rows, &row);
        s = c->open_rows.state;
    }
    free(body);
    if (s != ST_OK)
        return s;
    c->open->n++;
    if (after) {
        c->open->has_place = true;
        c->open->place = *after;
    }
    return ST_OK;
}

static bool is_full(const struct client *c)
{
    return c->open &&
           (c->open->n >= BATCH_JOBS || c->open_rows.len >= BATCH_BYTES || clock_ms() - c->open_since >= BATCH_AGE_MS);
}

enum status client_submit(struct client *c, const struct job *job, const struct place *after, struct diag *why)
{
    enum status s = ST_OK;
    if (c->failure != ST_OK)
        return diag_set(why, c->failure, "%s", c->failure_text.text);
    if (c->open && strcmp(c->open->campaign, job->campaign) != 0)
        s = close_batch(c);
    if (s == ST_OK)
        s = add_job(c, job, after, why);
    if (s != ST_OK || !is_full(c))
        return s;
    s = close_batch(c);
    if (s == ST_OK)
        post_due(c, clock_ms());
    return s == ST_OK ? wait_room(c, BATCHES_AT_ONCE - 1, why) : s;
}

enum status client_seal(struct client *c, const char *campaign, struct diag *why)
{
    enum status s = client_flush(c, why);
    if (s != ST_OK)
        return s;
    struct message m = {.kind = MESSAGE_SUBMIT, .campaign = {(const uint8_t *)campaign, strlen(campaign)}, .end = 1};
    struct client_answer a;
    s = client_ask(c, &m, MESSAGE_ACCEPTED, &a, why);
    if (s == ST_OK)
        link_frame_free(&a.frame);
    return s;
}

enum status client_flush(struct client *c, struct diag *why)
{
    enum status s = close_batch(c);
    if (s == ST_OK)
        s = wait_room(c, 0, why);
    if (s != ST_OK || !c->has_done || c->place_is_committed)
        return s;
    struct message m = {.kind = MESSAGE_SUBMIT,
                        .campaign = {(const uint8_t *)c->done_campaign, strlen(c->done_campaign)}};
    set_place(c, &m);
    struct client_answer a;
    s = client_ask(c, &m, MESSAGE_ACCEPTED, &a, why);
    if (s != ST_OK)
        return s;
    link_frame_free(&a.frame);
    c->place_is_committed = true;
    return ST_OK;
}
