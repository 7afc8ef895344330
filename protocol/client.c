#include "protocol/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "protocol/client_impl.h"

enum { DEFAULT_TIMEOUT_MS = 10000, ASK_AGAIN_MS = 1000 };

/* ---- opening --------------------------------------------------------------------------------------------------------
 */

enum status client_open(const struct client_options *o, struct client **out, struct diag *why)
{
    enum { LINGER_MS = 100 };
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        return ST_NOMEM;
    c->timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : DEFAULT_TIMEOUT_MS;
    c->address = strdup(o->address);
    struct link_options l = {
        .kind = LINK_DEALER, .address = o->address, .keys = o->keys, .insecure = o->insecure, .linger_ms = LINGER_MS};
    enum status s = c->address ? link_context_new(&c->context) : ST_NOMEM;
    if (s == ST_OK)
        s = link_open(c->context, &l, &c->link, why);
    struct client_answer a;
    struct message ping = {.kind = MESSAGE_PING};
    if (s == ST_OK)
        s = client_ask(c, &ping, MESSAGE_PONG, &a, why);
    if (s != ST_OK) {
        client_close(c);
        return s;
    }
    c->shards = a.message.shards > 0 ? (int)a.message.shards : 1;
    link_frame_free(&a.frame);
    if (c->shards > LIMIT_SHARDS) {
        s = diag_set(why, ST_UNSUPPORTED, "the queue at %s has %d shards; this program knows of at most %d", c->address,
                     c->shards, LIMIT_SHARDS);
        client_close(c);
        return s;
    }
    *out = c;
    return ST_OK;
}

int client_shards(const struct client *c)
{
    return c->shards;
}

void client_close(struct client *c)
{
    if (!c)
        return;
    client_submit_fini(c);
    link_close(c->link);
    link_context_free(c->context);
    free(c->address);
    free(c);
}

/* ---- one question, one answer
 * ---------------------------------------------------------------------------------------- */

enum status client_post(struct client *c, const struct message *m)
{
    uint8_t *bytes;
    size_t len;
    enum status s = message_encode(m, &bytes, &len);
    if (s != ST_OK)
        return s;
    s = link_send(c->link, NULL, bytes, len);
    c->is_connected = s == ST_OK;
    return s == ST_CLOSED ? ST_BUSY : s;
}

bool client_move_on(struct client *c, int64_t now_ms)
{
    enum { SILENT_MS = 1500, NOT_THERE_MS = 300 };
    if (now_ms - c->well_at < (c->is_connected ? SILENT_MS : NOT_THERE_MS))
        return false;
    c->well_at = now_ms;
    return link_move(c->link);
}

static bool is_store_trouble(const struct message *m)
{
    return (m->kind == MESSAGE_ERROR && wire_view_is(m->code, message_code_name(CODE_STORE))) ||
           (m->kind == MESSAGE_BUSY && m->unfinished == 0);
}

enum status client_receive(struct client *c, int wait_ms, struct client_answer *out, struct diag *why)
{
    enum status s = link_receive(c->link, &out->frame);
    if (s == ST_BUSY && wait_ms > 0) {
        struct link_poll item = {.link = c->link, .want_read = true};
        s = link_wait(&item, 1, wait_ms);
        if (s == ST_OK)
            s = link_receive(c->link, &out->frame);
    }
    if (s != ST_OK)
        return s;
    s = message_decode(out->frame.bytes, out->frame.len, &out->message, why);
    if (s != ST_OK) {
        link_frame_free(&out->frame);
        return diag_wrap(why, s, "the broker at %s", c->address);
    }
    c->heard_at = clock_ms();
    if (!is_store_trouble(&out->message))
        c->well_at = c->heard_at;
    return ST_OK;
}

enum status client_error(const struct message *m, struct diag *why)
{
    return diag_set(why, message_code_status(m->code), "the broker says: %.*s", (int)m->text.len,
                    (const char *)m->text.bytes);
}

enum status client_ask(struct client *c, struct message *m, enum message_kind want, struct client_answer *out,
                       struct diag *why)
{
    m->request = ++c->last_request;
    int64_t from = clock_ms(), send_at = from;
    c->heard_at = c->well_at = from;
    struct diag trouble = {.text = ""};
    for (;;) {
        int64_t now = clock_ms();
        enum status link = link_trouble(c->link, why);
        if (link == ST_REFUSED)
            return link;
        if (now - from >= c->timeout_ms && now - c->heard_at >= c->timeout_ms)
            return link != ST_OK ? ST_TIMEOUT
                                 : diag_set(why, ST_TIMEOUT, "no answer from a broker at %s within %d s", c->address,
                                            c->timeout_ms / 1000);
        if (trouble.text[0] && now - from >= c->timeout_ms)
            return diag_set(why, ST_TIMEOUT, "%s", trouble.text);
        if (client_move_on(c, now) || now >= send_at) {
            enum { NOT_CONNECTED_MS = 20 };
            enum status s = client_post(c, m);
            if (s != ST_OK && s != ST_BUSY)
                return s;
            send_at = now + (s == ST_OK ? ASK_AGAIN_MS : NOT_CONNECTED_MS);
        }
        int64_t until = from + c->timeout_ms;
        int64_t wait = send_at < until ? send_at - now : until - now;
        enum status s = client_receive(c, wait > 0 ? (int)wait : 1, out, why);
        if (s == ST_BUSY)
            continue;
        if (s != ST_OK)
            return s;
        if (out->message.request != m->request) {
            client_submit_answer(c, &out->message); /* a SUBMIT's answer, or a second one to an old question */
        } else if (is_store_trouble(&out->message)) {
            client_error(&out->message, &trouble);
            send_at = clock_ms() + (int64_t)out->message.retry_ms;
        } else if (out->message.kind == MESSAGE_ERROR) {
            s = client_error(&out->message, why);
            link_frame_free(&out->frame);
            return m->campaign.len == 0
                       ? s
                       : diag_wrap(why, s, "campaign \"%.*s\"", (int)m->campaign.len, (const char *)m->campaign.bytes);
        } else if (out->message.kind == want) {
            return ST_OK;
        } else {
            s = diag_set(why, ST_FORMAT, "the broker at %s answered with %s", c->address,
                         message_kind_name(out->message.kind));
            link_frame_free(&out->frame);
            return s;
        }
        link_frame_free(&out->frame);
    }
}

/* ---- campaigns and workers
 * ------------------------------------------------------------------------------------------- */

static struct wire_view text_view(const char *s)
{
    return (struct wire_view){.bytes = (const uint8_t *)(s ? s : ""), .len = s ? strlen(s) : 0};
}

static enum status ask_campaign(struct client *c, struct message *m, struct campaign_status *out, struct diag *why)
{
    struct client_answer a;
    enum status s = client_ask(c, m, MESSAGE_CAMPAIGNS, &a, why);
    if (s != ST_OK)
        return s;
    struct wire_reader r;
    if (message_rows_open(&a.message, &r) != 1)
        s = diag_set(why, ST_FORMAT, "the broker at %s answered for no campaign", c->address);
    else if (out)
        *out = message_campaign_next(&r);
    link_frame_free(&a.frame);
    return s;
}

enum status client_campaign(struct client *c, const struct campaign_spec *spec, struct campaign_status *out,
                            struct diag *why)
{
    struct message m = {.kind = MESSAGE_CAMPAIGN,
                        .campaign = text_view(spec->name),
                        .tenant = text_view(spec->tenant ? spec->tenant : "default"),
                        .class_name = text_view(spec->class_name),
                        .pin = text_view(spec->pin),
                        .labels = text_view(spec->labels),
                        .fail_stop = (uint64_t)(spec->fail_stop * 1000 + 0.5)};
    return ask_campaign(c, &m, out, why);
}

enum status client_campaign_set(struct client *c, const char *campaign, enum campaign_state state,
                                struct campaign_status *out, struct diag *why)
{
    struct message m = {.kind = MESSAGE_CAMPAIGN_SET, .campaign = text_view(campaign), .state = state};
    return ask_campaign(c, &m, out, why);
}

enum status client_status(struct client *c, const char *campaign, struct campaign_status *out, struct diag *why)
{
    struct message m = {.kind = MESSAGE_STATUS, .campaign = text_view(campaign)};
    return ask_campaign(c, &m, out, why);
}

enum status client_campaigns(struct client *c, struct campaign_status **out, size_t *n, struct diag *why)
{
    struct campaign_status *all = NULL;
    size_t have = 0;
    uint64_t cursor = 1;
    while (cursor) {
        struct message m = {.kind = MESSAGE_STATUS, .cursor = cursor};
        struct client_answer a;
        enum status s = client_ask(c, &m, MESSAGE_CAMPAIGNS, &a, why);
        struct wire_reader r;
        size_t more = s == ST_OK ? message_rows_open(&a.message, &r) : 0;
        struct campaign_status *grown = more ? realloc(all, (have + more) * sizeof *all) : all;
        if (s == ST_OK && more && !grown) {
            link_frame_free(&a.frame);
            s = ST_NOMEM;
        }
        if (s != ST_OK) {
            free(all);
            return s;
        }
        all = grown;
        while (more-- > 0)
            all[have++] = message_campaign_next(&r);
        cursor = a.message.cursor > cursor ? a.message.cursor : 0;
        link_frame_free(&a.frame);
    }
    *out = all;
    *n = have;
    return ST_OK;
}

enum status client_workers(struct client *c, struct worker_status **out, size_t *n, struct diag *why)
{
    struct message m = {.kind = MESSAGE_WORKERS};
    struct client_answer a;
    enum status s = client_ask(c, &m, MESSAGE_SESSIONS, &a, why);
    if (s != ST_OK)
        return s;
    struct wire_reader r;
    size_t have = message_rows_open(&a.message, &r);
    struct worker_status *all = have ? malloc(have * sizeof *all) : NULL;
    if (have && !all)
        s = ST_NOMEM;
    for (size_t i = 0; s == ST_OK && i < have; i++)
        all[i] = message_worker_next(&r);
    link_frame_free(&a.frame);
    if (s != ST_OK)
        return s;
    *out = all;
    *n = have;
    return ST_OK;
}

/* ---- results
 * --------------------------------------------------------------------------------------------------------- */

/* The shard as messages name it; left out where there is only one. */
static uint64_t shard_number(const struct client *c, int shard)
{
    return c->shards > 1 ? (uint64_t)shard + 1 : 0;
}

static enum status read_shard(struct client *c, const char *campaign, int shard, uint64_t *cursor, client_result_fn fn,
                              void *ctx, bool *more, struct diag *why)
{
    struct message m = {.kind = MESSAGE_RESULTS,
                        .campaign = text_view(campaign),
                        .cursor = *cursor,
                        .max = LIMIT_JOBS_PER_MESSAGE,
                        .shard = shard_number(c, shard)};
    struct client_answer a;
    enum status s = client_ask(c, &m, MESSAGE_RECORDS, &a, why);
    if (s != ST_OK)
        return s;
    struct wire_reader r;
    size_t n = message_rows_open(&a.message, &r);
    uint64_t at = a.message.cursor - n;
    for (size_t i = 0; i < n && s == ST_OK; i++) {
        struct message_row row = message_row_next(&r);
        if (!fn(ctx, row.id, (const char *)row.body.bytes, row.body.len))
            s = ST_CANCELLED;
        at = row.n[0] ? row.n[0] : at + 1;
        *cursor = at;
    }
    if (s == ST_OK) {
        *cursor = a.message.cursor;
        *more = *more || a.message.more != 0;
    }
    link_frame_free(&a.frame);
    return s;
}

static enum status check_cursor(const struct client *c, const struct result_cursor *cursor, struct diag *why)
{
    return cursor->shards == 0 || cursor->shards == c->shards
               ? ST_OK
               : diag_set(why, ST_REFUSED, "the records were read from a queue of %d shards; this one has %d",
                          cursor->shards, c->shards);
}

enum status client_results(struct client *c, const char *campaign, struct result_cursor *cursor, client_result_fn fn,
                           void *ctx, bool *more, struct diag *why)
{
    enum status s = check_cursor(c, cursor, why);
    cursor->shards = s == ST_OK ? c->shards : cursor->shards;
    *more = false;
    for (int i = 0; s == ST_OK && i < c->shards; i++) {
        int shard = cursor->next;
        cursor->next = (shard + 1) % c->shards; /* also where this one fails: the others are read by the next call */
        s = read_shard(c, campaign, shard, &cursor->at[shard], fn, ctx, more, why);
    }
    return s;
}

enum status client_trim(struct client *c, const char *campaign, const struct result_cursor *cursor, struct diag *why)
{
    enum status s = check_cursor(c, cursor, why);
    for (int i = 0; i < c->shards; i++)
        for (bool more = true; s == ST_OK && more;) {
            struct message m = {.kind = MESSAGE_TRIM,
                                .campaign = text_view(campaign),
                                .cursor = cursor->at[i],
                                .shard = shard_number(c, i)};
            struct client_answer a;
            s = client_ask(c, &m, MESSAGE_TRIMMED, &a, why);
            if (s != ST_OK)
                break;
            more = a.message.more != 0;
            link_frame_free(&a.frame);
        }
    return s;
}
