/* The sessions that a broker knows: a row each without gaps, and an order by id to find one among ten thousand. */
#include <stdlib.h>
#include <string.h>

#include "broker/dispatch_impl.h"

/* Where in the order an id stands, or would stand. */
static size_t place_of(const struct dispatch *d, const uint8_t *id)
{
    size_t from = 0, behind = d->n_sessions;
    while (from < behind) {
        size_t middle = from + (behind - from) / 2;
        if (memcmp(d->sessions[d->by_id[middle]].id, id, SESSION_BYTES) < 0)
            from = middle + 1;
        else
            behind = middle;
    }
    return from;
}

struct session *session_find(struct dispatch *d, const uint8_t *id)
{
    size_t at = place_of(d, id);
    struct session *s = at < d->n_sessions ? &d->sessions[d->by_id[at]] : NULL;
    return s && memcmp(s->id, id, SESSION_BYTES) == 0 ? s : NULL;
}

static bool make_room(struct dispatch *d)
{
    enum { FIRST = 16 };
    if (d->n_sessions < d->cap_sessions)
        return true;
    size_t cap = d->cap_sessions ? 2 * d->cap_sessions : FIRST;
    struct session *sessions = realloc(d->sessions, cap * sizeof *sessions);
    if (sessions)
        d->sessions = sessions;
    uint32_t *by_id = realloc(d->by_id, cap * sizeof *by_id);
    if (by_id)
        d->by_id = by_id;
    if (!sessions || !by_id)
        return false;
    d->cap_sessions = cap;
    return true;
}

struct session *session_add(struct dispatch *d, const uint8_t *id)
{
    if (!make_room(d))
        return NULL;
    size_t at = place_of(d, id);
    memmove(d->by_id + at + 1, d->by_id + at, (d->n_sessions - at) * sizeof *d->by_id);
    d->by_id[at] = (uint32_t)d->n_sessions;
    struct session *s = &d->sessions[d->n_sessions++];
    *s = (struct session){.class_index = -1, .pinned = -1};
    s->next_shard = (int)(d->n_sessions % (size_t)d->options.shards); /* they begin spread out */
    memcpy(s->id, id, SESSION_BYTES);
    return s;
}

void session_remove(struct dispatch *d, struct session *s)
{
    size_t at = place_of(d, s->id), last = d->n_sessions - 1;
    d->by_id[place_of(d, d->sessions[last].id)] = (uint32_t)(s - d->sessions);
    memmove(d->by_id + at, d->by_id + at + 1, (last - at) * sizeof *d->by_id);
    *s = d->sessions[last];
    d->n_sessions = last;
}
