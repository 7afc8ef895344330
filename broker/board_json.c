/* A snapshot as JSON, for the pages' scripts. */
#include <stdlib.h>
#include <string.h>

#include "base/uri.h"
#include "base/version.h"
#include "broker/board_impl.h"
#include "broker/rows.h"

enum { LISTED_CAMPAIGNS = 100, LISTED_WORKERS = 512 };

/* Puts that remember whether one of them failed. */
struct object {
    struct json *json;
    bool failed;
};

static struct object new_object(void)
{
    struct json *json = jsn_new_object();
    return (struct object){.json = json, .failed = json == NULL};
}

static void put(struct object *o, const char *key, struct json *value)
{
    if (o->failed)
        jsn_free(value);
    else
        o->failed = jsn_put(o->json, key, value) != ST_OK;
}

static void put_int(struct object *o, const char *key, int64_t value)
{
    put(o, key, jsn_new_int(value));
}

static void put_count(struct object *o, const char *key, uint64_t value)
{
    put(o, key, jsn_new_int((int64_t)value));
}

static void put_text(struct object *o, const char *key, const char *value)
{
    put(o, key, jsn_new_string(value));
}

/* Pages are for people who may look at work, not for those who may fetch its images. */
static void put_uri(struct object *o, const char *key, const struct json *uri)
{
    char shown[LIMIT_URI_BYTES + 1];
    put_text(o, key, uri_shown(jsn_string(uri, ""), shown, sizeof shown));
}

/* NULL where something failed on the way. */
static struct json *finish(struct object *o)
{
    if (!o->failed)
        return o->json;
    jsn_free(o->json);
    return NULL;
}

static void put_rate(struct object *o, double rate)
{
    put(o, "rate", rate < 0 ? jsn_new_null() : jsn_new_real(rate));
}

/* ---- parts ---------------------------------------------------------------------------------------------------------
 */

static uint64_t left_of(const struct campaign_status *c)
{
    return c->ready + c->running + c->delayed;
}

static struct json *campaign_json(const struct campaign_status *c, double rate)
{
    struct object o = new_object();
    const struct {
        const char *key;
        uint64_t value;
    } counters[] = {{"total", c->total}, {"ready", c->ready},   {"running", c->running},     {"delayed", c->delayed},
                    {"done", c->done},   {"failed", c->failed}, {"cancelled", c->cancelled}, {"workers", c->workers}};
    put_text(&o, "name", c->name);
    put_text(&o, "tenant", c->tenant);
    put_text(&o, "class", c->class_name);
    put_text(&o, "state", campaign_state_name(c->state));
    put_text(&o, "stopped", campaign_stopped_text(c));
    put_text(&o, "labels", c->labels);
    put(&o, "completed", jsn_new_bool(c->completed));
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        put_count(&o, counters[i].key, counters[i].value);
    put_rate(&o, rate);
    put(&o, "eta_s", rate > 0 && left_of(c) ? jsn_new_real((double)left_of(c) / rate) : jsn_new_null());
    return finish(&o);
}

static bool push(struct json *list, struct json *value)
{
    return jsn_push(list, value) == ST_OK;
}

/* What is under way comes first, and then what is done, each the newest first. */
static struct json *campaigns_json(const struct snapshot *s)
{
    struct json *list = jsn_new_array();
    bool ok = list != NULL;
    size_t n = 0;
    for (int ended = 0; ended < 2; ended++)
        for (size_t i = 0; ok && i < s->n_campaigns && n < LISTED_CAMPAIGNS; i++) {
            const struct shown_campaign *c = &s->campaigns[i];
            bool is_ended = c->status.completed || c->status.state == CAMPAIGN_CANCELLED;
            if (is_ended != (ended == 1))
                continue;
            ok = push(list, campaign_json(&c->status, c->rate));
            n++;
        }
    if (!ok)
        jsn_free(list);
    return ok ? list : NULL;
}

static struct json *worker_json(const struct worker_status *w)
{
    struct object o = new_object();
    struct worker_said said;
    put_text(&o, "session", w->session);
    put_text(&o, "label", w->label);
    put_text(&o, "class", w->class_name);
    put_text(&o, "state", w->lease_ms < 0 ? "lost" : w->state);
    put_count(&o, "running", w->running);
    put_int(&o, "lease_ms", w->lease_ms);
    if (worker_said_read(w->said, &said)) {
        put_int(&o, "images", said.images);
        put_int(&o, "failed", said.failed);
        put(&o, "rate", jsn_new_real((double)said.images_per_1000s / 1000.0));
        put_int(&o, "tokens_per_s", said.tokens_per_s);
        put_int(&o, "fetch", said.fetch);
        put_int(&o, "decode", said.decode);
        put_int(&o, "engine", said.engine);
    }
    return finish(&o);
}

static struct json *workers_json(const struct snapshot *s)
{
    struct json *list = jsn_new_array();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < s->n_workers && i < LISTED_WORKERS; i++)
        ok = push(list, worker_json(&s->workers[i]));
    if (!ok)
        jsn_free(list);
    return ok ? list : NULL;
}

static struct json *waiting_json(const struct snapshot *s)
{
    struct json *list = jsn_new_array();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < s->n_tenants; i++) {
        const struct shown_tenant *t = &s->tenants[i];
        struct object o = new_object();
        put_text(&o, "tenant", t->name);
        put_count(&o, "p0", t->waiting[0]);
        put_count(&o, "p1", t->waiting[1]);
        put_count(&o, "p2", t->waiting[2]);
        if (t->waiting[0] + t->waiting[1] + t->waiting[2] > 0)
            ok = push(list, finish(&o));
        else
            jsn_free(finish(&o));
    }
    if (!ok)
        jsn_free(list);
    return ok ? list : NULL;
}

static struct json *errors_json(const struct snapshot *s)
{
    struct json *list = jsn_new_array();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < s->n_errors; i++) {
        const struct shown_error *e = &s->errors[i];
        const struct json *why = jsn_get(e->record, "error");
        struct object o = new_object();
        put_int(&o, "ms", e->ms);
        put_text(&o, "campaign", e->campaign);
        put_uri(&o, "id", jsn_get(e->record, "id"));
        put_text(&o, "class", jsn_string(jsn_get(why, "class"), ""));
        put_text(&o, "code", jsn_string(jsn_get(why, "code"), ""));
        put_text(&o, "message", jsn_string(jsn_get(why, "message"), ""));
        ok = push(list, finish(&o));
    }
    if (!ok)
        jsn_free(list);
    return ok ? list : NULL;
}

static struct json *events_json(const struct snapshot *s)
{
    struct json *list = jsn_new_array();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < s->n_events; i++) {
        struct object o = new_object();
        put_int(&o, "ms", s->events[i].ms);
        put_text(&o, "what", s->events[i].what);
        put_text(&o, "campaign", s->events[i].campaign);
        ok = push(list, finish(&o));
    }
    if (!ok)
        jsn_free(list);
    return ok ? list : NULL;
}

static struct json *queue_json(const struct snapshot *s)
{
    struct object o = new_object();
    put_int(&o, "memory_percent", s->memory_percent);
    put_int(&o, "memory_limit", s->memory_limit);
    put_int(&o, "record_bytes", s->record_bytes);
    put_int(&o, "unfinished", s->unfinished);
    put_int(&o, "delayed", s->delayed);
    put_int(&o, "suspects", s->suspects);
    put(&o, "drained", jsn_new_bool(s->drained));
    return finish(&o);
}

/* The oldest point first, in thousandths. */
static struct json *curve_json(const struct rates *r)
{
    struct json *list = jsn_new_array();
    bool ok = list != NULL;
    for (int i = 0; ok && i < r->curve_n; i++) {
        int at = (r->curve_at - r->curve_n + i + HISTORY) % HISTORY;
        ok = push(list, jsn_new_int((int64_t)(r->curve[at] * 1000 + 0.5)));
    }
    if (!ok)
        jsn_free(list);
    return ok ? list : NULL;
}

/* ---- wholes --------------------------------------------------------------------------------------------------------
 */

static char *text_of(struct json *json)
{
    char *text = json ? jsn_text(json) : NULL;
    jsn_free(json);
    return text;
}

char *board_json(const struct snapshot *s, const struct rates *r, int64_t unix_ms)
{
    struct object o = new_object();
    put_text(&o, "version", FERRETRY_VERSION);
    put_int(&o, "now_ms", unix_ms);
    put_count(&o, "n_campaigns", s->n_campaigns);
    put_count(&o, "n_workers", s->n_workers);
    put(&o, "queue", queue_json(s));
    put(&o, "campaigns", campaigns_json(s));
    put(&o, "workers", workers_json(s));
    put(&o, "waiting", waiting_json(s));
    put(&o, "errors", errors_json(s));
    put(&o, "events", events_json(s));
    put_int(&o, "step_ms", HISTORY_STEP_MS);
    put(&o, "curve", curve_json(r));
    return text_of(finish(&o));
}

/* Takes ownership of record. */
static struct json *shown_record(struct json *record)
{
    const struct json *image = jsn_get(record, "image");
    struct object o = {.json = record};
    put_uri(&o, "id", jsn_get(record, "id"));
    if (jsn_get(image, "uri")) {
        struct object copy = {.json = jsn_copy(image)};
        copy.failed = !copy.json;
        put_uri(&copy, "uri", jsn_get(copy.json, "uri"));
        put(&o, "image", finish(&copy));
    }
    return finish(&o);
}

/* Records are text in Redis; one that is no JSON is left out. */
static bool push_record(struct json *list, const struct reply *answer, size_t i)
{
    size_t len;
    const char *bytes = reply_bytes(answer, i, &len);
    struct json *record = NULL;
    if (jsn_parse(bytes, len, "a record", &record, NULL) != ST_OK || jsn_kind(record) != JSON_KIND_OBJECT) {
        jsn_free(record);
        return true;
    }
    return push(list, shown_record(record));
}

char *board_campaign_json(const struct reply *const *answers, size_t n, int most)
{
    struct snapshot s = {.n_campaigns = 0};
    struct json *list = jsn_new_array();
    bool ok = list != NULL;
    size_t longest = 0;
    for (size_t a = 0; ok && a < n; a++) {
        struct reply page = {
            .kind = REPLY_ARRAY, .items = (struct reply[]){{.kind = REPLY_INT}, answers[a]->items[0]}, .n = 2};
        ok = snapshot_add_campaigns(&s, &page) == ST_OK;
        longest = answers[a]->n > longest ? answers[a]->n : longest;
    }
    for (size_t i = 1; i < longest; i++) /* of each shard in turn */
        for (size_t a = 0; ok && a < n && jsn_size(list) < (size_t)most; a++)
            if (i < answers[a]->n)
                ok = push_record(list, answers[a], i);
    struct object o = new_object();
    put(&o, "campaign", ok ? campaign_json(&s.campaigns[0].status, -1) : NULL);
    put(&o, "records", list);
    snapshot_fini(&s);
    return text_of(finish(&o));
}
