/* What operators ask: lists, tenants, single jobs, what failed for good, what is to be forgotten. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/sha256.h"
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

/* The script behind a list's name. */
static bool find_list(struct wire_view name, enum script *script)
{
    static const struct {
        const char *name;
        enum script script;
    } lists[] = {{"events", SCRIPT_EVENTS}, {"forgotten", SCRIPT_FORGOTTEN}, {"queue", SCRIPT_QUEUE}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (wire_view_is(name, lists[i].name)) {
            *script = lists[i].script;
            return true;
        }
    return false;
}

void operate_arg_member(struct store_args *args, const char *name, struct wire_view text)
{
    struct json *value = jsn_new_string_n((const char *)text.bytes, text.len);
    char *quoted = value ? jsn_text(value) : NULL, *member = NULL;
    if (quoted && asprintf(&member, "\"%s\":%s", name, quoted) >= 0) {
        store_arg_str(args, member);
        free(member);
    } else {
        args->failed = true;
    }
    free(quoted);
    jsn_free(value);
}

/* How a text stands in an encoded job, or nothing. */
static void arg_in_body(struct store_args *args, struct wire_view text, bool is_there)
{
    struct wire_writer w;
    wire_writer_init(&w, LIMIT_URI_BYTES + LIMIT_NAME_BYTES);
    wire_put_str_n(&w, (const char *)text.bytes, text.len);
    store_arg(args, w.bytes, is_there ? w.len : 0);
    args->failed = args->failed || w.state != ST_OK;
    wire_writer_fini(&w);
}

/* What a tombstone names: "uri URI" or "sha256 HEX". */
struct tombstone {
    const char *kind;
    struct wire_view text;
    bool in_body; /* jobs name it too */
};

static bool is_hash(struct wire_view v)
{
    for (size_t i = 0; i < v.len; i++)
        if (!((v.bytes[i] >= '0' && v.bytes[i] <= '9') || (v.bytes[i] >= 'a' && v.bytes[i] <= 'f')))
            return false;
    return v.len == SHA256_HEX - 1;
}

static bool read_tombstone(struct wire_view name, struct tombstone *out)
{
    const uint8_t *space = name.len ? memchr(name.bytes, ' ', name.len) : NULL;
    if (!space)
        return false;
    struct wire_view kind = {name.bytes, (size_t)(space - name.bytes)};
    struct wire_view text = {space + 1, name.len - kind.len - 1};
    bool uri = wire_view_is(kind, "uri");
    if (text.len == 0 || !(uri || (wire_view_is(kind, "sha256") && is_hash(text))))
        return false;
    *out = (struct tombstone){.kind = uri ? "uri" : "sha256", .text = text, .in_body = uri};
    return true;
}

static void build_forget(const struct message *m, struct store_args *args)
{
    enum { STEP_ROWS = 64 }; /* records may be large */
    struct tombstone t = {.kind = ""};
    args->failed = args->failed || !read_tombstone(m->name, &t); /* operate_wrong_value saw to it */
    arg_view(args, m->name);
    arg_in_body(args, t.text, t.in_body);
    operate_arg_member(args, t.kind, t.text);
    arg_view(args, m->place);
    store_arg_u64(args, STEP_ROWS);
}

/* As FORGOTTEN gives it: a shard, where there are several, and the script's own "WORD NUMBER NUMBER", or nothing. */
static bool is_place(struct wire_view v)
{
    static const char *const words[] = {"twins", "jobs", "records", "dead"};
    char text[LIMIT_NAME_BYTES + 1], word[8];
    int n = 0;
    snprintf(text, sizeof text, "%.*s", (int)v.len, v.len ? (const char *)v.bytes : "");
    size_t digits = strspn(text, "0123456789");
    const char *rest = digits > 0 && text[digits] == ' ' ? text + digits + 1 : text;
    if (!*rest)
        return true;
    if (sscanf(rest, "%7[a-z] %*[0-9] %*[0-9]%n", word, &n) != 1 || n == 0 || rest[n])
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

const char *operate_wrong_value(const struct message *m, const char **want)
{
    enum script script;
    struct tombstone t;
    if (m->kind == MESSAGE_LIST && !find_list(m->name, &script)) {
        *want = "events, forgotten or queue";
        return "name";
    }
    if (m->kind == MESSAGE_JOB && m->ids.len != ID_BYTES) {
        *want = "one id of 16 bytes";
        return "ids";
    }
    if (m->kind == MESSAGE_FORGET && !read_tombstone(m->name, &t)) {
        *want = "\"uri URI\" or \"sha256 HEX\" with 64 small digits";
        return "name";
    }
    if (m->kind == MESSAGE_FORGET && !is_place(m->place)) {
        *want = "nothing, or what FORGOTTEN said";
        return "place";
    }
    return NULL;
}

bool operate_build(const struct allowed *who, const struct message *m, enum script *script, struct store_args *args)
{
    enum { STEP_JOBS = 256, STEP_RECORDS = 128 };
    static const char *const actions[JOB_ACTION_COUNT_] = {"show", "cancel", "retry"};
    switch (m->kind) {
    case MESSAGE_LIST:
        if (!find_list(m->name, script))
            return false;
        store_arg_u64(args, m->cursor);
        access_arg_tenants(who, args);
        return true;
    case MESSAGE_TENANT:
        *script = SCRIPT_TENANT;
        arg_view(args, m->tenant);
        arg_optional(args, m->weight > 0, m->weight);
        arg_optional(args, m->quota > 0, m->quota - 1);
        return true;
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
        return true;
    case MESSAGE_REQUEUE:
    case MESSAGE_DEAD:
        *script = m->kind == MESSAGE_DEAD ? SCRIPT_DEAD : SCRIPT_REQUEUE;
        arg_view(args, m->campaign);
        store_arg_u64(args, m->cursor);
        store_arg_u64(args, m->kind == MESSAGE_DEAD ? STEP_RECORDS : STEP_JOBS);
        store_arg_u64(args, ANSWER_BYTES);
        access_arg_tenants(who, args);
        return true;
    case MESSAGE_FORGET:
        *script = SCRIPT_FORGET;
        build_forget(m, args);
        return true;
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
