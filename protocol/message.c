#include "protocol/message.h"

#include <stdlib.h>
#include <string.h>

/* ---- fields ----------------------------------------------------------------------------------------------------- */

enum field_type { FIELD_STR, FIELD_BIN, FIELD_UINT, FIELD_ROWS };

enum field {
    F_CAMPAIGN,
    F_TENANT,
    F_CLASS,
    F_PIN,
    F_LABEL,
    F_CODE,
    F_TEXT,
    F_ADDRESS,
    F_TASKS,
    F_SESSION,
    F_MANIFEST,
    F_IDS,
    F_STATUSES,
    F_ROWS,
    F_OFFSET,
    F_CURSOR,
    F_STATE,
    F_UNFINISHED,
    F_RETRY_MS,
    F_MAX,
    F_MORE,
    F_SEQ,
    F_WANT,
    F_ROUTE,
    F_SHARDS,
    F_LEASE_MS,
    F_BEAT_MS,
    F_OWNED,
    F_CONTEXT,
    F_BYE,
    F_LABELS,
    F_END,
    F_FAIL_STOP,
    F_WEIGHT,
    F_QUOTA,
    F_ACTION,
    F_ON,
    F_FLAGS,
    F_N,
    F_NAME,
    F_PLACE,
    F_BODY,
    F_RECORD,
    F_SHARD,
    F_AWAY,
    F_DURABILITY,
    F_COUNT_
};

/* step: what a BIN's length must be a multiple of. */
static const struct {
    const char *key;
    enum field_type type;
    size_t offset;
    uint64_t max;
    size_t step;
} fields[F_COUNT_] = {
    [F_CAMPAIGN] = {"campaign", FIELD_STR, offsetof(struct message, campaign), LIMIT_NAME_BYTES, 1},
    [F_TENANT] = {"tenant", FIELD_STR, offsetof(struct message, tenant), LIMIT_NAME_BYTES, 1},
    [F_CLASS] = {"class", FIELD_STR, offsetof(struct message, class_name), CLASS_BYTES, 1},
    [F_PIN] = {"pin", FIELD_STR, offsetof(struct message, pin), LIMIT_NAME_BYTES, 1},
    [F_LABEL] = {"label", FIELD_STR, offsetof(struct message, label), LIMIT_NAME_BYTES, 1},
    [F_CODE] = {"code", FIELD_STR, offsetof(struct message, code), LIMIT_NAME_BYTES, 1},
    [F_TEXT] = {"text", FIELD_STR, offsetof(struct message, text), DIAG_BYTES, 1},
    [F_ADDRESS] = {"redis", FIELD_STR, offsetof(struct message, address), LIMIT_URI_BYTES, 1},
    [F_TASKS] = {"tasks", FIELD_STR, offsetof(struct message, tasks), LIMIT_NAME_BYTES, 1},
    [F_SESSION] = {"session", FIELD_BIN, offsetof(struct message, session), SESSION_BYTES, SESSION_BYTES},
    [F_MANIFEST] = {"manifest", FIELD_BIN, offsetof(struct message, manifest), PLACE_HASH_BYTES, PLACE_HASH_BYTES},
    [F_IDS] = {"ids", FIELD_BIN, offsetof(struct message, ids), LIMIT_HELD_JOBS *ID_BYTES, ID_BYTES},
    [F_STATUSES] = {"statuses", FIELD_BIN, offsetof(struct message, statuses), LIMIT_JOBS_PER_MESSAGE, 1},
    [F_ROWS] = {"rows", FIELD_ROWS, offsetof(struct message, rows), LIMIT_HELD_JOBS, 1},
    [F_OFFSET] = {"offset", FIELD_UINT, offsetof(struct message, offset), INT64_MAX, 1},
    [F_CURSOR] = {"cursor", FIELD_UINT, offsetof(struct message, cursor), INT64_MAX, 1},
    [F_STATE] = {"state", FIELD_UINT, offsetof(struct message, state), CAMPAIGN_STATE_COUNT_ - 1, 1},
    [F_UNFINISHED] = {"unfinished", FIELD_UINT, offsetof(struct message, unfinished), INT64_MAX, 1},
    [F_RETRY_MS] = {"retry_ms", FIELD_UINT, offsetof(struct message, retry_ms), 3600000, 1},
    [F_MAX] = {"max", FIELD_UINT, offsetof(struct message, max), LIMIT_JOBS_PER_MESSAGE, 1},
    [F_MORE] = {"more", FIELD_UINT, offsetof(struct message, more), INT64_MAX, 1},
    [F_SEQ] = {"seq", FIELD_UINT, offsetof(struct message, seq), (uint64_t)1 << 52, 1},
    [F_WANT] = {"want", FIELD_UINT, offsetof(struct message, want), LIMIT_HELD_JOBS, 1},
    [F_ROUTE] = {"route", FIELD_UINT, offsetof(struct message, route), ROUTE_RELAY, 1},
    [F_SHARDS] = {"shards", FIELD_UINT, offsetof(struct message, shards), 1024, 1},
    [F_LEASE_MS] = {"lease_ms", FIELD_UINT, offsetof(struct message, lease_ms), 86400000, 1},
    [F_BEAT_MS] = {"beat_ms", FIELD_UINT, offsetof(struct message, beat_ms), 86400000, 1},
    [F_OWNED] = {"owned", FIELD_UINT, offsetof(struct message, owned), INT64_MAX, 1},
    [F_CONTEXT] = {"context", FIELD_UINT, offsetof(struct message, context), INT32_MAX, 1},
    [F_BYE] = {"bye", FIELD_UINT, offsetof(struct message, bye), 1, 1},
    [F_LABELS] = {"labels", FIELD_STR, offsetof(struct message, labels), LIMIT_NAME_BYTES, 1},
    [F_END] = {"end", FIELD_UINT, offsetof(struct message, end), 1, 1},
    [F_FAIL_STOP] = {"fail_stop", FIELD_UINT, offsetof(struct message, fail_stop), 1000, 1},
    [F_WEIGHT] = {"weight", FIELD_UINT, offsetof(struct message, weight), 1000, 1},
    [F_QUOTA] = {"quota", FIELD_UINT, offsetof(struct message, quota), (uint64_t)1 << 40, 1},
    [F_ACTION] = {"action", FIELD_UINT, offsetof(struct message, action), JOB_ACTION_COUNT_ - 1, 1},
    [F_ON] = {"on", FIELD_UINT, offsetof(struct message, on), 1, 1},
    [F_FLAGS] = {"flags", FIELD_UINT, offsetof(struct message, flags), INT32_MAX, 1},
    [F_N] = {"n", FIELD_UINT, offsetof(struct message, n), INT64_MAX, 1},
    [F_NAME] = {"name", FIELD_STR, offsetof(struct message, name), LIMIT_URI_BYTES, 1},
    [F_PLACE] = {"place", FIELD_STR, offsetof(struct message, place), LIMIT_NAME_BYTES, 1},
    [F_BODY] = {"body", FIELD_BIN, offsetof(struct message, body), LIMIT_JOB_BYTES, 1},
    [F_RECORD] = {"record", FIELD_BIN, offsetof(struct message, record), LIMIT_RESULT_BYTES, 1},
    [F_SHARD] = {"shard", FIELD_UINT, offsetof(struct message, shard), 1024, 1},
    [F_AWAY] = {"away", FIELD_UINT, offsetof(struct message, away), INT64_MAX, 1},
    [F_DURABILITY] = {"durability", FIELD_STR, offsetof(struct message, durability), STOPPED_BYTES, 1},
};

enum rows_kind { ROWS_NONE, ROWS_JOBS, ROWS_CAMPAIGNS, ROWS_WORKERS, ROWS_NUMBERS };

#define BIT(f) ((uint64_t)1 << (f))
/* Which fields a kind may have, and which it must. */
static const struct {
    const char *name;
    uint64_t may, must;
    enum rows_kind rows;
    size_t max_body; /* of a row */
} kinds[MESSAGE_KIND_END_] = {
    [MESSAGE_ERROR] = {"ERROR", BIT(F_RETRY_MS) | BIT(F_SESSION), BIT(F_CODE) | BIT(F_TEXT), ROWS_NONE, 0},
    [MESSAGE_PING] = {"PING", 0, 0, ROWS_NONE, 0},
    [MESSAGE_PONG] = {"PONG", BIT(F_SHARDS), BIT(F_TEXT), ROWS_NONE, 0},
    [MESSAGE_CAMPAIGN] = {"CAMPAIGN", BIT(F_CLASS) | BIT(F_LABELS) | BIT(F_FAIL_STOP),
                          BIT(F_CAMPAIGN) | BIT(F_TENANT) | BIT(F_PIN), ROWS_NONE, 0},
    [MESSAGE_CAMPAIGN_SET] = {"CAMPAIGN_SET", 0, BIT(F_CAMPAIGN) | BIT(F_STATE), ROWS_NONE, 0},
    [MESSAGE_STATUS] = {"STATUS", BIT(F_CAMPAIGN) | BIT(F_CURSOR), 0, ROWS_NONE, 0},
    [MESSAGE_CAMPAIGNS] = {"CAMPAIGNS", BIT(F_CURSOR), BIT(F_ROWS), ROWS_CAMPAIGNS, 0},
    [MESSAGE_SUBMIT] = {"SUBMIT", BIT(F_MANIFEST) | BIT(F_OFFSET) | BIT(F_END), BIT(F_CAMPAIGN) | BIT(F_ROWS),
                        ROWS_JOBS, LIMIT_JOB_BYTES},
    [MESSAGE_ACCEPTED] = {"ACCEPTED", BIT(F_DURABILITY), BIT(F_STATUSES) | BIT(F_UNFINISHED), ROWS_NONE, 0},
    [MESSAGE_BUSY] = {"BUSY", BIT(F_UNFINISHED) | BIT(F_TEXT), BIT(F_RETRY_MS), ROWS_NONE, 0},
    [MESSAGE_RESULTS] = {"RESULTS", BIT(F_SHARD), BIT(F_CAMPAIGN) | BIT(F_CURSOR) | BIT(F_MAX), ROWS_NONE, 0},
    [MESSAGE_RECORDS] = {"RECORDS", BIT(F_MORE), BIT(F_CURSOR) | BIT(F_ROWS), ROWS_JOBS, LIMIT_RESULT_BYTES},
    [MESSAGE_TRIM] = {"TRIM", BIT(F_SHARD), BIT(F_CAMPAIGN) | BIT(F_CURSOR), ROWS_NONE, 0},
    [MESSAGE_TRIMMED] = {"TRIMMED", BIT(F_MORE), BIT(F_CURSOR), ROWS_NONE, 0},
    [MESSAGE_WORKERS] = {"WORKERS", 0, 0, ROWS_NONE, 0},
    [MESSAGE_SESSIONS] = {"SESSIONS", 0, BIT(F_ROWS), ROWS_WORKERS, 0},
    [MESSAGE_LIST] = {"LIST", BIT(F_CURSOR) | BIT(F_SHARD), BIT(F_NAME), ROWS_NONE, 0},
    [MESSAGE_LISTED] = {"LISTED", BIT(F_CURSOR) | BIT(F_MORE), BIT(F_ROWS), ROWS_NUMBERS, 0},
    [MESSAGE_TENANT] = {"TENANT", BIT(F_WEIGHT) | BIT(F_QUOTA), BIT(F_TENANT), ROWS_NONE, 0},
    [MESSAGE_DRAIN] = {"DRAIN", BIT(F_SESSION), BIT(F_ON), ROWS_NONE, 0},
    [MESSAGE_JOB] = {"JOB", BIT(F_CURSOR), BIT(F_IDS) | BIT(F_ACTION), ROWS_NONE, 0},
    [MESSAGE_JOB_IS] = {"JOB_IS", BIT(F_CAMPAIGN) | BIT(F_SESSION) | BIT(F_BODY) | BIT(F_RECORD) | BIT(F_CURSOR),
                        BIT(F_TEXT) | BIT(F_ROWS), ROWS_NUMBERS, 0},
    [MESSAGE_REQUEUE] = {"REQUEUE", BIT(F_CURSOR), BIT(F_CAMPAIGN), ROWS_NONE, 0},
    [MESSAGE_REQUEUED] = {"REQUEUED", BIT(F_CURSOR), BIT(F_N), ROWS_NONE, 0},
    [MESSAGE_DEAD] = {"DEAD", BIT(F_CURSOR), BIT(F_CAMPAIGN), ROWS_NONE, 0},
    [MESSAGE_FORGET] = {"FORGET", BIT(F_PLACE), BIT(F_NAME), ROWS_NONE, 0},
    [MESSAGE_FORGOTTEN] = {"FORGOTTEN", BIT(F_PLACE), BIT(F_N), ROWS_NONE, 0},
    [MESSAGE_HELLO] = {"HELLO", BIT(F_TASKS) | BIT(F_CONTEXT) | BIT(F_LABEL) | BIT(F_SHARDS),
                       BIT(F_SESSION) | BIT(F_CLASS), ROWS_NONE, 0},
    [MESSAGE_WELCOME] = {"WELCOME", BIT(F_ADDRESS) | BIT(F_OWNED) | BIT(F_FLAGS),
                         BIT(F_SESSION) | BIT(F_ROUTE) | BIT(F_SHARDS) | BIT(F_LEASE_MS) | BIT(F_BEAT_MS), ROWS_NONE,
                         0},
    [MESSAGE_CREDIT] = {"CREDIT", BIT(F_OWNED), BIT(F_SESSION) | BIT(F_SEQ) | BIT(F_WANT), ROWS_NONE, 0},
    [MESSAGE_JOBS] = {"JOBS", 0, BIT(F_SESSION) | BIT(F_SEQ) | BIT(F_ROWS), ROWS_JOBS, LIMIT_JOB_BYTES},
    [MESSAGE_RESUME] = {"RESUME", BIT(F_IDS), BIT(F_SESSION) | BIT(F_SEQ), ROWS_NONE, 0},
    [MESSAGE_RESUMED] = {"RESUMED", BIT(F_IDS) | BIT(F_MORE), BIT(F_SESSION) | BIT(F_SEQ) | BIT(F_ROWS), ROWS_JOBS,
                         LIMIT_JOB_BYTES},
    [MESSAGE_DONE] = {"DONE", 0, BIT(F_SESSION) | BIT(F_ROWS), ROWS_JOBS, LIMIT_RESULT_BYTES},
    [MESSAGE_DONE_ACK] = {"DONE_ACK", 0, BIT(F_SESSION) | BIT(F_STATUSES), ROWS_NONE, 0},
    [MESSAGE_BEAT] = {"BEAT", BIT(F_IDS) | BIT(F_TEXT), BIT(F_SESSION), ROWS_NONE, 0},
    [MESSAGE_BEAT_ACK] = {"BEAT_ACK", BIT(F_IDS) | BIT(F_FLAGS) | BIT(F_AWAY), BIT(F_SESSION) | BIT(F_OWNED), ROWS_NONE,
                          0},
    [MESSAGE_HANDBACK] = {"HANDBACK", BIT(F_IDS) | BIT(F_BYE), BIT(F_SESSION), ROWS_NONE, 0},
    [MESSAGE_HANDBACK_ACK] = {"HANDBACK_ACK", 0, BIT(F_SESSION), ROWS_NONE, 0},
    [MESSAGE_TWINS] = {"TWINS", BIT(F_IDS) | BIT(F_ROWS), BIT(F_SESSION) | BIT(F_N), ROWS_JOBS, LIMIT_TWIN_BYTES},
    [MESSAGE_TWINS_ARE] = {"TWINS_ARE", 0, BIT(F_SESSION) | BIT(F_ROWS), ROWS_JOBS, LIMIT_TWIN_BYTES},
};

const char *message_kind_name(enum message_kind k)
{
    return (unsigned)k < MESSAGE_KIND_END_ && kinds[k].name ? kinds[k].name : "?";
}

static const struct {
    const char *name;
    enum status status;
} codes[CODE_COUNT_] = {
    [CODE_FORMAT] = {"format", ST_FORMAT},    [CODE_VERSION] = {"version", ST_UNSUPPORTED},
    [CODE_LIMIT] = {"limit", ST_LIMIT},       [CODE_MISSING] = {"missing", ST_MISSING},
    [CODE_REFUSED] = {"refused", ST_REFUSED}, [CODE_NO_CLASS] = {"no-class", ST_BUSY},
    [CODE_SESSION] = {"session", ST_MISSING}, [CODE_STORE] = {"store", ST_BUSY},
    [CODE_DENIED] = {"denied", ST_REFUSED},
};

const char *message_code_name(enum message_code c)
{
    return codes[c].name;
}

enum status message_code_status(struct wire_view code)
{
    for (int i = 0; i < CODE_COUNT_; i++)
        if (wire_view_is(code, codes[i].name))
            return codes[i].status;
    return ST_REFUSED;
}

static struct wire_view *view_of(struct message *m, enum field f)
{
    return (struct wire_view *)(void *)((char *)m + fields[f].offset);
}

static uint64_t *number_of(struct message *m, enum field f)
{
    return (uint64_t *)(void *)((char *)m + fields[f].offset);
}

/* ---- encode ------------------------------------------------------------------------------------------------------ */

static bool is_present(struct message *m, enum field f)
{
    if (kinds[m->kind].must & BIT(f))
        return true;
    if (!(kinds[m->kind].may & BIT(f)))
        return false;
    return fields[f].type == FIELD_UINT ? *number_of(m, f) != 0 : view_of(m, f)->len != 0;
}

static void put_field(struct wire_writer *w, struct message *m, enum field f)
{
    const struct wire_view *v = view_of(m, f);
    wire_put_str(w, fields[f].key);
    switch (fields[f].type) {
    case FIELD_STR: wire_put_str_n(w, (const char *)v->bytes, v->len); break;
    case FIELD_BIN: wire_put_bin(w, v->bytes, v->len); break;
    case FIELD_UINT: wire_put_uint(w, *number_of(m, f)); break;
    case FIELD_ROWS:
        if (v->len)
            wire_put_raw(w, v->bytes, v->len);
        else
            wire_put_array(w, 0);
        break;
    }
}

enum status message_encode(const struct message *m, uint8_t **bytes, size_t *len)
{
    struct message copy = *m;
    struct wire_writer w;
    wire_writer_init(&w, LIMIT_FRAME_BYTES);
    wire_put_array(&w, 4);
    wire_put_uint(&w, PROTOCOL_VERSION);
    wire_put_uint(&w, m->kind);
    wire_put_uint(&w, m->request);
    size_t n = 0;
    for (int f = 0; f < F_COUNT_; f++)
        n += is_present(&copy, (enum field)f);
    wire_put_map(&w, n);
    for (int f = 0; f < F_COUNT_; f++)
        if (is_present(&copy, (enum field)f))
            put_field(&w, &copy, (enum field)f);
    enum status s = wire_writer_take(&w, bytes, len);
    wire_writer_fini(&w);
    return s;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

void message_row_put(struct wire_writer *w, const struct message_row *row)
{
    wire_put_array(w, row->n[3] ? 6 : 5);
    wire_put_bin(w, row->id, ID_BYTES);
    for (int i = 0; i < 3; i++)
        wire_put_uint(w, row->n[i]);
    wire_put_bin(w, row->body.bytes, row->body.len);
    if (row->n[3])
        wire_put_uint(w, row->n[3]);
}

/* Elements that a later version appends are skipped. */
static size_t open_row(struct wire_reader *r, size_t known)
{
    enum { MOST = 64 };
    size_t n = wire_get_array(r, MOST);
    if (n < known)
        wire_fail(r, ST_FORMAT);
    return n - known;
}

static void close_row(struct wire_reader *r, size_t extra)
{
    for (size_t i = 0; i < extra && r->state == ST_OK; i++)
        wire_skip(r);
}

static struct message_row read_row(struct wire_reader *r, size_t max_body)
{
    struct message_row row = {0};
    size_t extra = open_row(r, 5);
    struct wire_view id = wire_get_bin(r, ID_BYTES);
    if (id.len != ID_BYTES)
        wire_fail(r, ST_FORMAT);
    row.id = id.bytes;
    for (int i = 0; i < 3; i++)
        row.n[i] = wire_get_uint(r, INT64_MAX);
    row.body = wire_get_bin(r, max_body);
    if (extra > 0 && r->state == ST_OK)
        row.n[3] = wire_get_uint(r, INT64_MAX);
    close_row(r, extra > 0 ? extra - 1 : 0);
    return row;
}

size_t message_rows_open(const struct message *m, struct wire_reader *r)
{
    *r = wire_reader_init(m->rows.bytes, m->rows.len);
    return m->rows.len ? wire_get_array(r, SIZE_MAX) : 0;
}

struct message_row message_row_next(struct wire_reader *r)
{
    return read_row(r, LIMIT_FRAME_BYTES);
}

static void read_text(struct wire_reader *r, char *out, size_t max)
{
    struct wire_view v = wire_get_str(r, max);
    if (v.len)
        memcpy(out, v.bytes, v.len);
    out[v.len] = '\0';
}

/* Of a campaign's row, the last three came later: an older broker leaves them out. */
enum { CAMPAIGN_ELEMENTS = 15, CAMPAIGN_MORE = 3, WORKER_ELEMENTS = 5, NUMBER_ELEMENTS = 2 };

void message_campaign_put(struct wire_writer *w, const struct campaign_status *c)
{
    const uint64_t counters[] = {c->total,  c->ready,     c->running, c->delayed, c->done,
                                 c->failed, c->cancelled, c->trimmed, c->workers};
    wire_put_array(w, CAMPAIGN_ELEMENTS + CAMPAIGN_MORE);
    wire_put_str(w, c->name);
    wire_put_str(w, c->tenant);
    wire_put_str(w, c->class_name);
    wire_put_uint(w, c->state);
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        wire_put_uint(w, counters[i]);
    wire_put_bin(w, c->place.manifest, PLACE_HASH_BYTES);
    wire_put_uint(w, c->place.offset);
    wire_put_str(w, c->labels);
    wire_put_str(w, c->stopped);
    wire_put_uint(w, c->completed);
}

struct campaign_status message_campaign_next(struct wire_reader *r)
{
    struct campaign_status c = {0};
    uint64_t *counters[] = {&c.total,  &c.ready,     &c.running, &c.delayed, &c.done,
                            &c.failed, &c.cancelled, &c.trimmed, &c.workers};
    size_t extra = open_row(r, CAMPAIGN_ELEMENTS);
    read_text(r, c.name, LIMIT_NAME_BYTES);
    read_text(r, c.tenant, LIMIT_NAME_BYTES);
    read_text(r, c.class_name, CLASS_BYTES);
    c.state = (enum campaign_state)wire_get_uint(r, CAMPAIGN_STATE_COUNT_ - 1);
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        *counters[i] = wire_get_uint(r, INT64_MAX);
    struct wire_view manifest = wire_get_bin(r, PLACE_HASH_BYTES);
    if (manifest.len == PLACE_HASH_BYTES)
        memcpy(c.place.manifest, manifest.bytes, PLACE_HASH_BYTES);
    else
        wire_fail(r, ST_FORMAT);
    c.place.offset = wire_get_uint(r, INT64_MAX);
    if (extra >= CAMPAIGN_MORE && r->state == ST_OK) {
        read_text(r, c.labels, LIMIT_NAME_BYTES);
        read_text(r, c.stopped, STOPPED_BYTES);
        c.completed = wire_get_uint(r, 1) != 0;
        extra -= CAMPAIGN_MORE;
    }
    close_row(r, extra);
    return c;
}

void message_worker_put(struct wire_writer *w, const struct worker_status *s)
{
    wire_put_array(w, WORKER_ELEMENTS + 2);
    wire_put_str(w, s->session);
    wire_put_str(w, s->class_name);
    wire_put_str(w, s->label);
    wire_put_uint(w, s->running);
    wire_put_int(w, s->lease_ms);
    wire_put_str(w, s->state);
    wire_put_str(w, s->said);
}

struct worker_status message_worker_next(struct wire_reader *r)
{
    struct worker_status s = {0};
    size_t extra = open_row(r, WORKER_ELEMENTS);
    read_text(r, s.session, 2 * SESSION_BYTES);
    read_text(r, s.class_name, CLASS_BYTES);
    read_text(r, s.label, LIMIT_NAME_BYTES);
    s.running = wire_get_uint(r, INT64_MAX);
    s.lease_ms = wire_get_int(r, INT64_MIN, INT64_MAX);
    if (extra > 0 && r->state == ST_OK) {
        read_text(r, s.state, STOPPED_BYTES);
        extra--;
    }
    if (extra > 0 && r->state == ST_OK) {
        read_text(r, s.said, SAID_BYTES);
        extra--;
    }
    close_row(r, extra);
    return s;
}

void message_number_put(struct wire_writer *w, const char *name, size_t len, uint64_t value)
{
    wire_put_array(w, NUMBER_ELEMENTS);
    wire_put_str_n(w, name, len);
    wire_put_uint(w, value);
}

uint64_t message_number_next(struct wire_reader *r, struct wire_view *name)
{
    size_t extra = open_row(r, NUMBER_ELEMENTS);
    *name = wire_get_str(r, LIMIT_URI_BYTES + LIMIT_NAME_BYTES);
    uint64_t value = wire_get_uint(r, INT64_MAX);
    close_row(r, extra);
    return value;
}

/* ---- decode ------------------------------------------------------------------------------------------------------ */

static enum status check_rows(const struct message *m)
{
    struct wire_reader r = wire_reader_init(m->rows.bytes, m->rows.len);
    size_t n = wire_get_array(&r, LIMIT_HELD_JOBS);
    for (size_t i = 0; i < n && r.state == ST_OK; i++) {
        switch (kinds[m->kind].rows) {
        case ROWS_JOBS: (void)read_row(&r, kinds[m->kind].max_body); break;
        case ROWS_CAMPAIGNS: (void)message_campaign_next(&r); break;
        case ROWS_WORKERS: (void)message_worker_next(&r); break;
        case ROWS_NUMBERS: (void)message_number_next(&r, &(struct wire_view){.len = 0}); break;
        case ROWS_NONE: wire_fail(&r, ST_FORMAT); break;
        }
    }
    return wire_finish(&r);
}

static void get_field(struct wire_reader *r, struct message *m, enum field f)
{
    struct wire_view *v = view_of(m, f);
    size_t max = (size_t)fields[f].max;
    switch (fields[f].type) {
    case FIELD_STR: *v = wire_get_str(r, max); break;
    case FIELD_BIN:
        *v = wire_get_bin(r, max);
        if (v->len % fields[f].step != 0)
            wire_fail(r, ST_FORMAT);
        break;
    case FIELD_UINT: *number_of(m, f) = wire_get_uint(r, fields[f].max); break;
    case FIELD_ROWS: *v = wire_get_raw(r); break;
    }
}

/* Fields that this version does not know are skipped: a newer peer may say more. */
static enum status read_fields(struct wire_reader *r, struct message *m, struct diag *why)
{
    enum { MOST = 64 };
    const char *name = kinds[m->kind].name;
    uint64_t allowed = kinds[m->kind].may | kinds[m->kind].must, got = 0;
    size_t n = wire_get_map(r, MOST);
    for (size_t i = 0; i < n && r->state == ST_OK; i++) {
        struct wire_view key = wire_get_str(r, LIMIT_NAME_BYTES);
        int f = 0;
        while (f < F_COUNT_ && !((allowed & BIT(f)) && wire_view_is(key, fields[f].key)))
            f++;
        if (f == F_COUNT_) {
            wire_skip(r);
            continue;
        }
        if (got & BIT(f))
            return diag_set(why, ST_FORMAT, "%s: field \"%s\" twice", name, fields[f].key);
        got |= BIT(f);
        get_field(r, m, (enum field)f);
        if (r->state != ST_OK)
            return diag_set(why, r->state, "%s: field \"%s\" is %s", name, fields[f].key,
                            r->state == ST_LIMIT ? "over its limit" : "not what it should be");
    }
    if (wire_finish(r) != ST_OK)
        return diag_set(why, wire_finish(r), "%s: not a map of fields", name);
    for (int f = 0; f < F_COUNT_; f++)
        if ((kinds[m->kind].must & BIT(f)) && !(got & BIT(f)))
            return diag_set(why, ST_FORMAT, "%s: field \"%s\" is missing", name, fields[f].key);
    if ((got & BIT(F_SESSION)) && m->session.len != SESSION_BYTES)
        return diag_set(why, ST_FORMAT, "%s: field \"session\" is not %d bytes", name, SESSION_BYTES);
    return ST_OK;
}

enum status message_decode(const void *bytes, size_t len, struct message *out, struct diag *why)
{
    *out = (struct message){0};
    if (len > LIMIT_FRAME_BYTES)
        return diag_set(why, ST_LIMIT, "a frame of %zu bytes; at most %d", len, LIMIT_FRAME_BYTES);
    if (wire_check(bytes, len) != ST_OK)
        return diag_set(why, ST_FORMAT, "a frame of %zu bytes that is not one MessagePack value", len);
    struct wire_reader r = wire_reader_init(bytes, len);
    size_t n = wire_get_array(&r, LIMIT_NAME_BYTES);
    uint64_t version = wire_get_uint(&r, UINT32_MAX), kind = wire_get_uint(&r, UINT32_MAX);
    uint64_t request = wire_get_uint(&r, UINT64_MAX);
    if (r.state != ST_OK || n < 4)
        return diag_set(why, ST_FORMAT, "a frame without [version, kind, request, fields]");
    out->request = request;
    if (version > PROTOCOL_VERSION || version == 0)
        return diag_set(why, ST_UNSUPPORTED, "the peer speaks protocol %llu, this program speaks up to %d",
                        (unsigned long long)version, PROTOCOL_VERSION);
    if (kind >= MESSAGE_KIND_END_ || !kinds[kind].name)
        return diag_set(why, ST_UNSUPPORTED, "message kind %llu is not known here", (unsigned long long)kind);
    out->kind = (enum message_kind)kind;
    if (n != 4)
        return diag_set(why, ST_FORMAT, "%s: %zu elements, expected 4", kinds[kind].name, n);
    enum status s = read_fields(&r, out, why);
    if (s == ST_OK && kinds[kind].rows != ROWS_NONE && check_rows(out) != ST_OK)
        s = diag_set(why, check_rows(out), "%s: field \"rows\": a row that is not what it should be", kinds[kind].name);
    return s;
}
