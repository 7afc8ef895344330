/* The commands that scripts call. */
#include <stdio.h>
#include <string.h>

#include "tests/explore/memory_impl.h"

/* ---- replies -------------------------------------------------------------------------------------------------------
 */

static const struct memory_reply nil = {.kind = MEMORY_NIL};

static struct memory_reply an_int(int64_t i)
{
    return (struct memory_reply){.kind = MEMORY_INT, .integer = i};
}

static struct memory_reply a_text(struct text t)
{
    return (struct memory_reply){.kind = MEMORY_TEXT, .text = t};
}

static struct memory_reply array(struct memory_redis *r, size_t most)
{
    struct memory_reply a = {.kind = MEMORY_ARRAY};
    a.items = arena_take(r->arena, (most ? most : 1) * sizeof *a.items);
    return a;
}

/* ---- commands: hashes ----------------------------------------------------------------------------------------------
 */

struct call {
    struct memory_redis *r;
    const struct text *args; /* behind the name */
    size_t n;
};

static void set_field(struct call c, struct value *v, struct text field, struct text value, int64_t *added)
{
    size_t at = memory_index_of(v, field);
    if (at != SIZE_MAX) {
        v->items[at].value = memory_copy(c.r, value);
        return;
    }
    memory_add_sorted(c.r, v, (struct element){.field = memory_copy(c.r, field), .value = memory_copy(c.r, value)});
    (*added)++;
}

static struct memory_reply hset(struct call c)
{
    int64_t added = 0;
    struct value *v = memory_make(c.r, c.args[0], VALUE_HASH);
    for (size_t i = 1; i + 1 < c.n; i += 2)
        set_field(c, v, c.args[i], c.args[i + 1], &added);
    return an_int(added);
}

static struct memory_reply hsetnx(struct call c)
{
    int64_t added = 0;
    struct value *v = memory_make(c.r, c.args[0], VALUE_HASH);
    if (memory_index_of(v, c.args[1]) == SIZE_MAX)
        set_field(c, v, c.args[1], c.args[2], &added);
    return an_int(added);
}

static struct memory_reply hget(struct call c)
{
    const struct element *e = memory_field(memory_find_kind(c.r, c.args[0], VALUE_HASH), c.args[1]);
    return e ? a_text(e->value) : nil;
}

static struct memory_reply hmget(struct call c)
{
    const struct value *v = memory_find_kind(c.r, c.args[0], VALUE_HASH);
    struct memory_reply a = array(c.r, c.n);
    for (size_t i = 1; i < c.n; i++) {
        const struct element *e = memory_field(v, c.args[i]);
        a.items[a.n++] = e ? a_text(e->value) : nil;
    }
    return a;
}

/* HDEL, ZREM, SREM. */
static struct memory_reply remove_fields(struct call c, enum value_kind kind)
{
    int64_t n = 0;
    for (size_t i = 1; i < c.n; i++) {
        struct value *v = memory_find_kind(c.r, c.args[0], kind);
        size_t at = memory_index_of(v, c.args[i]);
        if (at != SIZE_MAX) {
            memory_erase(c.r, v, at);
            n++;
        }
    }
    return an_int(n);
}

static struct memory_reply hdel(struct call c)
{
    return remove_fields(c, VALUE_HASH);
}

static struct memory_reply count_of(struct call c, enum value_kind kind)
{
    const struct value *v = memory_find_kind(c.r, c.args[0], kind);
    return an_int(v ? (int64_t)v->n : 0);
}

static struct memory_reply hlen(struct call c)
{
    return count_of(c, VALUE_HASH);
}

static struct memory_reply hexists(struct call c)
{
    return an_int(memory_field(memory_find_kind(c.r, c.args[0], VALUE_HASH), c.args[1]) != NULL);
}

static struct memory_reply hincrby(struct call c)
{
    char s[32];
    int64_t ignored = 0;
    struct value *v = memory_make(c.r, c.args[0], VALUE_HASH);
    const struct element *e = memory_field(v, c.args[1]);
    int64_t sum = (e ? memory_as_int(e->value) : 0) + memory_as_int(c.args[2]);
    snprintf(s, sizeof s, "%lld", (long long)sum);
    set_field(c, v, c.args[1], text_of(s), &ignored);
    return an_int(sum);
}

static struct memory_reply fields(struct call c, bool names_only, size_t most)
{
    const struct value *v = memory_find_kind(c.r, c.args[0], VALUE_HASH);
    struct memory_reply a = array(c.r, v ? 2 * v->n : 0);
    for (size_t i = 0; v && i < v->n && i < most; i++) {
        a.items[a.n++] = a_text(v->items[i].field);
        if (!names_only)
            a.items[a.n++] = a_text(v->items[i].value);
    }
    return a;
}

static struct memory_reply hkeys(struct call c)
{
    return fields(c, true, SIZE_MAX);
}

static struct memory_reply hgetall(struct call c)
{
    return fields(c, false, SIZE_MAX);
}

static struct memory_reply hrandfield(struct call c)
{
    return fields(c, c.n < 3, (size_t)memory_as_int(c.args[1]));
}

static struct memory_reply hstrlen(struct call c)
{
    const struct element *e = memory_field(memory_find_kind(c.r, c.args[0], VALUE_HASH), c.args[1]);
    return an_int(e ? (int64_t)e->value.len : 0);
}

/* ---- lists ---------------------------------------------------------------------------------------------------------
 */

static struct memory_reply push(struct call c, bool left)
{
    struct value *v = memory_make(c.r, c.args[0], VALUE_LIST);
    for (size_t i = 1; i < c.n; i++)
        memory_insert(c.r, v, left ? 0 : v->n, (struct element){.field = memory_copy(c.r, c.args[i])});
    return an_int((int64_t)v->n);
}

static struct memory_reply lpush(struct call c)
{
    return push(c, true);
}

static struct memory_reply rpush(struct call c)
{
    return push(c, false);
}

static struct memory_reply lpop(struct call c)
{
    struct value *v = memory_find_kind(c.r, c.args[0], VALUE_LIST);
    if (!v)
        return nil;
    int64_t most = c.n > 1 ? memory_as_int(c.args[1]) : 1;
    struct memory_reply a = array(c.r, v->n);
    for (size_t left = v->n; left > 0 && (int64_t)a.n < most; left--) {
        a.items[a.n++] = a_text(v->items[0].field);
        memory_erase(c.r, v, 0);
    }
    return c.n > 1 ? a : a.items[0];
}

static struct memory_reply llen(struct call c)
{
    return count_of(c, VALUE_LIST);
}

/* Redis counts from the end where a number is negative. */
static void bounds(int64_t *from, int64_t *to, size_t n)
{
    *from = *from < 0 ? *from + (int64_t)n : *from;
    *to = *to < 0 ? *to + (int64_t)n : *to;
    *from = *from < 0 ? 0 : *from;
    *to = *to >= (int64_t)n ? (int64_t)n - 1 : *to;
}

static struct memory_reply lrange(struct call c)
{
    const struct value *v = memory_find_kind(c.r, c.args[0], VALUE_LIST);
    int64_t from = memory_as_int(c.args[1]), to = memory_as_int(c.args[2]);
    struct memory_reply a = array(c.r, v ? v->n : 0);
    bounds(&from, &to, v ? v->n : 0);
    for (int64_t i = from; v && i <= to; i++)
        a.items[a.n++] = a_text(v->items[i].field);
    return a;
}

/* ---- sorted sets ---------------------------------------------------------------------------------------------------
 */

static void set_score(struct call c, struct value *v, struct text field, double score)
{
    size_t at = memory_index_of(v, field);
    struct element e = {.field = at == SIZE_MAX ? memory_copy(c.r, field) : v->items[at].field, .score = score};
    if (at != SIZE_MAX) {
        memmove(&v->items[at], &v->items[at + 1], (v->n - at - 1) * sizeof *v->items);
        v->n--;
    }
    memory_add_sorted(c.r, v, e);
}

static struct memory_reply zadd(struct call c)
{
    bool only_new = c.n > 3 && text_is(c.args[1], "NX");
    int64_t added = 0;
    struct value *v = memory_make(c.r, c.args[0], VALUE_ZSET);
    for (size_t i = only_new ? 2 : 1; i + 1 < c.n; i += 2) {
        bool is_new = memory_index_of(v, c.args[i + 1]) == SIZE_MAX;
        added += is_new;
        if (is_new || !only_new)
            set_score(c, v, c.args[i + 1], memory_as_double(c.args[i]));
    }
    return an_int(added);
}

static struct memory_reply zincrby(struct call c)
{
    struct value *v = memory_make(c.r, c.args[0], VALUE_ZSET);
    const struct element *e = memory_field(v, c.args[2]);
    double sum = (e ? e->score : 0) + memory_as_double(c.args[1]);
    set_score(c, v, c.args[2], sum);
    return a_text(memory_number(c.r, sum));
}

static struct memory_reply zscore(struct call c)
{
    const struct element *e = memory_field(memory_find_kind(c.r, c.args[0], VALUE_ZSET), c.args[1]);
    return e ? a_text(memory_number(c.r, e->score)) : nil;
}

static struct memory_reply zrem(struct call c)
{
    return remove_fields(c, VALUE_ZSET);
}

static struct memory_reply zrange(struct call c)
{
    const struct value *v = memory_find_kind(c.r, c.args[0], VALUE_ZSET);
    bool scores = c.n > 3 && text_is(c.args[3], "WITHSCORES");
    int64_t from = memory_as_int(c.args[1]), to = memory_as_int(c.args[2]);
    struct memory_reply a = array(c.r, v ? 2 * v->n : 0);
    bounds(&from, &to, v ? v->n : 0);
    for (int64_t i = from; v && i <= to; i++) {
        a.items[a.n++] = a_text(v->items[i].field);
        if (scores)
            a.items[a.n++] = a_text(memory_number(c.r, v->items[i].score));
    }
    return a;
}

static struct memory_reply zrangebyscore(struct call c)
{
    const struct value *v = memory_find_kind(c.r, c.args[0], VALUE_ZSET);
    double from = memory_as_double(c.args[1]), to = memory_as_double(c.args[2]);
    int64_t skip = 0, most = INT64_MAX;
    if (c.n > 5 && text_is(c.args[3], "LIMIT")) {
        skip = memory_as_int(c.args[4]);
        most = memory_as_int(c.args[5]);
    }
    struct memory_reply a = array(c.r, v ? v->n : 0);
    for (size_t i = 0; v && i < v->n && (int64_t)a.n < most; i++)
        if (v->items[i].score >= from && v->items[i].score <= to && skip-- <= 0)
            a.items[a.n++] = a_text(v->items[i].field);
    return a;
}

static struct memory_reply zcount(struct call c)
{
    return an_int((int64_t)zrangebyscore(c).n);
}

static struct memory_reply zcard(struct call c)
{
    return count_of(c, VALUE_ZSET);
}

/* ---- sets, strings, keys -------------------------------------------------------------------------------------------
 */

static struct memory_reply sadd(struct call c)
{
    int64_t added = 0;
    struct value *v = memory_make(c.r, c.args[0], VALUE_SET);
    for (size_t i = 1; i < c.n; i++)
        if (memory_index_of(v, c.args[i]) == SIZE_MAX) {
            memory_add_sorted(c.r, v, (struct element){.field = memory_copy(c.r, c.args[i])});
            added++;
        }
    return an_int(added);
}

static struct memory_reply srem(struct call c)
{
    return remove_fields(c, VALUE_SET);
}

static struct memory_reply zmscore(struct call c)
{
    struct memory_reply a = array(c.r, c.n);
    for (size_t i = 1; i < c.n; i++)
        a.items[a.n++] = zscore((struct call){.r = c.r, .args = (const struct text[]){c.args[0], c.args[i]}, .n = 2});
    return a;
}

static struct memory_reply lindex(struct call c)
{
    const struct value *v = memory_find_kind(c.r, c.args[0], VALUE_LIST);
    return v && text_is(c.args[1], "0") ? a_text(v->items[0].field) : nil;
}

static struct memory_reply scard(struct call c)
{
    return count_of(c, VALUE_SET);
}

static struct memory_reply sismember(struct call c)
{
    return an_int(memory_field(memory_find_kind(c.r, c.args[0], VALUE_SET), c.args[1]) != NULL);
}

static struct memory_reply smismember(struct call c)
{
    const struct value *v = memory_find_kind(c.r, c.args[0], VALUE_SET);
    struct memory_reply a = array(c.r, c.n);
    for (size_t i = 1; i < c.n; i++)
        a.items[a.n++] = an_int(memory_field(v, c.args[i]) != NULL);
    return a;
}

static struct memory_reply srandmember(struct call c)
{
    const struct value *v = memory_find_kind(c.r, c.args[0], VALUE_SET);
    return v ? a_text(v->items[0].field) : nil;
}

static struct memory_reply get_string(struct call c)
{
    const struct value *v = memory_find_kind(c.r, c.args[0], VALUE_STRING);
    return v ? a_text(v->items[0].field) : nil;
}

static struct memory_reply set_string(struct call c)
{
    struct value *v = memory_make(c.r, c.args[0], VALUE_STRING);
    v->n = 0;
    memory_insert(c.r, v, 0, (struct element){.field = memory_copy(c.r, c.args[1])});
    return a_text(text_of("OK"));
}

static struct memory_reply exists(struct call c)
{
    int64_t n = 0;
    for (size_t i = 0; i < c.n; i++)
        n += memory_find(c.r, c.args[i]) != NULL;
    return an_int(n);
}

static struct memory_reply del(struct call c)
{
    int64_t n = 0;
    for (size_t i = 0; i < c.n; i++) {
        size_t at = memory_place(c.r, c.args[i]);
        if (at < c.r->n && text_same(c.r->keys[at].name, c.args[i])) {
            memory_drop(c.r, &c.r->keys[at]);
            n++;
        }
    }
    return an_int(n);
}

static struct memory_reply time_now(struct call c)
{
    struct memory_reply a = array(c.r, 2);
    a.items[a.n++] = a_text(memory_number(c.r, (double)(c.r->now_ms / 1000)));
    a.items[a.n++] = a_text(memory_number(c.r, (double)(c.r->now_ms % 1000 * 1000)));
    return a;
}

/* Memory that is never short. */
static struct memory_reply info(struct call c)
{
    (void)c;
    return a_text(text_of("used_memory:1\r\nmaxmemory:1073741824\r\n"));
}

struct memory_reply memory_command(struct memory_redis *r, const struct text *args, size_t n)
{
    static const struct {
        const char *name;
        struct memory_reply (*run)(struct call c);
        size_t least; /* arguments */
    } commands[] = {
        {"HSET", hset, 3},
        {"HSETNX", hsetnx, 3},
        {"HGET", hget, 2},
        {"HMGET", hmget, 2},
        {"HDEL", hdel, 2},
        {"HLEN", hlen, 1},
        {"HEXISTS", hexists, 2},
        {"HINCRBY", hincrby, 3},
        {"HKEYS", hkeys, 1},
        {"HGETALL", hgetall, 1},
        {"HSTRLEN", hstrlen, 2},
        {"HRANDFIELD", hrandfield, 2},
        {"LPUSH", lpush, 2},
        {"RPUSH", rpush, 2},
        {"LPOP", lpop, 1},
        {"LLEN", llen, 1},
        {"LINDEX", lindex, 2},
        {"LRANGE", lrange, 3},
        {"ZADD", zadd, 3},
        {"ZREM", zrem, 2},
        {"ZSCORE", zscore, 2},
        {"ZMSCORE", zmscore, 2},
        {"ZRANGE", zrange, 3},
        {"ZINCRBY", zincrby, 3},
        {"ZCARD", zcard, 1},
        {"ZRANGEBYSCORE", zrangebyscore, 3},
        {"ZCOUNT", zcount, 3},
        {"SADD", sadd, 2},
        {"SREM", srem, 2},
        {"SCARD", scard, 1},
        {"SISMEMBER", sismember, 2},
        {"SMISMEMBER", smismember, 2},
        {"SRANDMEMBER", srandmember, 1},
        {"GET", get_string, 1},
        {"SET", set_string, 2},
        {"EXISTS", exists, 1},
        {"DEL", del, 1},
        {"TIME", time_now, 0},
        {"INFO", info, 0},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (text_is(args[0], commands[i].name)) {
            if (n - 1 < commands[i].least)
                memory_fail("wrong number of arguments", args[0]);
            return commands[i].run((struct call){.r = r, .args = args + 1, .n = n - 1});
        }
    memory_fail("a command that is not known here", args[0]);
    return nil;
}
