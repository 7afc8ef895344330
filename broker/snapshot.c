#include "broker/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/rows.h"

void snapshot_fini(struct snapshot *s)
{
    for (size_t i = 0; i < s->n_errors; i++)
        jsn_free(s->errors[i].record);
    free(s->campaigns);
    free(s->tenants);
    free(s->workers);
    *s = (struct snapshot){.n_campaigns = 0};
}

/* Room for one more element; NULL when memory is short. */
static void *grow(void **list, size_t n, size_t *cap, size_t size)
{
    enum { FIRST = 32 };
    if (n == *cap) {
        size_t more = *cap ? 2 * *cap : FIRST;
        void *bigger = realloc(*list, more * size);
        if (!bigger)
            return NULL;
        *list = bigger;
        *cap = more;
    }
    void *element = (char *)*list + n * size;
    memset(element, 0, size);
    return element;
}

/* ---- campaigns --------------------------------------------------------------------------------------------------- */

static struct shown_tenant *tenant_of(struct snapshot *s, const char *name)
{
    for (size_t i = 0; i < s->n_tenants; i++)
        if (strcmp(s->tenants[i].name, name) == 0)
            return &s->tenants[i];
    void *list = s->tenants;
    struct shown_tenant *t = grow(&list, s->n_tenants, &s->cap_tenants, sizeof *t);
    s->tenants = list;
    if (t) {
        snprintf(t->name, sizeof t->name, "%s", name);
        s->n_tenants++;
    }
    return t;
}

static struct shown_campaign *campaign_of(struct snapshot *s, const struct campaign_status *status)
{
    for (size_t i = 0; i < s->n_campaigns; i++)
        if (strcmp(s->campaigns[i].status.name, status->name) == 0)
            return &s->campaigns[i];
    void *list = s->campaigns;
    struct shown_campaign *c = grow(&list, s->n_campaigns, &s->cap_campaigns, sizeof *c);
    s->campaigns = list;
    if (c) {
        c->status = *status;
        c->status.total = c->status.ready = c->status.running = c->status.delayed = c->status.done = c->status.failed =
            c->status.cancelled = c->status.trimmed = 0;
        c->rate = -1;
        s->n_campaigns++;
    }
    return c;
}

/* The same campaign on several shards: counters add up, and it is complete where it is so everywhere. */
static void add_status(struct campaign_status *to, const struct campaign_status *from)
{
    to->total += from->total;
    to->ready += from->ready;
    to->running += from->running;
    to->delayed += from->delayed;
    to->done += from->done;
    to->failed += from->failed;
    to->cancelled += from->cancelled;
    to->trimmed += from->trimmed;
    to->completed = to->completed && from->completed;
    if (!to->stopped[0])
        memcpy(to->stopped, from->stopped, sizeof to->stopped);
}

enum status snapshot_add_campaigns(struct snapshot *s, const struct reply *r)
{
    enum { WAITING_AT = 18 };
    if (r->kind != REPLY_ARRAY || r->n == 0)
        return ST_FORMAT;
    for (size_t i = 1; i < r->n; i++) {
        struct campaign_status status;
        row_campaign(&r->items[i], &status);
        struct shown_campaign *c = campaign_of(s, &status);
        struct shown_tenant *t = tenant_of(s, status.tenant);
        if (!c || !t)
            return ST_NOMEM;
        add_status(&c->status, &status);
        for (int p = 0; p < PRIORITIES; p++) {
            uint64_t n = (uint64_t)reply_number(&r->items[i], WAITING_AT + (size_t)p);
            c->waiting[p] += n;
            t->waiting[p] += n;
        }
    }
    return ST_OK;
}

uint64_t snapshot_ended(const struct snapshot *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->n_campaigns; i++)
        n += s->campaigns[i].status.done + s->campaigns[i].status.failed;
    return n;
}

/* ---- workers and numbers ------------------------------------------------------------------------------------------
 */

enum status snapshot_add_workers(struct snapshot *s, const struct reply *r)
{
    if (r->kind != REPLY_ARRAY)
        return ST_FORMAT;
    for (size_t at = 0; at + ROW_WORKER_ELEMENTS <= r->n; at += ROW_WORKER_ELEMENTS) {
        struct worker_status w, *known = NULL;
        row_worker(r, at, &w);
        for (size_t i = 0; i < s->n_workers && !known; i++)
            if (strcmp(s->workers[i].session, w.session) == 0)
                known = &s->workers[i];
        if (known) {
            known->running += w.running;
            continue;
        }
        void *list = s->workers;
        known = grow(&list, s->n_workers, &s->cap_workers, sizeof w);
        s->workers = list;
        if (!known)
            return ST_NOMEM;
        *known = w;
        s->n_workers++;
    }
    return ST_OK;
}

enum status snapshot_add_numbers(struct snapshot *s, const struct reply *r)
{
    if (r->kind != REPLY_ARRAY)
        return ST_FORMAT;
    const struct {
        const char *name;
        int64_t *sum;
    } sums[] = {{"memory limit", &s->memory_limit},
                {"bytes of records", &s->record_bytes},
                {"unfinished jobs", &s->unfinished},
                {"delayed", &s->delayed},
                {"given up", &s->given_up}};
    for (size_t i = 0; i + 1 < r->n; i += 2) {
        int64_t value = reply_number(r, i + 1);
        size_t len;
        const char *name = reply_bytes(r, i, &len);
        static const char suspects[] = "groups of suspects";
        for (size_t k = 0; k < sizeof sums / sizeof *sums; k++)
            if (reply_is(r, i, sums[k].name))
                *sums[k].sum += value;
        if (reply_is(r, i, "memory percent") && value > s->memory_percent)
            s->memory_percent = value;
        if (len >= sizeof suspects - 1 && memcmp(name, suspects, sizeof suspects - 1) == 0)
            s->suspects += value;
        s->drained = s->drained || (reply_is(r, i, "drained") && value);
    }
    return ST_OK;
}

/* ---- lists, the newest first ---------------------------------------------------------------------------------------
 */

/* A zeroed place for an element of that age among n, of at most `most`; the last falls out. NULL: it is older than all.
 * Elements begin with their time. */
static void *make_place(void *list, size_t size, size_t *n, size_t most, int64_t ms)
{
    char *base = list;
    size_t at = 0;
    while (at < *n && *(const int64_t *)(const void *)(base + at * size) >= ms)
        at++;
    if (at == most)
        return NULL;
    size_t stay = *n < most ? *n : most - 1;
    memmove(base + (at + 1) * size, base + at * size, (stay - at) * size);
    *n = stay + 1;
    return memset(base + at * size, 0, size);
}

static void add_errors(struct snapshot *s, const struct reply *r)
{
    for (size_t i = 0; i + 2 < r->n; i += 3) {
        int64_t ms = reply_number(r, i);
        struct json *last = s->n_errors == SNAPSHOT_NEWS ? s->errors[SNAPSHOT_NEWS - 1].record : NULL;
        struct shown_error *e = make_place(s->errors, sizeof *e, &s->n_errors, SNAPSHOT_NEWS, ms);
        if (!e)
            continue;
        jsn_free(last);
        e->ms = ms;
        row_text(r, i + 1, e->campaign, LIMIT_NAME_BYTES);
        size_t len;
        const char *record = reply_bytes(r, i + 2, &len);
        if (len && jsn_parse(record, len, "a record", &e->record, NULL) != ST_OK)
            e->record = NULL;
    }
}

static void add_events(struct snapshot *s, const struct reply *r)
{
    for (size_t i = 0; i < r->n; i++) {
        char text[LIMIT_NAME_BYTES + STOPPED_BYTES + 32], *what;
        row_text(r, i, text, sizeof text - 1);
        int64_t ms = strtoll(text, &what, 10);
        char *name = *what == '|' ? strchr(what + 1, '|') : NULL;
        struct shown_event *e = name ? make_place(s->events, sizeof *e, &s->n_events, SNAPSHOT_NEWS, ms) : NULL;
        if (!e)
            continue;
        *name = '\0';
        e->ms = ms;
        snprintf(e->what, sizeof e->what, "%s", what + 1);
        snprintf(e->campaign, sizeof e->campaign, "%s", name + 1);
    }
}

enum status snapshot_add_news(struct snapshot *s, const struct reply *r)
{
    if (r->kind != REPLY_ARRAY || r->n != 2)
        return ST_FORMAT;
    add_events(s, &r->items[0]);
    add_errors(s, &r->items[1]);
    return ST_OK;
}
