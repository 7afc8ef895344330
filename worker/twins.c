#include "worker/twins.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/result.h"

enum { NEWS_MOST = 1024 };

enum asker_state { ASKER_WAITS, ASKER_CARRIED, ASKER_TOLD };
struct asker {
    struct asker *next;
    const uint8_t *key;
    enum asker_state state;
    char *value;
    size_t len;
};

struct twins {
    int64_t most;
    int wait_ms;
    char *maker;
    void (*wake)(void *ctx);
    void *wake_ctx;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t told;
    bool open;
    struct asker *askers;
    struct twin_news *first, *last;
    size_t n_news;
};

enum status twins_new(int64_t most, int wait_ms, struct twins **out)
{
    pthread_condattr_t monotonic;
    struct twins *t = calloc(1, sizeof *t);
    if (!t)
        return ST_NOMEM;
    t->most = most;
    t->wait_ms = wait_ms;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->told, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out = t;
    return ST_OK;
}

void twins_free(struct twins *t)
{
    if (!t)
        return;
    for (struct twin_news *n = t->first, *next; n; n = next) {
        next = n->next;
        free(n);
    }
    pthread_cond_destroy(&t->told);
    pthread_mutex_destroy(&t->lock);
    free(t->maker);
    free(t);
}

enum status twins_set_maker(struct twins *t, const char *maker)
{
    t->maker = strdup(maker);
    return t->maker ? ST_OK : ST_NOMEM;
}

int64_t twins_most(const struct twins *t)
{
    return t->most;
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

/* The job without what differs from job to job: regions, tasks with their options, policy; and its tenant. */
static enum status encode_questions(const struct job *j, uint8_t **bytes, size_t *len)
{
    char one[] = "-", none[] = "";
    struct job q = {.key = one,
                    .image = one,
                    .regions = j->regions,
                    .n_regions = j->n_regions,
                    .tasks = j->tasks,
                    .n_tasks = j->n_tasks,
                    .policy = j->policy,
                    .tenant = j->tenant,
                    .campaign = none};
    return job_encode(&q, bytes, len, NULL);
}

void twins_name(const struct twins *t, const struct job *j, const uint8_t content[SHA256_BYTES], struct twin *out)
{
    uint8_t whole[SHA256_BYTES], *questions;
    size_t n;
    if (!t->maker || encode_questions(j, &questions, &n) != ST_OK)
        return;
    sha256_hex(content, out->sha256);
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, t->maker, strlen(t->maker) + 1);
    sha256_add(&s, content, SHA256_BYTES);
    sha256_add(&s, questions, n);
    sha256_end(&s, whole);
    memcpy(out->key, whole, ID_BYTES);
    job_id(j, out->id);
    out->is_named = true;
    free(questions);
}

/* ---- values: id, SHA-256 in hex, "bytes of the URI|", URI, record ------------------------------------------------ */

void twins_tell(struct twins *t, const struct twin *w, const char *image, const char *record)
{
    enum { NUMBER = 24 };
    size_t room = ID_BYTES + SHA256_HEX + NUMBER + strlen(image) + strlen(record);
    struct twin_news *n = room <= LIMIT_TWIN_BYTES ? malloc(sizeof *n + room) : NULL;
    if (!n)
        return;
    memcpy(n->key, w->key, ID_BYTES);
    memcpy(n->value, w->id, ID_BYTES);
    n->len = ID_BYTES + (size_t)snprintf(n->value + ID_BYTES, room - ID_BYTES, "%s%zu|%s%s", w->sha256, strlen(image),
                                         image, record);
    n->next = NULL;
    pthread_mutex_lock(&t->lock);
    bool taken = t->open && t->n_news < NEWS_MOST;
    if (taken) {
        if (t->last)
            t->last->next = n;
        else
            t->first = n;
        t->last = n;
        t->n_news++;
    }
    pthread_mutex_unlock(&t->lock);
    if (!taken)
        free(n);
}

/* A record that is what its key says, whoever wrote it, and another job's; else NULL. */
static struct json *read_value(const char *value, size_t len, const struct twin *w, char id[2 * ID_BYTES + 1])
{
    enum { HEX = SHA256_HEX - 1, FRONT = ID_BYTES + HEX };
    size_t uri = 0, at = FRONT;
    while (at < len && value[at] >= '0' && value[at] <= '9' && uri <= LIMIT_URI_BYTES)
        uri = 10 * uri + (size_t)(value[at++] - '0');
    if (at >= len || value[at] != '|' || len - at - 1 < uri || memcmp(value + ID_BYTES, w->sha256, HEX) != 0 ||
        memcmp(value, w->id, ID_BYTES) == 0)
        return NULL;
    at += 1 + uri;
    struct json *record;
    if (jsn_parse(value + at, len - at, "record", &record, NULL) != ST_OK)
        return NULL;
    const char *sha256 = jsn_string(jsn_get(jsn_get(record, "image"), "sha256"), "");
    if (result_check(record, NULL) != ST_OK || strcmp(jsn_string(jsn_get(record, "status"), ""), "ok") != 0 ||
        strcmp(sha256, w->sha256) != 0) {
        jsn_free(record);
        return NULL;
    }
    job_id_hex((const uint8_t *)value, id);
    return record;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static void unlink_asker(struct twins *t, const struct asker *a)
{
    struct asker **at = &t->askers;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
}

static struct timespec deadline(int ms)
{
    enum { THOUSAND = 1000, MILLION = 1000000, BILLION = 1000000000 };
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += (long)ms * MILLION;
    at.tv_sec += at.tv_nsec / BILLION;
    at.tv_nsec %= BILLION;
    return at;
}

struct json *twins_find(struct twins *t, const struct twin *w, char id[2 * ID_BYTES + 1])
{
    struct asker a = {.key = w->key};
    const struct timespec until = deadline(t->wait_ms);
    if (!w->is_named)
        return NULL;
    pthread_mutex_lock(&t->lock);
    if (!t->open) {
        pthread_mutex_unlock(&t->lock);
        return NULL;
    }
    a.next = t->askers;
    t->askers = &a;
    pthread_mutex_unlock(&t->lock);
    t->wake(t->wake_ctx);
    pthread_mutex_lock(&t->lock);
    while (a.state != ASKER_TOLD && pthread_cond_timedwait(&t->told, &t->lock, &until) == 0)
        ;
    unlink_asker(t, &a);
    pthread_mutex_unlock(&t->lock);
    struct json *record = a.value ? read_value(a.value, a.len, w, id) : NULL;
    free(a.value);
    return record;
}

/* ---- the session's part ------------------------------------------------------------------------------------------ */

void twins_attach(struct twins *t, void (*wake)(void *ctx), void *ctx)
{
    t->wake = wake;
    t->wake_ctx = ctx;
}

static void tell_all(struct twins *t, enum asker_state least)
{
    for (struct asker *a = t->askers; a; a = a->next)
        if (a->state >= least)
            a->state = ASKER_TOLD;
    pthread_cond_broadcast(&t->told);
}

void twins_set_open(struct twins *t, bool open)
{
    pthread_mutex_lock(&t->lock);
    t->open = open;
    if (!open && t->askers)
        tell_all(t, ASKER_WAITS);
    pthread_mutex_unlock(&t->lock);
}

bool twins_take(struct twins *t, struct twins_load *out)
{
    out->n_asked = out->n_news = 0;
    out->news = NULL;
    pthread_mutex_lock(&t->lock);
    for (struct asker *a = t->askers; a && out->n_asked < LIMIT_TWINS; a = a->next)
        if (a->state == ASKER_WAITS) {
            a->state = ASKER_CARRIED;
            memcpy(out->asked[out->n_asked++], a->key, ID_BYTES);
        }
    struct twin_news **end = &out->news;
    while (t->first && out->n_news < LIMIT_TWINS) {
        *end = t->first;
        t->first = t->first->next;
        end = &(*end)->next;
        out->n_news++;
    }
    *end = NULL;
    if (!t->first)
        t->last = NULL;
    t->n_news -= out->n_news;
    pthread_mutex_unlock(&t->lock);
    return out->n_asked + out->n_news > 0;
}

void twins_answer(struct twins *t, const uint8_t key[ID_BYTES], const char *value, size_t len)
{
    pthread_mutex_lock(&t->lock);
    for (struct asker *a = t->askers; a; a = a->next)
        if (a->state == ASKER_CARRIED && memcmp(a->key, key, ID_BYTES) == 0 && !a->value &&
            (a->value = malloc(len + 1)) != NULL) {
            memcpy(a->value, value, len);
            a->len = len;
        }
    pthread_mutex_unlock(&t->lock);
}

void twins_answered(struct twins *t)
{
    pthread_mutex_lock(&t->lock);
    tell_all(t, ASKER_CARRIED);
    pthread_mutex_unlock(&t->lock);
}
