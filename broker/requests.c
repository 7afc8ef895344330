/* What clients ask beside SUBMIT: campaigns, workers, results. */
#include <stdio.h>
#include <string.h>

#include "broker/dispatch_impl.h"
#include "broker/rows.h"

static void arg_view(struct store_args *args, struct wire_view v)
{
    store_arg(args, v.bytes, v.len);
}

static bool is_text(struct wire_view v)
{
    for (size_t i = 0; i < v.len; i++)
        if (v.bytes[i] < ' ' || v.bytes[i] == 0x7f)
            return false;
    return true;
}

static bool is_name(struct wire_view v)
{
    return v.len > 0 && is_text(v);
}

static bool is_class(struct wire_view v)
{
    for (size_t i = 0; i < v.len; i++)
        if (v.bytes[i] == '|' || v.bytes[i] == ':' || v.bytes[i] <= ' ')
            return false;
    return true;
}

enum { WRONG_BYTES = 160 };

/* Whether a value is not what its field takes, beyond what the decoder has seen to; then `text` names it. */
static bool has_wrong_value(const struct message *m, char text[WRONG_BYTES])
{
    static const char a_name[] = "a name, not empty and without control characters";
    const char *field = NULL, *want = NULL;
    switch (m->kind) {
    case MESSAGE_CAMPAIGN:
        if (!is_name(m->campaign))
            field = "campaign", want = a_name;
        else if (!is_name(m->tenant))
            field = "tenant", want = a_name;
        else if (!is_class(m->class_name))
            field = "class", want = "a word without space, | or :";
        else if (!is_text(m->labels))
            field = "labels", want = "text without control characters";
        break;
    case MESSAGE_CAMPAIGN_SET:
    case MESSAGE_RESULTS:
    case MESSAGE_TRIM:
    case MESSAGE_REQUEUE:
    case MESSAGE_DEAD:
        if (!is_name(m->campaign))
            field = "campaign", want = a_name;
        break;
    case MESSAGE_STATUS:
        if (!is_text(m->campaign))
            field = "campaign", want = "a name without control characters";
        break;
    case MESSAGE_TENANT:
        if (!is_name(m->tenant))
            field = "tenant", want = a_name;
        break;
    default: field = operate_wrong_value(m, &want); break;
    }
    if (field)
        snprintf(text, WRONG_BYTES, "%s: field \"%s\": expected %s", message_kind_name(m->kind), field, want);
    return field != NULL;
}

static bool build(const struct dispatch *d, const struct allowed *who, const struct message *m, enum script *script,
                  struct store_args *args)
{
    enum { TRIM_MOST = 512 };
    switch (m->kind) {
    case MESSAGE_CAMPAIGN:
        *script = SCRIPT_CAMPAIGN;
        arg_view(args, m->campaign);
        arg_view(args, m->tenant);
        arg_view(args, m->class_name);
        arg_view(args, m->pin);
        arg_view(args, m->labels);
        if (m->fail_stop)
            store_arg_u64(args, m->fail_stop);
        else
            store_arg_str(args, "");
        return true;
    case MESSAGE_CAMPAIGN_SET:
        *script = SCRIPT_CAMPAIGN_SET;
        arg_view(args, m->campaign);
        store_arg_str(args, campaign_state_name((enum campaign_state)m->state));
        access_arg_tenants(who, args);
        if (m->state == CAMPAIGN_PURGED)
            operate_arg_member(args, "campaign", m->campaign);
        return true;
    case MESSAGE_STATUS:
        *script = SCRIPT_STATUS;
        arg_view(args, m->campaign);
        store_arg_u64(args, m->cursor);
        dispatch_arg_pressure(d, 0, args);
        access_arg_tenants(who, args);
        return true;
    case MESSAGE_WORKERS: *script = SCRIPT_WORKERS; return true;
    case MESSAGE_RESULTS:
        *script = SCRIPT_RESULTS;
        arg_view(args, m->campaign);
        store_arg_u64(args, m->cursor);
        store_arg_u64(args, m->max ? m->max : 1);
        store_arg_u64(args, ANSWER_BYTES);
        access_arg_tenants(who, args);
        args->shard = dispatch_shard_of(d, m);
        return true;
    case MESSAGE_TRIM:
        *script = SCRIPT_TRIM;
        arg_view(args, m->campaign);
        store_arg_u64(args, m->cursor);
        store_arg_u64(args, TRIM_MOST);
        access_arg_tenants(who, args);
        args->shard = dispatch_shard_of(d, m);
        return true;
    case MESSAGE_LIST: args->shard = wire_view_is(m->name, "events") ? dispatch_shard_of(d, m) : 0; /* fall through */
    default: return operate_build(who, m, script, args);
    }
}

void requests_on_message(struct dispatch *d, const struct link_peer *peer, const struct allowed *who,
                         const struct message *m)
{
    char wrong[WRONG_BYTES];
    if (has_wrong_value(m, wrong)) {
        dispatch_error(d, SIDE_CLIENT, peer, m, CODE_FORMAT, wrong);
        return;
    }
    enum script script = SCRIPT_STATUS;
    struct store_args args = {0};
    if (!build(d, who, m, &script, &args)) {
        store_args_fini(&args);
        snprintf(wrong, sizeof wrong, "%s: not a message for a broker", message_kind_name(m->kind));
        dispatch_error(d, SIDE_CLIENT, peer, m, CODE_FORMAT, wrong);
        return;
    }
    if (args.shard < 0) {
        store_args_fini(&args);
        dispatch_error(d, SIDE_CLIENT, peer, m, CODE_REFUSED,
                       "the queue has several shards, and none of them was named: this client does not know of them");
        return;
    }
    struct pending *p = dispatch_question(d, SIDE_CLIENT, peer, m, script, &args);
    if (!p)
        return;
    p->sees_sessions = access_sees_sessions(who);
    p->sees_tenants = who->tenants[0] == '\0';
    p->n = m->campaign.len; /* STATUS: one or all */
}

/* ---- answers -------------------------------------------------------------------------------------------------------
 */

static void put_campaign(struct wire_writer *w, const struct reply *row)
{
    struct campaign_status c;
    row_campaign(row, &c);
    message_campaign_put(w, &c);
}

static void put_worker(struct wire_writer *w, const struct reply *r, size_t at, bool named)
{
    struct worker_status s;
    row_worker(r, at, &s);
    if (!named)
        s.session[0] = '\0';
    message_worker_put(w, &s);
}

void requests_send_rows(struct dispatch *d, const struct pending *p, struct message *m, struct wire_writer *w)
{
    if (w->state == ST_OK) {
        m->rows = (struct wire_view){.bytes = w->bytes, .len = w->len};
        dispatch_send(d, SIDE_CLIENT, &p->peer, m);
    } else {
        dispatch_error(d, SIDE_CLIENT, &p->peer, m, CODE_STORE, "memory is short");
    }
}

static void answer_campaigns(struct dispatch *d, const struct pending *p, const struct reply *r)
{
    struct message m = {.kind = MESSAGE_CAMPAIGNS, .request = p->request, .cursor = (uint64_t)reply_number(r, 0)};
    struct wire_writer w;
    wire_writer_init(&w, LIMIT_FRAME_BYTES);
    wire_put_array(&w, r->n - 1);
    for (size_t i = 1; i < r->n; i++)
        put_campaign(&w, &r->items[i]);
    requests_send_rows(d, p, &m, &w);
    wire_writer_fini(&w);
}

static void answer_made(struct dispatch *d, const struct pending *p, const struct reply *r)
{
    struct message m = {.request = p->request};
    char text[DIAG_BYTES], field[LIMIT_NAME_BYTES + 1], found[LIMIT_NAME_BYTES + 1];
    if (reply_is(r, 0, "ok")) {
        answer_campaigns(d, p, r);
    } else if (reply_is(r, 0, "missing")) {
        dispatch_error(d, SIDE_CLIENT, &p->peer, &m, CODE_MISSING, "no such campaign");
    } else if (reply_is(r, 0, "cancelled")) {
        dispatch_error(d, SIDE_CLIENT, &p->peer, &m, CODE_REFUSED, "the campaign is cancelled, which is final");
    } else if (reply_is(r, 0, "noclass")) {
        snprintf(text, sizeof text, "the model was left open and %lld kinds of workers are there, not one",
                 (long long)reply_number(r, 1));
        dispatch_error(d, SIDE_CLIENT, &p->peer, &m, CODE_NO_CLASS, text);
    } else if (!p->sees_tenants && reply_is(r, 1, "tenant")) {
        dispatch_error(d, SIDE_CLIENT, &p->peer, &m, CODE_REFUSED, "the name is taken; choose another one");
    } else {
        row_text(r, 1, field, LIMIT_NAME_BYTES);
        row_text(r, 2, found, LIMIT_NAME_BYTES);
        snprintf(text, sizeof text, "the campaign exists with %s of its own (%s); choose another name", field, found);
        dispatch_error(d, SIDE_CLIENT, &p->peer, &m, CODE_REFUSED, text);
    }
}

static void answer_workers(struct dispatch *d, const struct pending *p, const struct reply *r)
{
    struct message m = {.kind = MESSAGE_SESSIONS, .request = p->request};
    struct wire_writer w;
    wire_writer_init(&w, LIMIT_FRAME_BYTES);
    wire_put_array(&w, r->n / ROW_WORKER_ELEMENTS);
    for (size_t i = 0; i + ROW_WORKER_ELEMENTS <= r->n; i += ROW_WORKER_ELEMENTS)
        put_worker(&w, r, i, p->sees_sessions);
    requests_send_rows(d, p, &m, &w);
    wire_writer_fini(&w);
}

void requests_answer_records(struct dispatch *d, const struct pending *p, const struct reply *r)
{
    struct message m = {.kind = MESSAGE_RECORDS, .request = p->request};
    m.cursor = (uint64_t)reply_number(r, 0);
    m.more = (uint64_t)reply_number(r, 1);
    struct wire_writer w;
    wire_writer_init(&w, LIMIT_FRAME_BYTES);
    wire_put_array(&w, (r->n - 2) / 3);
    for (size_t i = 2; i + 2 < r->n; i += 3) {
        size_t id_len, len;
        const char *id = reply_bytes(r, i, &id_len), *record = reply_bytes(r, i + 1, &len);
        struct message_row row = {
            .id = (const uint8_t *)id, .n = {(uint64_t)reply_number(r, i + 2)}, .body = {(const uint8_t *)record, len}};
        if (id_len == ID_BYTES)
            message_row_put(&w, &row);
    }
    requests_send_rows(d, p, &m, &w);
    wire_writer_fini(&w);
}

void requests_on_reply(struct dispatch *d, const struct pending *p, const struct reply *r)
{
    struct message m = {.request = p->request};
    if (r->kind == REPLY_INT) {
        operate_on_reply(d, p, r);
        return;
    }
    if (r->kind != REPLY_ARRAY || (r->n == 0 && p->script != SCRIPT_WORKERS)) {
        dispatch_error(d, SIDE_CLIENT, &p->peer, &m, CODE_STORE, "Redis gave no answer");
        return;
    }
    bool missing =
        (reply_is(r, 0, "missing") && p->script != SCRIPT_JOB) || (p->script == SCRIPT_STATUS && p->n && r->n == 1);
    if (missing) {
        dispatch_error(d, SIDE_CLIENT, &p->peer, &m, CODE_MISSING, "no such campaign");
        return;
    }
    switch (p->script) {
    case SCRIPT_CAMPAIGN:
    case SCRIPT_CAMPAIGN_SET: answer_made(d, p, r); break;
    case SCRIPT_STATUS: answer_campaigns(d, p, r); break;
    case SCRIPT_WORKERS: answer_workers(d, p, r); break;
    case SCRIPT_RESULTS: requests_answer_records(d, p, r); break;
    case SCRIPT_TRIM:
        m.kind = MESSAGE_TRIMMED;
        m.cursor = (uint64_t)reply_number(r, 0);
        m.more = (uint64_t)reply_number(r, 1);
        dispatch_send(d, SIDE_CLIENT, &p->peer, &m);
        break;
    default: operate_on_reply(d, p, r); break;
    }
}
