/* What the shards' answers come to together where no rows are involved: sums, one row a campaign, one a session. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/spread.h"

static struct reply text_of(const char *bytes, size_t len)
{
    return (struct reply){.kind = REPLY_BYTES, .bytes = bytes, .len = len};
}

static struct reply number_of(int64_t n)
{
    return (struct reply){.kind = REPLY_INT, .integer = n};
}

static const struct reply *part(const struct spread *sp, int shard)
{
    return &sp->parts[shard].reply;
}

static bool is_there(const struct reply *r)
{
    return r->kind == REPLY_ARRAY;
}

static bool all_there(const struct spread *sp)
{
    for (int i = 0; i < sp->shards; i++)
        if (!is_there(part(sp, i)))
            return false;
    return true;
}

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

/* (known, owned, 1 while it has suspects of that shard): the last becomes the shard's number plus one. */
enum status spread_merge_hello(struct spread *sp)
{
    enum { ELEMENTS = 3, ALONE = 2 };
    struct reply *items = spread_items(sp, ELEMENTS);
    if (!items)
        return ST_NOMEM;
    items[0] = text_of("new", 3);
    items[1] = items[ALONE] = number_of(0);
    for (int i = 0; i < sp->shards; i++) {
        if (reply_is(part(sp, i), 0, "again"))
            items[0] = text_of("again", 5);
        items[1].integer += reply_number(part(sp, i), 1);
        if (reply_number(part(sp, i), ALONE) > 0)
            items[ALONE].integer = i + 1;
    }
    return ST_OK;
}

enum status spread_merge_heartbeat(struct spread *sp)
{
    enum { OWNED = 1, STOP, FLAGS, AWAY, ELEMENTS };
    size_t len = 0, more;
    for (int i = 0; i < sp->shards; i++) {
        if (reply_is(part(sp, i), 0, "gone")) {
            sp->merged = *part(sp, i);
            return ST_OK;
        }
        (void)reply_bytes(part(sp, i), STOP, &more);
        len += more;
    }
    char *stop = spread_alloc(sp, len + 1);
    struct reply *items = spread_items(sp, ELEMENTS);
    if (!stop || !items)
        return ST_NOMEM;
    items[0] = text_of("ok", 2);
    items[STOP] = text_of(stop, len);
    items[OWNED] = items[FLAGS] = items[AWAY] = number_of(0);
    for (int i = 0; i < sp->shards; i++) {
        const char *ids = reply_bytes(part(sp, i), STOP, &more);
        memcpy(stop, ids, more);
        stop += more;
        items[OWNED].integer += reply_number(part(sp, i), OWNED);
        items[FLAGS].integer |= reply_number(part(sp, i), FLAGS);
        items[AWAY].integer |= is_there(part(sp, i)) ? 0 : 1 << i;
    }
    return ST_OK;
}

/* (session, info, owned, lease left, state, what it said)*, one row a session: it holds what it holds on all shards, as
 * long as the first of its leases. */
enum status spread_merge_workers(struct spread *sp)
{
    enum { SID, INFO, OWNED, LEASE, STATE, SAID, ROW };
    size_t n = 0, rows = 0;
    for (int i = 0; i < sp->shards; i++)
        n += is_there(part(sp, i)) ? part(sp, i)->n : 0;
    struct reply *items = spread_items(sp, n);
    if (!items)
        return ST_NOMEM;
    for (int i = 0; i < sp->shards; i++)
        for (size_t k = 0; is_there(part(sp, i)) && k + ROW <= part(sp, i)->n; k += ROW) {
            const struct reply *from = part(sp, i)->items + k;
            struct reply *to = items;
            while (to < items + ROW * rows && (to->len != from->len || memcmp(to->bytes, from->bytes, to->len) != 0))
                to += ROW;
            if (to == items + ROW * rows) {
                memcpy(to, from, ROW * sizeof *to);
                rows++;
                continue;
            }
            to[OWNED].integer += from[OWNED].integer;
            if (from[LEASE].integer < to[LEASE].integer)
                to[LEASE] = from[LEASE];
            if (to[STATE].len == 0)
                to[STATE] = from[STATE];
        }
    sp->merged.n = ROW * rows;
    return ST_OK;
}

/* ---- campaigns --------------------------------------------------------------------------------------------------- */

/* A campaign's row, as common.lua has it. */
enum { NAME, STATE = 3, TOTAL, BASE = 11, WORKERS, MANIFEST, OFFSET, LABELS, STOPPED, COMPLETED, ROW_ELEMENTS };

/* What is paused or cancelled somewhere is shown so: the shards follow one another within a moment, but a campaign's
 * rate of failures may stop it on one shard alone. */
static int weight_of(const struct reply *row)
{
    return reply_is(row, STATE, "cancelled") ? 2 : reply_is(row, STATE, "paused") ? 1 : 0;
}

/* How far it has been handed in: as far as on the shard that knows least, so that what one of them lost is handed in
 * again; nowhere, where they do not speak of the same input. */
static void merge_place(struct reply *to, const struct reply *mine, const struct reply *its)
{
    size_t a, b;
    const char *x = reply_bytes(mine, MANIFEST, &a), *y = reply_bytes(its, MANIFEST, &b);
    if (a != b || memcmp(x, y, a) != 0)
        to[MANIFEST] = text_of("", 0);
    if (reply_number(its, OFFSET) < reply_number(mine, OFFSET))
        to[OFFSET] = its->items[OFFSET];
}

static void add_row(struct reply *to, const struct reply *from)
{
    const struct reply mine = {.kind = REPLY_ARRAY, .items = to, .n = ROW_ELEMENTS};
    if (weight_of(from) > weight_of(&mine))
        to[STATE] = from->items[STATE];
    for (int k = TOTAL; k <= BASE; k++)
        to[k].integer += reply_number(from, (size_t)k);
    if (reply_number(from, WORKERS) > to[WORKERS].integer)
        to[WORKERS] = from->items[WORKERS];
    merge_place(to, &mine, from);
    if (to[STOPPED].len == 0)
        to[STOPPED] = from->items[STOPPED];
    if (reply_number(from, COMPLETED) == 0)
        to[COMPLETED] = number_of(0);
}

/* rows[i]: of shard i, NULL where it has none; away: a shard did not answer. */
static enum status one_row(struct spread *sp, const struct reply *const *rows, bool away, struct reply *out)
{
    struct reply *to = NULL;
    bool lacks = false;
    for (int i = 0; i < sp->shards; i++) {
        lacks = lacks || !rows[i];
        if (!rows[i] || rows[i]->n < ROW_ELEMENTS)
            continue;
        if (to) {
            add_row(to, rows[i]);
            continue;
        }
        to = spread_alloc(sp, rows[i]->n * sizeof *to);
        if (!to)
            return ST_NOMEM;
        memcpy(to, rows[i]->items, rows[i]->n * sizeof *to);
        *out = (struct reply){.kind = REPLY_ARRAY, .items = to, .n = rows[i]->n};
    }
    if (to && lacks) {
        to[MANIFEST] = text_of("", 0);
        to[COMPLETED] = number_of(0);
    }
    if (to && away)
        to[STOPPED] = text_of("shard-away", strlen("shard-away"));
    return ST_OK;
}

/* Row k of each shard's answer; one that is not there, or is empty, is NULL. *found: one has it. */
static void rows_at(const struct spread *sp, size_t k, const struct reply **rows, bool *found)
{
    *found = false;
    for (int i = 0; i < sp->shards; i++) {
        const struct reply *r = part(sp, i);
        rows[i] = is_there(r) && k < r->n && r->items[k].n > 0 ? &r->items[k] : NULL;
        *found = *found || rows[i];
    }
}

/* {next, row*}. Of a list the first shard's answer says which there are, and the others' follow in the same order. */
enum status spread_merge_status(struct spread *sp)
{
    const struct reply *rows[LIMIT_SHARDS];
    size_t n = 0;
    for (int i = 0; i < sp->shards; i++)
        n = is_there(part(sp, i)) && part(sp, i)->n > n ? part(sp, i)->n : n;
    struct reply *items = spread_items(sp, n);
    if (!items)
        return ST_NOMEM;
    items[0] = number_of(reply_number(part(sp, 0), 0));
    size_t used = 1;
    for (size_t k = 1; k < n; k++) {
        bool found;
        rows_at(sp, k, rows, &found);
        if (found && one_row(sp, rows, !all_there(sp), &items[used++]) != ST_OK)
            return ST_NOMEM;
    }
    sp->merged.n = used;
    return ST_OK;
}

/* CAMPAIGN, CAMPAIGN_SET. What one shard refuses is refused; each must have heard of it. A shard that lacks the
 * campaign to be set lost it. */
enum status spread_merge_made(struct spread *sp)
{
    enum { ELEMENTS = 2 };
    const struct reply *rows[LIMIT_SHARDS];
    bool found;
    for (int i = 0; i < sp->shards; i++) {
        const struct reply *r = part(sp, i);
        bool refused = is_there(r) && !reply_is(r, 0, "ok") && !reply_is(r, 0, "missing");
        if (refused || (r->kind != REPLY_NIL && !is_there(r))) {
            sp->merged = *r;
            return ST_OK;
        }
    }
    rows_at(sp, 1, rows, &found);
    if (!found) {
        sp->merged = *part(sp, 0);
        return ST_OK;
    }
    struct reply *items = spread_items(sp, ELEMENTS);
    if (!items)
        return ST_NOMEM;
    items[0] = text_of("ok", 2);
    return one_row(sp, rows, false, &items[1]);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

/* {weight, quota, unfinished} */
enum status spread_merge_tenant(struct spread *sp)
{
    enum { UNFINISHED = 2, ELEMENTS };
    struct reply *items = spread_items(sp, ELEMENTS);
    if (!items)
        return ST_NOMEM;
    int64_t unfinished = 0;
    for (int i = 0; i < sp->shards; i++) {
        if (!is_there(part(sp, i)) || part(sp, i)->n < ELEMENTS) {
            sp->merged = (struct reply){.kind = REPLY_LOST};
            return ST_OK;
        }
        memcpy(items, part(sp, i)->items, UNFINISHED * sizeof *items);
        unfinished += reply_number(part(sp, i), UNFINISHED);
    }
    items[UNFINISHED] = number_of(unfinished);
    return ST_OK;
}

/* Of these the largest is meant; everything else is summed. */
static bool is_largest(const struct reply *name)
{
    static const char *const largest[] = {"memory percent", "memory limit", "sessions", "sessions in quarantine",
                                          "drained"};
    for (size_t i = 0; i < sizeof largest / sizeof *largest; i++)
        if (name->len == strlen(largest[i]) && memcmp(name->bytes, largest[i], name->len) == 0)
            return true;
    return false;
}

static void add_number(struct reply *items, size_t *n, const struct reply *name, int64_t value)
{
    for (size_t k = 0; k < *n; k += 2)
        if (items[k].len == name->len && memcmp(items[k].bytes, name->bytes, name->len) == 0) {
            int64_t *to = &items[k + 1].integer;
            *to = !is_largest(name) ? *to + value : value > *to ? value : *to;
            return;
        }
    items[*n] = *name;
    items[*n + 1] = number_of(value);
    *n += 2;
}

/* (name, number)* */
enum status spread_merge_queue(struct spread *sp)
{
    enum { OWN = 4 };
    size_t n = 0, used = 0;
    int64_t away = 0;
    for (int i = 0; i < sp->shards; i++) {
        n += is_there(part(sp, i)) ? part(sp, i)->n : 0;
        away += !is_there(part(sp, i));
    }
    struct reply *items = spread_items(sp, n + OWN);
    if (!items)
        return ST_NOMEM;
    const struct reply shards = text_of("shards", strlen("shards")),
                       gone = text_of("shards away", strlen("shards away"));
    add_number(items, &used, &shards, sp->shards);
    add_number(items, &used, &gone, away);
    for (int i = 0; i < sp->shards; i++)
        for (size_t k = 0; is_there(part(sp, i)) && k + 1 < part(sp, i)->n; k += 2)
            add_number(items, &used, &part(sp, i)->items[k], reply_number(part(sp, i), k + 1));
    sp->merged.n = used;
    return ST_OK;
}
