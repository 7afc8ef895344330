#include "media/hosts.h"

#include <stdlib.h>
#include <string.h>

struct host {
    struct host *next;
    int running;
    int64_t next_ms; /* nothing begins before */
    char name[];
};

struct hosts {
    int at_once, delay_ms;
    struct host *list; /* short: idle ones are dropped */
};

enum status hosts_new(int at_once, int delay_ms, struct hosts **out)
{
    struct hosts *h = calloc(1, sizeof *h);
    if (!h)
        return ST_NOMEM;
    h->at_once = at_once;
    h->delay_ms = delay_ms;
    *out = h;
    return ST_OK;
}

void hosts_free(struct hosts *h)
{
    if (!h)
        return;
    for (struct host *at = h->list, *next; at; at = next) {
        next = at->next;
        free(at);
    }
    free(h);
}

static struct host *find(const struct hosts *h, const char *name)
{
    struct host *at = h->list;
    while (at && strcmp(at->name, name) != 0)
        at = at->next;
    return at;
}

static struct host *find_or_add(struct hosts *h, const char *name)
{
    struct host *at = find(h, name);
    if (at)
        return at;
    size_t len = strlen(name) + 1;
    at = calloc(1, sizeof *at + len);
    if (!at)
        return NULL;
    memcpy(at->name, name, len);
    at->next_ms = INT64_MIN;
    at->next = h->list;
    h->list = at;
    return at;
}

static void drop_idle(struct hosts *h, int64_t now_ms)
{
    for (struct host **link = &h->list; *link;) {
        struct host *at = *link;
        if (at->running > 0 || at->next_ms > now_ms) {
            link = &at->next;
            continue;
        }
        *link = at->next;
        free(at);
    }
}

int64_t hosts_when(const struct hosts *h, const char *host, int64_t now_ms)
{
    const struct host *at = find(h, host);
    if (!at)
        return now_ms;
    return at->running >= h->at_once ? INT64_MAX : at->next_ms;
}

enum status hosts_begin(struct hosts *h, const char *host, int64_t now_ms)
{
    struct host *at = find_or_add(h, host);
    if (!at)
        return ST_NOMEM;
    at->running++;
    if (at->next_ms < now_ms + h->delay_ms)
        at->next_ms = now_ms + h->delay_ms;
    return ST_OK;
}

void hosts_end(struct hosts *h, const char *host, int64_t now_ms)
{
    struct host *at = find(h, host);
    if (at)
        at->running--;
    drop_idle(h, now_ms);
}

void hosts_pause(struct hosts *h, const char *host, int64_t until_ms)
{
    struct host *at = find_or_add(h, host);
    if (at && at->next_ms < until_ms)
        at->next_ms = until_ms;
}
