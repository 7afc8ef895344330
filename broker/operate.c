/* What operators ask: lists, tenants, single jobs, what failed for good, what is to be forgotten. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "broker/dispatch_impl.h"

static void arg_view(struct store_args *args, struct wire_view v)
{
    store_arg(args, v.bytes, v.len);
}

/* A number, or '' where it is absent. */
static void arg_optional(struct store_args *args, bool is_there, uint64_t value)
{
    if (is_there)
        store_arg_u64(args, value);
    else
        store_arg_str(args, "");
}

static bool build_list(const struct message *m, enum script *script, struct store_args *args)
{
    static const struct {
        const char *name;
        enum script script;
    } lists[] = {{"events", SCRIPT_EVENTS}, {"forgotten", SCRIPT_FORGOTTEN}, {"queue", SCRIPT_QUEUE}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (wire_view_is(m->name, lists[i].name)) {
            *script = lists[i].script;
            store_arg_u64(args, m->cursor);
            return true;
        }
    return false;
}

/* How a text stands in an encoded job and in a record. */
static bool arg_needles(struct store_args *args, const char *member, struct wire_view text, bool in_body)
{
    struct wire_writer w;
    wire_writer_init(&w, LIMIT_URI_BYTES + LIMIT_NAME_BYTES);
    wire_put_str_n(&w, (const char *)text.bytes, text.len);
    store_arg(args, w.bytes, in_body && w.state == ST_OK ? w.len : 0);
    struct json *value = jsn_new_string_n((const char *)text.bytes, text.len);
    char *quoted = value ? jsn_text(value) : NULL, *needle = NULL;
    bool ok = quoted && w.state == ST_OK && asprintf(&needle, "\"%s\":%s", member, quoted) >= 0;
    if (ok)
        store_arg_str(args, needle);
    free(ok ? needle : NULL);
    free(quoted);
    jsn_free(value);
    wire_writer_fini(&w);
    return ok;
}

/* "uri URI" or "sha256 HEX". */
static bool build_forget(const struct message *m, struct store_args *args)
{
    enum { STEP_ROWS = 64 }; /* records may be large */
    static const char *const kinds[] = {"uri", "sha256"};
    const uint8_t *space = memchr(m->name.bytes, ' ', m->name.len);
    for (size_t i = 0; space && i < 2; i++) {
        struct wire_view kind = {m->name.bytes, (size_t)(space - m->name.bytes)};
        struct wire_view text = {space + 1, m->name.len - kind.len - 1};
        if (!wire_view_is(kind, kinds[i]) || text.len == 0)
            continue;
        arg_view(args, m->name);
        if (!arg_needles(args, kinds[i], text, i == 0))
            return false;
        arg_view(args, m->place);
        store_arg_u64(args, STEP_ROWS);
        return true;
    }
    return false;
}

bool operate_build(const struct allowed *who, const struct message *m, enum script *script, struct store_args *args)
{
    enum { STEP_JOBS = 256, STEP_RECORDS = 128 };
    static const char *const actions[JOB_ACTION_COUNT_] = {"show", "cancel", "retry"};
    switch (m->kind) {
    case MESSAGE_LIST:
        if (!build_list(m, script, args))
            return false;
        access_arg_tenants(who, args);
        return true;
    case MESSAGE_TENANT:
        *script = SCRIPT_TENANT;
        arg_view(args, m->tenant);
        arg_optional(args, m->weight > 0, m->weight);
        arg_optional(args, m->quota > 0, m->quota - 1);
        return m->tenant.len > 0;
    case MESSAGE_DRAIN:
        *script = SCRIPT_DRAIN;
        arg_view(args, m->session);
        store_arg_u64(args, m->on);
        return true;
    case MESSAGE_JOB:
        *script = SCRIPT_JOB;
        arg_view(args, m->ids);
        store_arg_str(args, actions[m->action]);
        store_arg_u64(args, m->cursor);
        access_arg_tenants(who, args);
        return m->ids.len == ID_BYTES;
    case MESSAGE_REQUEUE:
    case MESSAGE_DEAD:
        *script = m->kind == MESSAGE_DEAD ? SCRIPT_DEAD : SCRIPT_REQUEUE;
        arg_view(args, m->campaign);
        store_arg_u64(args, m->cursor);
        store_arg_u64(args, m->kind == MESSAGE_DEAD ? STEP_RECORDS : STEP_JOBS);
        store_arg_u64(args, ANSWER_BYTES);
        access_arg_tenants(who, args);
        return true;
    case MESSAGE_FORGET: *script = SCRIPT_FORGET; return build_forget(m, args);
    default: return false;
    }
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static struct wire_view bytes_at(const struct reply *r, size_t i)
{
    size_t len;
    const char *bytes = reply_bytes(r, i, &len);
    return (struct wire_view){(const uint8_t *)bytes, len};
}

/* Texts from element `at` on; "ms|text" gives its number. */
static void answer_texts(struct dispatch *d, const struct pending *p, const struct reply *r)
{
    struct message m = {.kind = MESSAGE_LISTED, .request = p->request, .cursor = (uint64_t)reply_number(r, 0)};
    struct wire_writer w;
    m.more = (uint64_t)reply_number(r, 1);
    wire_writer_init(&w, LIMIT_FRAME_BYTES);
    wire_put_array(&w, r->n - 2);
    for (size_t i = 2; i < r->n; i++) {
        struct wire_view text = bytes_at(r, i);
        const uint8_t *bar = p->script == SCRIPT_EVENTS ? memchr(text.bytes, '|', text.len) : NULL;
        size_t skip = bar ? (size_t)(bar - text.bytes) + 1 : 0;
        uint64_t value = bar ? (uint64_t)reply_number(r, i) : 0;
        message_number_put(&w, (const char *)text.bytes + skip, text.len - skip, value);
    }
    requests_send_rows(d, p, &m, &w);
    wire_writer_fini(&w);
}

static void answer_numbers(struct dispatch *d, const struct pending *p, const struct reply *r)
{
    struct message m = {.kind = MESSAGE_LISTED, .request = p->request};
    struct wire_writer w;
    wire_writer_init(&w, LIMIT_FRAME_BYTES);
    wire_put_array(&w, r->n / 2);
    for (size_t i = 0; i + 1 < r->n; i += 2) {
        struct wire_view name = bytes_at(r, i);
        message_number_put(&w, (const char *)name.bytes, name.len, (uint64_t)reply_number(r, i + 1));
    }
    requests_send_rows(d, p, &m, &w);
    wire_writer_fini(&w);
}

static void put_named(struct wire_writer *w, const struct reply *r, size_t at, const char *const *names, size_t n)
{
    wire_writer_init(w, LIMIT_FRAME_BYTES);
    wire_put_array(w, n);
    for (size_t i = 0; i < n; i++)
        message_number_put(w, names[i], strlen(names[i]), (uint64_t)reply_number(r, at + i));
}

static void answer_tenant(struct dispatch *d, const struct pending *p, const struct reply *r)
{
    static const char *const names[] = {"weight", "quota", "unfinished"};
    struct message m = {.kind = MESSAGE_LISTED, .request = p->request};
    struct wire_writer w;
    put_named(&w, r, 0, names, sizeof names / sizeof *names);
    requests_send_rows(d, p, &m, &w);
    wire_writer_fini(&w);
}

static void answer_job(struct dispatch *d, const struct pending *p, const struct reply *r)
{
    enum { CAMPAIGN_AT = 1, SESSION_AT, BODY_AT, RECORD_AT, NUMBERS_AT };
    static const char *const names[] = {"priority", "retries", "deadline", "failures",
                                        "crashes",  "returns", "due",      "halted"};
    bool missing = reply_is(r, 0, "missing");
    struct message m = {.kind = MESSAGE_JOB_IS, .request = p->request, .text = bytes_at(r, 0)};
    struct wire_writer w;
    if (missing) {
        m.cursor = (uint64_t)reply_number(r, 1);
    } else {
        m.campaign = bytes_at(r, CAMPAIGN_AT);
        if (p->sees_sessions)
            m.session = bytes_at(r, SESSION_AT);
        m.body = bytes_at(r, BODY_AT);
        m.record = bytes_at(r, RECORD_AT);
    }
    put_named(&w, r, NUMBERS_AT, names, missing ? 0 : sizeof names / sizeof *names);
    requests_send_rows(d, p, &m, &w);
    wire_writer_fini(&w);
}

static void answer_counted(struct dispatch *d, const struct pending *p, const struct reply *r)
{
    struct message m = {.kind = MESSAGE_REQUEUED, .request = p->request, .n = (uint64_t)reply_number(r, 1)};
    if (p->script == SCRIPT_FORGET) {
        m.kind = MESSAGE_FORGOTTEN;
        m.place = bytes_at(r, 0);
    } else if (reply_is(r, 0, "cancelled")) {
        dispatch_error(d, SIDE_CLIENT, &p->peer, &m, CODE_REFUSED, "the campaign is cancelled, which is final");
        return;
    } else {
        m.cursor = (uint64_t)reply_number(r, 0);
        sessions_wake(d);
    }
    dispatch_send(d, SIDE_CLIENT, &p->peer, &m);
}

static void answer_drain(struct dispatch *d, const struct pending *p, const struct reply *r)
{
    static const struct reply none = {.kind = REPLY_ARRAY};
    struct message m = {.request = p->request};
    if (r->kind == REPLY_INT && r->integer == 1)
        answer_numbers(d, p, &none);
    else
        dispatch_error(d, SIDE_CLIENT, &p->peer, &m, CODE_MISSING, "no such session");
}

void operate_on_reply(struct dispatch *d, const struct pending *p, const struct reply *r)
{
    switch (p->script) {
    case SCRIPT_EVENTS:
    case SCRIPT_FORGOTTEN: answer_texts(d, p, r); break;
    case SCRIPT_QUEUE: answer_numbers(d, p, r); break;
    case SCRIPT_TENANT: answer_tenant(d, p, r); break;
    case SCRIPT_DRAIN: answer_drain(d, p, r); break;
    case SCRIPT_JOB: answer_job(d, p, r); break;
    case SCRIPT_REQUEUE:
    case SCRIPT_FORGET: answer_counted(d, p, r); break;
    case SCRIPT_DEAD: requests_answer_records(d, p, r); break;
    default: break;
    }
}
