/* Keys and values as sorted arrays, and states as bytes. */
#include "tests/explore/memory_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void memory_fail(const char *what, struct text name)
{
    fprintf(stderr, "memory_redis: %s: %.*s\n", what, (int)name.len, name.at);
    abort();
}

/* ---- bytes --------------------------------------------------------------------------------------------------------
 */

struct text text_of(const char *s)
{
    return (struct text){.at = s, .len = strlen(s)};
}

bool text_same(struct text a, struct text b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

bool text_is(struct text t, const char *s)
{
    return text_same(t, text_of(s));
}

static int compare(struct text a, struct text b)
{
    int c = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);
    return c ? c : a.len < b.len ? -1 : a.len > b.len;
}

void *arena_take(struct arena *a, size_t n)
{
    enum { ALIGN = 16 };
    size_t at = (a->used + ALIGN - 1) / ALIGN * ALIGN;
    if (at + n > a->cap)
        memory_fail("the arena is full", text_of(""));
    a->used = at + n;
    return a->bytes + at;
}

struct text arena_copy(struct arena *a, const char *at, size_t len)
{
    char *bytes = arena_take(a, len + 1);
    if (len)
        memcpy(bytes, at, len);
    bytes[len] = '\0';
    return (struct text){.at = bytes, .len = len};
}

struct text memory_copy(struct memory_redis *r, struct text t)
{
    return arena_copy(r->arena, t.at, t.len);
}

struct text memory_number(struct memory_redis *r, double d)
{
    char s[32];
    snprintf(s, sizeof s, "%.17g", d);
    return memory_copy(r, text_of(s));
}

double memory_as_double(struct text t)
{
    char s[64] = "";
    if (t.len >= sizeof s)
        memory_fail("no number", t);
    memcpy(s, t.at, t.len);
    return strtod(s, NULL); /* "+inf" and "-inf" too */
}

int64_t memory_as_int(struct text t)
{
    char s[32] = "", *end;
    if (t.len == 0 || t.len >= sizeof s)
        memory_fail("no whole number", t);
    memcpy(s, t.at, t.len);
    int64_t v = strtoll(s, &end, 10);
    if (*end)
        memory_fail("no whole number", t);
    return v;
}

/* ---- keys ---------------------------------------------------------------------------------------------------------
 */

size_t memory_place(const struct memory_redis *r, struct text name)
{
    size_t at = 0;
    while (at < r->n && compare(r->keys[at].name, name) < 0)
        at++;
    return at;
}

const struct value *memory_find(const struct memory_redis *r, struct text name)
{
    size_t at = memory_place(r, name);
    return at < r->n && text_same(r->keys[at].name, name) ? &r->keys[at] : NULL;
}

struct value *memory_find_kind(struct memory_redis *r, struct text name, enum value_kind kind)
{
    size_t at = memory_place(r, name);
    struct value *v = at < r->n && text_same(r->keys[at].name, name) ? &r->keys[at] : NULL;
    if (v && v->kind != kind)
        memory_fail("WRONGTYPE", name);
    return v;
}

struct value *memory_make(struct memory_redis *r, struct text name, enum value_kind kind)
{
    struct value *v = memory_find_kind(r, name, kind);
    if (v)
        return v;
    size_t at = memory_place(r, name);
    if (r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 64;
        struct value *keys = arena_take(r->arena, cap * sizeof *keys);
        if (r->n)
            memcpy(keys, r->keys, r->n * sizeof *keys);
        r->keys = keys;
        r->cap = cap;
    }
    memmove(&r->keys[at + 1], &r->keys[at], (r->n - at) * sizeof *r->keys);
    r->n++;
    r->keys[at] = (struct value){.name = memory_copy(r, name), .kind = kind};
    return &r->keys[at];
}

void memory_drop(struct memory_redis *r, struct value *v)
{
    size_t at = (size_t)(v - r->keys);
    memmove(v, v + 1, (r->n - at - 1) * sizeof *v);
    r->n--;
}

struct element *memory_insert(struct memory_redis *r, struct value *v, size_t at, struct element e)
{
    if (v->n == v->cap) {
        size_t cap = v->cap ? 2 * v->cap : 8;
        struct element *items = arena_take(r->arena, cap * sizeof *items);
        if (v->n)
            memcpy(items, v->items, v->n * sizeof *items);
        v->items = items;
        v->cap = cap;
    }
    memmove(&v->items[at + 1], &v->items[at], (v->n - at) * sizeof *v->items);
    v->n++;
    v->items[at] = e;
    return &v->items[at];
}

/* The last element takes its key along. */
void memory_erase(struct memory_redis *r, struct value *v, size_t at)
{
    memmove(&v->items[at], &v->items[at + 1], (v->n - at - 1) * sizeof *v->items);
    if (--v->n == 0)
        memory_drop(r, v);
}

size_t memory_index_of(const struct value *v, struct text field)
{
    size_t at = 0;
    while (v && at < v->n && !text_same(v->items[at].field, field))
        at++;
    return v && at < v->n ? at : SIZE_MAX;
}

const struct element *memory_field(const struct value *v, struct text field)
{
    size_t at = memory_index_of(v, field);
    return at == SIZE_MAX ? NULL : &v->items[at];
}

struct element *memory_add_sorted(struct memory_redis *r, struct value *v, struct element e)
{
    size_t at = 0;
    while (at < v->n &&
           (v->kind == VALUE_ZSET && v->items[at].score != e.score ? v->items[at].score < e.score
                                                                   : compare(v->items[at].field, e.field) < 0))
        at++;
    return memory_insert(r, v, at, e);
}

/* ---- states as bytes -----------------------------------------------------------------------------------------------
 */

static void put(struct arena *a, const void *bytes, size_t n)
{
    if (a->used + n > a->cap)
        memory_fail("the arena is full", text_of(""));
    if (n)
        memcpy(a->bytes + a->used, bytes, n);
    a->used += n;
}

static void put_text(struct arena *a, struct text t)
{
    uint32_t len = (uint32_t)t.len;
    put(a, &len, sizeof len);
    put(a, t.at, t.len);
}

struct text memory_save(const struct memory_redis *r)
{
    struct arena *a = r->arena;
    size_t from = a->used;
    uint32_t n = (uint32_t)r->n;
    put(a, &r->now_ms, sizeof r->now_ms);
    put(a, &n, sizeof n);
    for (size_t i = 0; i < r->n; i++) {
        const struct value *v = &r->keys[i];
        uint32_t head[2] = {(uint32_t)v->kind, (uint32_t)v->n};
        put_text(a, v->name);
        put(a, head, sizeof head);
        for (size_t k = 0; k < v->n; k++) {
            put_text(a, v->items[k].field);
            if (v->kind == VALUE_HASH)
                put_text(a, v->items[k].value);
            if (v->kind == VALUE_ZSET)
                put(a, &v->items[k].score, sizeof v->items[k].score);
        }
    }
    return (struct text){.at = a->bytes + from, .len = a->used - from};
}

static void get(struct text *t, void *out, size_t n)
{
    memcpy(out, t->at, n);
    t->at += n;
}

static struct text get_text(struct text *t)
{
    uint32_t len;
    get(t, &len, sizeof len);
    struct text out = {.at = t->at, .len = len};
    t->at += len;
    return out;
}

void memory_load(struct memory_redis *r, struct arena *a, struct text saved)
{
    uint32_t n;
    *r = (struct memory_redis){.arena = a};
    get(&saved, &r->now_ms, sizeof r->now_ms);
    get(&saved, &n, sizeof n);
    r->n = n;
    r->cap = n + 16;
    r->keys = arena_take(a, r->cap * sizeof *r->keys);
    for (size_t i = 0; i < n; i++) {
        uint32_t head[2];
        struct value *v = &r->keys[i];
        *v = (struct value){.name = get_text(&saved)};
        get(&saved, head, sizeof head);
        v->kind = (enum value_kind)head[0];
        v->n = head[1];
        v->cap = v->n + 4;
        v->items = arena_take(a, v->cap * sizeof *v->items);
        for (size_t k = 0; k < v->n; k++) {
            v->items[k] = (struct element){.field = get_text(&saved)};
            if (v->kind == VALUE_HASH)
                v->items[k].value = get_text(&saved);
            if (v->kind == VALUE_ZSET)
                get(&saved, &v->items[k].score, sizeof v->items[k].score);
        }
    }
}
