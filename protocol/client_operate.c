/* The client's calls for operators: lists, tenants, drains, single jobs, what failed for good, what is to be forgotten.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/client_impl.h"

static struct wire_view text_view(const char *s)
{
    return (struct wire_view){.bytes = (const uint8_t *)s, .len = strlen(s)};
}

static enum status shard_entries(struct client *c, const char *what, uint64_t shard, uint64_t *cursor, client_row_fn fn,
                                 void *ctx, struct diag *why)
{
    enum status s = ST_OK;
    for (bool more = true; s == ST_OK && more;) {
        struct message m = {.kind = MESSAGE_LIST, .name = text_view(what), .cursor = *cursor, .shard = shard};
        struct client_answer a;
        s = client_ask(c, &m, MESSAGE_LISTED, &a, why);
        if (s != ST_OK)
            return s;
        struct wire_reader r;
        for (size_t n = message_rows_open(&a.message, &r); n > 0 && s == ST_OK; n--) {
            struct wire_view text;
            uint64_t value = message_number_next(&r, &text);
            if (!fn(ctx, (const char *)text.bytes, text.len, value))
                s = ST_CANCELLED;
        }
        *cursor = a.message.cursor;
        more = a.message.more != 0;
        link_frame_free(&a.frame);
    }
    return s;
}

enum status client_entries(struct client *c, const char *what, uint64_t *cursor, client_row_fn fn, void *ctx,
                           struct diag *why)
{
    if (c->shards == 1 || strcmp(what, "events") != 0)
        return shard_entries(c, what, 0, cursor, fn, ctx, why);
    enum status s = ST_OK;
    for (int i = 1; s == ST_OK && i <= c->shards; i++) {
        *cursor = 0;
        s = shard_entries(c, what, (uint64_t)i, cursor, fn, ctx, why);
    }
    return s;
}

/* Rows of numbers in the order in which PROTOCOL.md names them. */
static size_t read_numbers(const struct message *m, uint64_t *const *to, size_t most)
{
    struct wire_reader r;
    size_t n = message_rows_open(m, &r), i = 0;
    for (; i < n && i < most; i++)
        *to[i] = message_number_next(&r, &(struct wire_view){.len = 0});
    return i;
}

enum status client_tenant(struct client *c, const char *tenant, uint64_t weight, int64_t quota,
                          struct tenant_status *out, struct diag *why)
{
    struct message m = {.kind = MESSAGE_TENANT,
                        .tenant = text_view(tenant),
                        .weight = weight,
                        .quota = quota < 0 ? 0 : (uint64_t)quota + 1};
    struct client_answer a;
    enum status s = client_ask(c, &m, MESSAGE_LISTED, &a, why);
    if (s != ST_OK)
        return s;
    struct tenant_status t = {0};
    uint64_t *const to[] = {&t.weight, &t.quota, &t.unfinished};
    (void)read_numbers(&a.message, to, sizeof to / sizeof *to);
    link_frame_free(&a.frame);
    *out = t;
    return ST_OK;
}

enum status client_drain(struct client *c, const uint8_t *session, bool on, struct diag *why)
{
    struct message m = {.kind = MESSAGE_DRAIN, .session = {session, session ? SESSION_BYTES : 0}, .on = on ? 1 : 0};
    struct client_answer a;
    enum status s = client_ask(c, &m, MESSAGE_LISTED, &a, why);
    if (s == ST_OK)
        link_frame_free(&a.frame);
    return s;
}

/* ---- one job ---------------------------------------------------------------------------------------------------- */

void job_status_fini(struct job_status *s)
{
    free(s->body);
    free(s->record);
    *s = (struct job_status){.body = NULL};
}

static void copy_text(struct wire_view v, char *out, size_t most)
{
    snprintf(out, most + 1, "%.*s", (int)v.len, (const char *)v.bytes);
}

static enum status take_job(const struct message *m, struct job_status *out)
{
    struct job_status s = {.body = NULL};
    uint64_t returns, halted = 0;
    uint64_t *const to[] = {&s.priority, &s.retries, &s.deadline_ms, &s.failures,
                            &s.crashes,  &returns,   &s.due_ms,      &halted};
    (void)read_numbers(m, to, sizeof to / sizeof *to);
    s.halted = halted != 0;
    copy_text(m->text, s.state, STOPPED_BYTES);
    copy_text(m->campaign, s.campaign, LIMIT_NAME_BYTES);
    for (size_t i = 0; i < m->session.len; i++)
        snprintf(s.session + 2 * i, 3, "%02x", m->session.bytes[i]);
    s.record = m->record.len ? wire_view_dup(m->record) : NULL;
    s.body = m->body.len ? malloc(m->body.len) : NULL;
    if ((m->record.len && !s.record) || (m->body.len && !s.body)) {
        job_status_fini(&s);
        return ST_NOMEM;
    }
    if (m->body.len)
        memcpy(s.body, m->body.bytes, m->body.len);
    s.body_len = m->body.len;
    *out = s;
    return ST_OK;
}

enum status client_job(struct client *c, const uint8_t id[ID_BYTES], enum job_action action, struct job_status *out,
                       struct diag *why)
{
    uint64_t cursor = 0;
    do {
        struct message m = {.kind = MESSAGE_JOB, .ids = {id, ID_BYTES}, .action = (uint64_t)action, .cursor = cursor};
        struct client_answer a;
        enum status s = client_ask(c, &m, MESSAGE_JOB_IS, &a, why);
        if (s != ST_OK)
            return s;
        bool found = !wire_view_is(a.message.text, "missing");
        cursor = a.message.cursor;
        s = found ? take_job(&a.message, out) : ST_OK;
        link_frame_free(&a.frame);
        if (found)
            return s;
    } while (cursor > 0);
    return diag_set(why, ST_MISSING, "no such job");
}

/* ---- what failed for good, what is to be forgotten ----------------------------------------------------------------
 */

enum status client_requeue(struct client *c, const char *campaign, uint64_t *n, struct diag *why)
{
    uint64_t cursor = 0;
    *n = 0;
    do {
        struct message m = {.kind = MESSAGE_REQUEUE, .campaign = text_view(campaign), .cursor = cursor};
        struct client_answer a;
        enum status s = client_ask(c, &m, MESSAGE_REQUEUED, &a, why);
        if (s != ST_OK)
            return s;
        *n += a.message.n;
        cursor = a.message.cursor;
        link_frame_free(&a.frame);
    } while (cursor > 0);
    return ST_OK;
}

enum status client_dead(struct client *c, const char *campaign, client_result_fn fn, void *ctx, struct diag *why)
{
    enum status s = ST_OK;
    uint64_t cursor = 0;
    do {
        struct message m = {.kind = MESSAGE_DEAD, .campaign = text_view(campaign), .cursor = cursor};
        struct client_answer a;
        s = client_ask(c, &m, MESSAGE_RECORDS, &a, why);
        if (s != ST_OK)
            return s;
        struct wire_reader r;
        for (size_t n = message_rows_open(&a.message, &r); n > 0 && s == ST_OK; n--) {
            struct message_row row = message_row_next(&r);
            if (!fn(ctx, row.id, (const char *)row.body.bytes, row.body.len))
                s = ST_CANCELLED;
        }
        cursor = a.message.cursor;
        link_frame_free(&a.frame);
    } while (s == ST_OK && cursor > 0);
    return s;
}

enum status client_forget(struct client *c, const char *what, uint64_t *n, struct diag *why)
{
    enum status s = ST_OK;
    char place[LIMIT_NAME_BYTES + 1] = "";
    *n = 0;
    do {
        struct message m = {.kind = MESSAGE_FORGET, .name = text_view(what), .place = text_view(place)};
        struct client_answer a;
        s = client_ask(c, &m, MESSAGE_FORGOTTEN, &a, why);
        if (s != ST_OK)
            return s;
        *n += a.message.n;
        copy_text(a.message.place, place, LIMIT_NAME_BYTES);
        link_frame_free(&a.frame);
    } while (place[0]);
    return s;
}
