/* What must hold in every state. */
#include <stdlib.h>
#include <string.h>

#include "tests/explore/model.h"

enum { PLACES = 8 };

static const char *const ids[JOBS] = {"0-job...........", "1-job...........", "2-job..........."};

struct text job_id_text(int job)
{
    return text_of(ids[job]);
}

static const struct value *key(const struct memory_redis *r, const char *name)
{
    return memory_find(r, text_of(name));
}

static bool starts(struct text t, const char *with)
{
    size_t n = strlen(with);
    return t.len >= n && memcmp(t.at, with, n) == 0;
}

/* Whether a job has ended: a part of its id is kept. */
static bool has_ended(const struct memory_redis *r, struct text id)
{
    const struct value *v = key(r, "{q:0}:fin:1");
    for (size_t i = 0; v && i < v->n; i++)
        if (v->items[i].field.len <= id.len && memcmp(v->items[i].field.at, id.at, v->items[i].field.len) == 0)
            return true;
    return false;
}

/* How often the id stands in a value; groups of suspects are several ids, one behind another. */
static int count_in(const struct value *v, struct text id)
{
    int n = 0;
    for (size_t i = 0; v && i < v->n; i++)
        for (size_t at = 0; at + id.len <= v->items[i].field.len; at += id.len)
            n += memcmp(v->items[i].field.at + at, id.at, id.len) == 0;
    return n;
}

struct tally {
    int64_t ready, running, delayed, done, failed;
};

/* Where the job stands; it must be in one place while it is unfinished and in none afterwards. */
static const char *check_job(const struct memory_redis *r, int job, struct tally *t)
{
    struct text id = job_id_text(job);
    int ready = 0, running = 0, later = count_in(key(r, "{q:0}:delay"), id) + count_in(key(r, "{q:0}:doom"), id);
    for (size_t i = 0; i < r->n; i++) {
        if (starts(r->keys[i].name, "{q:0}:rq:") || starts(r->keys[i].name, "{q:0}:sus:"))
            ready += count_in(&r->keys[i], id);
        if (starts(r->keys[i].name, "{q:0}:run:"))
            running += count_in(&r->keys[i], id);
    }
    bool has_body = memory_field(key(r, "{q:0}:job"), id) != NULL;
    const struct element *record = memory_field(key(r, "{q:0}:res:1"), id);
    bool ended = has_ended(r, id);
    int places = ready + running + later;
    t->ready += ready;
    t->running += running;
    t->delayed += later;
    t->done += record && record->value.len == 3;
    t->failed += record && record->value.len != 3;
    if (has_body ? places != 1 || ended : places != 0)
        return has_body ? "an unfinished job is not in exactly one place" : "a job without a body is still somewhere";
    if (ended != (record != NULL) || count_in(key(r, "{q:0}:out:1"), id) != (ended ? 1 : 0))
        return "an ended job has not exactly one record";
    if (!has_body && !ended && places)
        return "a job is nowhere and somewhere";
    char right[] = {'r', (char)('0' + job), '.'};
    if (record && record->value.len == 3 && memcmp(record->value.at, right, 3) != 0)
        return "a record of another job";
    return NULL;
}

static int64_t counter(const struct memory_redis *r, const char *name)
{
    const struct element *e = memory_field(key(r, "{q:0}:c:1"), text_of(name));
    char s[32] = "";
    if (e)
        memcpy(s, e->value.at, e->value.len < sizeof s ? e->value.len : 0);
    return strtoll(s, NULL, 10);
}

static bool nothing_left(const struct memory_redis *r)
{
    static const char *const parts[] = {
        "{q:0}:job", "{q:0}:rq:", "{q:0}:sus:", "{q:0}:delay", "{q:0}:doom", "{q:0}:retry"};
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
            if (starts(r->keys[i].name, parts[k]))
                return false;
    return true;
}

const char *check_world(const struct world *w, const struct memory_redis *r, bool drained)
{
    struct tally t = {.ready = 0};
    int64_t there = 0;
    for (int job = 0; job < JOBS; job++) {
        const char *wrong = check_job(r, job, &t);
        if (wrong)
            return wrong;
        bool known = memory_field(key(r, "{q:0}:job"), job_id_text(job)) || has_ended(r, job_id_text(job));
        if ((w->acknowledged >> job & 1) && !known)
            return "an acknowledged job is lost";
        there += known;
    }
    if (counter(r, "ready") != t.ready || counter(r, "running") != t.running || counter(r, "delayed") != t.delayed ||
        counter(r, "done") != t.done || counter(r, "failed") != t.failed || counter(r, "total") != there)
        return "counters differ from what is there";
    if (w->twice)
        return "a CLAIM handed out jobs behind the fence of a RESUME or of an answer with jobs";
    if (!drained)
        return NULL;
    if (t.done + t.failed != there || !nothing_left(r))
        return "a job is stranded";
    return t.failed ? "a healthy job failed" : NULL;
}
