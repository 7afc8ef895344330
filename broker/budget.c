#include "broker/budget.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A name is the side and kind of an account, and the connection's name or the key. */
enum { NAME_BYTES = 2 + LINK_PEER_BYTES };
_Static_assert(LINK_KEY_BYTES <= LINK_PEER_BYTES, "a key fits");
struct account {
    uint8_t name[NAME_BYTES];
    int calls; /* 0: a free row */
    size_t bytes;
};

/* Open addressing; at most half of the rows are used. */
struct budget {
    struct budget_limits limits;
    struct account *rows;
    size_t n, cap; /* cap: a power of two */
};

enum status budget_new(const struct budget_limits *limits, struct budget **out)
{
    enum { FIRST = 64 };
    struct budget *b = calloc(1, sizeof *b);
    if (b)
        b->rows = calloc(FIRST, sizeof *b->rows);
    if (!b || !b->rows) {
        free(b);
        return ST_NOMEM;
    }
    b->limits = *limits;
    b->cap = FIRST;
    *out = b;
    return ST_OK;
}

void budget_free(struct budget *b)
{
    if (b)
        free(b->rows);
    free(b);
}

size_t budget_size(const struct budget *b)
{
    return b->n;
}

/* FNV-1a. A peer that chooses its name for collisions makes its own search long, in a table of those on the way. */
static size_t place(const struct budget *b, const uint8_t *name)
{
    uint64_t h = 14695981039346656037ULL;
    for (int i = 0; i < NAME_BYTES; i++)
        h = (h ^ name[i]) * 1099511628211ULL;
    return (size_t)(h ^ h >> 32) & (b->cap - 1);
}

static struct account *find(const struct budget *b, const uint8_t *name)
{
    size_t at = place(b, name);
    while (b->rows[at].calls && memcmp(b->rows[at].name, name, NAME_BYTES) != 0)
        at = (at + 1) & (b->cap - 1);
    return &b->rows[at];
}

static bool grow(struct budget *b)
{
    struct budget bigger = {.limits = b->limits, .n = b->n, .cap = 2 * b->cap};
    bigger.rows = calloc(bigger.cap, sizeof *bigger.rows);
    if (!bigger.rows)
        return false;
    for (size_t i = 0; i < b->cap; i++)
        if (b->rows[i].calls)
            *find(&bigger, b->rows[i].name) = b->rows[i];
    free(b->rows);
    *b = bigger;
    return true;
}

/* Frees a row; those behind it that would be searched for across the hole move up. */
static void clear(struct budget *b, struct account *a)
{
    size_t hole = (size_t)(a - b->rows), mask = b->cap - 1;
    b->n--;
    for (size_t at = (hole + 1) & mask; b->rows[at].calls; at = (at + 1) & mask) {
        size_t home = place(b, b->rows[at].name);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            b->rows[hole] = b->rows[at];
            hole = at;
        }
    }
    b->rows[hole] = (struct account){.calls = 0};
}

static void name_of(enum side side, const struct link_peer *peer, bool by_key, uint8_t name[NAME_BYTES])
{
    memset(name, 0, NAME_BYTES);
    name[0] = (uint8_t)(side + 1);
    name[1] = by_key;
    if (by_key)
        memcpy(name + 2, peer->key, LINK_KEY_BYTES);
    else
        memcpy(name + 2, peer->bytes, peer->len);
}

/* Workers share a key by the hundred, and each has little on the way. */
static bool has_key_account(enum side side, const struct link_peer *peer)
{
    return side == SIDE_CLIENT && peer->trust == LINK_HAS_KEY;
}

/* A question always fits an account that has nothing on the way, however long it is. */
static bool take(struct budget *b, const uint8_t *name, size_t bytes, int most_calls, size_t most_bytes)
{
    if (2 * (b->n + 1) > b->cap && !grow(b))
        return false;
    struct account *a = find(b, name);
    if (a->calls && (a->calls >= most_calls || a->bytes + bytes > most_bytes))
        return false;
    if (!a->calls) {
        memcpy(a->name, name, NAME_BYTES);
        b->n++;
    }
    a->calls++;
    a->bytes += bytes;
    return true;
}

static void give(struct budget *b, const uint8_t *name, size_t bytes)
{
    struct account *a = find(b, name);
    if (!a->calls)
        return;
    a->bytes -= bytes < a->bytes ? bytes : a->bytes;
    if (--a->calls == 0)
        clear(b, a);
}

bool budget_take(struct budget *b, enum side side, const struct link_peer *peer, size_t bytes)
{
    const struct budget_limits *l = &b->limits;
    uint8_t own[NAME_BYTES], key[NAME_BYTES];
    name_of(side, peer, false, own);
    if (!take(b, own, bytes, l->calls, l->bytes))
        return false;
    if (!has_key_account(side, peer))
        return true;
    name_of(side, peer, true, key);
    if (take(b, key, bytes, l->key_calls, l->key_bytes))
        return true;
    give(b, own, bytes);
    return false;
}

void budget_give(struct budget *b, enum side side, const struct link_peer *peer, size_t bytes)
{
    uint8_t name[NAME_BYTES];
    name_of(side, peer, false, name);
    give(b, name, bytes);
    if (!has_key_account(side, peer))
        return;
    name_of(side, peer, true, name);
    give(b, name, bytes);
}
