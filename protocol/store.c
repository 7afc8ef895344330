#include "protocol/store.h"

#include <ctype.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { SHA_HEX = 40, PREFIX_BYTES = 24, BACKOFF_FIRST_MS = 20, BACKOFF_MOST_MS = 1000, CONNECT_MS = 2000 };

enum call_kind { CALL_SCRIPT, CALL_LOAD, CALL_PLAIN };

struct call {
    enum call_kind kind;
    uint64_t tag; /* CALL_LOAD: which script */
};

/* A ring of what was sent and not answered; answers come in the same order. */
struct call_queue {
    struct call *items;
    size_t head, n, cap;
};

struct store {
    char *host; /* or the socket's path */
    int port;   /* 0: Unix socket */
    char prefix[PREFIX_BYTES];
    redisContext *redis;
    bool connecting, want_write;
    int loads_left; /* scripts whose hash has not come yet */
    bool reload;    /* Redis forgot the scripts: send them again when nothing is on the way */
    char sha[SCRIPT_COUNT_][SHA_HEX + 1];
    struct call_queue sent;
    struct call_queue lost; /* to be reported as REPLY_LOST */
    int backoff_ms;
    int64_t retry_at, connect_until;
    char trouble[DIAG_BYTES];
};

/* ---- replies ---------------------------------------------------------------------------------------------------- */

const char *reply_bytes(const struct reply *r, size_t i, size_t *len)
{
    if (r->kind == REPLY_ARRAY && i < r->n && r->items[i].kind == REPLY_BYTES) {
        *len = r->items[i].len;
        return r->items[i].bytes;
    }
    *len = 0;
    return "";
}

int64_t reply_number(const struct reply *r, size_t i)
{
    enum { DIGITS = 24 };
    if (r->kind != REPLY_ARRAY || i >= r->n)
        return 0;
    if (r->items[i].kind == REPLY_INT)
        return r->items[i].integer;
    char text[DIGITS] = "";
    size_t len;
    const char *bytes = reply_bytes(r, i, &len);
    if (len >= sizeof text)
        return 0;
    memcpy(text, bytes, len);
    return strtoll(text, NULL, 10);
}

bool reply_is(const struct reply *r, size_t i, const char *text)
{
    size_t len;
    const char *bytes = reply_bytes(r, i, &len);
    return len == strlen(text) && memcmp(bytes, text, len) == 0;
}

bool reply_error_is(const struct reply *r, const char *prefix)
{
    size_t n = strlen(prefix);
    return r->kind == REPLY_ERROR && r->len >= n && memcmp(r->bytes, prefix, n) == 0;
}

/* Mirrors a reply of hiredis; strings stay in it. */
static bool mirror(const redisReply *from, struct reply *to)
{
    *to = (struct reply){.kind = REPLY_NIL};
    switch (from->type) {
    case REDIS_REPLY_INTEGER:
        to->kind = REPLY_INT;
        to->integer = from->integer;
        break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        to->kind = from->type == REDIS_REPLY_ERROR ? REPLY_ERROR : REPLY_BYTES;
        to->bytes = from->str;
        to->len = (size_t)from->len;
        break;
    case REDIS_REPLY_ARRAY:
        to->kind = REPLY_ARRAY;
        if (from->elements == 0)
            break;
        to->items = calloc(from->elements, sizeof *to->items);
        if (!to->items)
            return false;
        for (; to->n < from->elements; to->n++)
            if (!mirror(from->element[to->n], &to->items[to->n]))
                return false;
        break;
    default: break;
    }
    return true;
}

static void free_items(struct reply *r)
{
    for (size_t i = 0; i < r->n; i++)
        free_items(&r->items[i]);
    free(r->items);
}

void store_answer_free(struct store_answer *a)
{
    free_items(&a->reply);
    if (a->owner)
        freeReplyObject(a->owner);
    *a = (struct store_answer){0};
}

/* ---- queue of calls ---------------------------------------------------------------------------------------------- */

static bool queue_push(struct call_queue *q, struct call c)
{
    enum { FIRST = 64 };
    if (q->n == q->cap) {
        size_t cap = q->cap ? 2 * q->cap : FIRST;
        struct call *items = malloc(cap * sizeof *items);
        if (!items)
            return false;
        for (size_t i = 0; i < q->n; i++)
            items[i] = q->items[(q->head + i) % q->cap];
        free(q->items);
        *q = (struct call_queue){.items = items, .n = q->n, .cap = cap};
    }
    q->items[(q->head + q->n++) % q->cap] = c;
    return true;
}

static struct call queue_pop(struct call_queue *q)
{
    struct call c = q->items[q->head];
    q->head = (q->head + 1) % q->cap;
    q->n--;
    return c;
}

/* ---- connection -------------------------------------------------------------------------------------------------- */

enum status store_open(const char *address, int shard, struct store **out, struct diag *why)
{
    const char *at = address;
    if (strncmp(at, "unix:", 5) == 0)
        at += 5;
    else if (strncmp(at, "tcp://", 6) == 0)
        at += 6;
    const char *colon = strrchr(at, ':');
    bool socket_path = at[0] == '/' || at[0] == '.' || !colon;
    long port = socket_path ? 0 : strtol(colon + 1, NULL, 10);
    if (!*at || (!socket_path && (port <= 0 || port > UINT16_MAX || colon == at)))
        return diag_set(why, ST_INVALID, "\"%s\" is no address of Redis; expected /path/of/socket or host:port",
                        address);
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return ST_NOMEM;
    s->host = socket_path ? strdup(at) : strndup(at, (size_t)(colon - at));
    s->port = (int)port;
    if (!s->host) {
        free(s);
        return ST_NOMEM;
    }
    snprintf(s->prefix, sizeof s->prefix, "{q:%d}", shard);
    s->backoff_ms = BACKOFF_FIRST_MS;
    snprintf(s->trouble, sizeof s->trouble, "Redis at %s: not connected yet", address);
    *out = s;
    return ST_OK;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    if (s->redis)
        redisFree(s->redis);
    free(s->sent.items);
    free(s->lost.items);
    free(s->host);
    free(s);
}

/* Everything on the way is lost; the next try comes after a pause. */
static void drop(struct store *s, int64_t now_ms, const char *what)
{
    if (s->port)
        snprintf(s->trouble, sizeof s->trouble, "Redis at %s:%d: %s", s->host, s->port, what);
    else
        snprintf(s->trouble, sizeof s->trouble, "Redis at %s: %s", s->host, what);
    if (s->redis)
        redisFree(s->redis);
    s->redis = NULL;
    s->connecting = s->want_write = s->reload = false;
    while (s->sent.n) {
        struct call c = queue_pop(&s->sent);
        if (c.kind == CALL_SCRIPT)
            (void)queue_push(&s->lost, c); /* room was made by store_send */
    }
    s->retry_at = now_ms + s->backoff_ms;
    s->backoff_ms = s->backoff_ms * 2 < BACKOFF_MOST_MS ? s->backoff_ms * 2 : BACKOFF_MOST_MS;
}

static bool send_loads(struct store *s)
{
    s->loads_left = SCRIPT_COUNT_;
    s->reload = false;
    for (int i = 0; i < SCRIPT_COUNT_; i++) {
        char *text;
        size_t len;
        if (script_text((enum script)i, &text, &len) != ST_OK)
            return false;
        const char *argv[] = {"SCRIPT", "LOAD", text};
        const size_t lens[] = {6, 4, len};
        int rc = redisAppendCommandArgv(s->redis, 3, argv, lens);
        free(text);
        if (rc != REDIS_OK || !queue_push(&s->sent, (struct call){.kind = CALL_LOAD, .tag = (uint64_t)i}))
            return false;
    }
    s->want_write = true;
    return true;
}

static void start_connect(struct store *s, int64_t now_ms)
{
    s->redis = s->port ? redisConnectNonBlock(s->host, s->port) : redisConnectUnixNonBlock(s->host);
    if (!s->redis || s->redis->err) {
        drop(s, now_ms, s->redis ? s->redis->errstr : "memory is short");
        return;
    }
    s->connecting = true;
    s->connect_until = now_ms + CONNECT_MS;
    if (!send_loads(s))
        drop(s, now_ms, "memory is short");
}

int store_fd(const struct store *s)
{
    return s->redis ? s->redis->fd : -1;
}

bool store_wants_write(const struct store *s)
{
    return s->redis && s->want_write;
}

bool store_is_ready(const struct store *s)
{
    return s->redis && !s->connecting && s->loads_left == 0 && !s->reload;
}

const char *store_trouble(const struct store *s)
{
    return store_is_ready(s) ? "" : s->trouble;
}

size_t store_pending(const struct store *s)
{
    return s->sent.n + s->lost.n;
}

static bool is_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) > 0;
}

static void write_out(struct store *s, int64_t now_ms)
{
    int done = 0;
    if (redisBufferWrite(s->redis, &done) != REDIS_OK)
        drop(s, now_ms, s->redis->errstr);
    else
        s->want_write = !done;
}

/* The hash of one script came, or why it can't be had. */
static void on_load(struct store *s, const struct call *c, const redisReply *r, int64_t now_ms)
{
    if (r->type == REDIS_REPLY_STRING && (size_t)r->len == SHA_HEX) {
        memcpy(s->sha[c->tag], r->str, SHA_HEX);
        if (--s->loads_left == 0)
            s->backoff_ms = BACKOFF_FIRST_MS;
        return;
    }
    drop(s, now_ms, r->type == REDIS_REPLY_ERROR ? r->str : "an answer that is no hash of a script");
}

bool store_take(struct store *s, struct store_answer *out)
{
    *out = (struct store_answer){0};
    if (s->lost.n) {
        out->tag = queue_pop(&s->lost).tag;
        out->reply.kind = REPLY_LOST;
        return true;
    }
    void *raw = NULL;
    while (s->redis && redisReaderGetReply(s->redis->reader, &raw) == REDIS_OK && raw) {
        struct call c = s->sent.n ? queue_pop(&s->sent) : (struct call){.kind = CALL_PLAIN};
        if (c.kind == CALL_LOAD) {
            on_load(s, &c, raw, clock_ms());
            freeReplyObject(raw);
            raw = NULL;
            continue;
        }
        *out = (struct store_answer){.tag = c.tag, .owner = raw};
        if (!mirror(raw, &out->reply)) {
            store_answer_free(out);
            *out = (struct store_answer){.tag = c.tag, .reply.kind = REPLY_LOST};
        } else if (reply_error_is(&out->reply, "NOSCRIPT")) {
            s->reload = true;
            store_answer_free(out);
            *out = (struct store_answer){.tag = c.tag, .reply.kind = REPLY_LOST};
        }
        return true;
    }
    if (s->redis && s->redis->reader->err)
        drop(s, clock_ms(), s->redis->reader->errstr);
    return s->lost.n ? store_take(s, out) : false;
}

int store_pump(struct store *s, int64_t now_ms)
{
    if (!s->redis) {
        if (now_ms < s->retry_at)
            return (int)(s->retry_at - now_ms);
        start_connect(s, now_ms);
    }
    if (s->redis && s->connecting) {
        if (is_writable(s->redis->fd))
            s->connecting = false;
        else if (now_ms >= s->connect_until)
            drop(s, now_ms, "no connection within two seconds");
    }
    if (s->redis && !s->connecting && s->reload && s->sent.n == 0 && !send_loads(s))
        drop(s, now_ms, "memory is short");
    /* The socket does not block: trying costs no more than asking whether it would. */
    if (s->redis && !s->connecting && s->want_write)
        write_out(s, now_ms);
    if (s->redis && !s->connecting && redisBufferRead(s->redis) != REDIS_OK)
        drop(s, now_ms, s->redis->errstr);
    if (!s->redis)
        return (int)(s->retry_at - now_ms);
    return s->connecting ? (int)(s->connect_until - now_ms) : -1;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

enum status store_send(struct store *s, enum script script, const struct store_args *args, uint64_t tag)
{
    enum { FRONT = 4 };
    if (!store_is_ready(s))
        return ST_BUSY;
    size_t n = FRONT + args->n;
    const char **argv = malloc(n * sizeof *argv);
    size_t *lens = malloc(n * sizeof *lens);
    enum status st = ST_NOMEM;
    if (!argv || !lens || args->failed)
        goto out;
    argv[0] = "EVALSHA", lens[0] = 7;
    argv[1] = s->sha[script], lens[1] = SHA_HEX;
    argv[2] = "1", lens[2] = 1;
    argv[3] = s->prefix, lens[3] = strlen(s->prefix);
    for (size_t i = 0; i < args->n; i++)
        argv[FRONT + i] = store_args_at(args, i, &lens[FRONT + i]);
    /* Room in `lost` for everything on the way, so that a broken connection needs no memory. */
    struct call c = {.kind = CALL_SCRIPT, .tag = tag};
    if (s->lost.cap - s->lost.n <= s->sent.n) {
        size_t before = s->lost.n, want = s->sent.n + s->lost.n + 1;
        while (s->lost.n < want && queue_push(&s->lost, c))
            ;
        bool grown = s->lost.n == want;
        s->lost.n = before;
        if (!grown)
            goto out;
    }
    if (!queue_push(&s->sent, c))
        goto out;
    if (redisAppendCommandArgv(s->redis, (int)n, argv, lens) != REDIS_OK) {
        s->sent.n--;
        goto out;
    }
    s->want_write = true;
    st = ST_OK;
out:
    free(argv);
    free(lens);
    return st;
}

static void wait_io(struct store *s, int due_ms, int64_t until)
{
    int64_t now = clock_ms(), left = until - now;
    if (!s->redis) /* an answer may have ended the connection since due_ms was known */
        due_ms = s->retry_at > now ? (int)(s->retry_at - now) : 0;
    int timeout = due_ms >= 0 && due_ms < left ? due_ms : (int)(left > 0 ? left : 0);
    struct pollfd p = {.fd = store_fd(s), .events = POLLIN};
    if (store_wants_write(s) || s->connecting)
        p.events = (short)(p.events | POLLOUT);
    (void)poll(&p, 1, timeout);
}

enum status store_wait_ready(struct store *s, int timeout_ms, struct diag *why)
{
    int64_t until = clock_ms() + timeout_ms;
    struct store_answer stray;
    for (;;) {
        int due = store_pump(s, clock_ms());
        if (store_take(s, &stray)) /* loads are handled inside; nothing else is on the way */
            store_answer_free(&stray);
        if (store_is_ready(s))
            return ST_OK;
        if (clock_ms() >= until)
            return diag_set(why, ST_IO, "%s", s->trouble);
        wait_io(s, due, until);
    }
}

static enum status wait_answer(struct store *s, int64_t until, struct store_answer *out, struct diag *why)
{
    for (;;) {
        int due = store_pump(s, clock_ms());
        if (store_take(s, out))
            break;
        if (clock_ms() >= until) {
            drop(s, clock_ms(), "no answer in time");
            continue; /* the call comes back as lost */
        }
        wait_io(s, due, until);
    }
    if (out->reply.kind == REPLY_LOST)
        return diag_set(why, ST_IO, "%s", s->trouble);
    if (out->reply.kind != REPLY_ERROR)
        return ST_OK;
    enum status st = diag_set(why, ST_REFUSED, "Redis: %.*s", (int)out->reply.len, out->reply.bytes);
    store_answer_free(out);
    return st;
}

enum status store_call(struct store *s, enum script script, const struct store_args *args, int timeout_ms,
                       struct store_answer *out, struct diag *why)
{
    int64_t until = clock_ms() + timeout_ms;
    enum status st = store_wait_ready(s, timeout_ms, why);
    if (st == ST_OK)
        st = store_send(s, script, args, 0);
    return st == ST_OK ? wait_answer(s, until, out, why) : st;
}

/* ---- safety ------------------------------------------------------------------------------------------------------ */

static enum status plain_call(struct store *s, int64_t until, const char *const *words, int n, struct store_answer *out,
                              struct diag *why)
{
    enum { MOST = 4 };
    const char *argv[MOST];
    size_t lens[MOST];
    for (int i = 0; i < n; i++) {
        argv[i] = words[i];
        lens[i] = strlen(words[i]);
    }
    if (redisAppendCommandArgv(s->redis, n, argv, lens) != REDIS_OK ||
        !queue_push(&s->sent, (struct call){.kind = CALL_SCRIPT}))
        return ST_NOMEM;
    s->want_write = true;
    return wait_answer(s, until, out, why);
}

/* One rule: the setting is as wanted, or (not) as unwanted. Adds a sentence to all->text where it is unsafe. */
struct rule {
    const char *name, *want; /* NULL: anything but `never` */
    const char *never, *because;
};

static enum status check_rule(struct store *s, int64_t until, const struct rule *rule, struct diag *all,
                              struct diag *why)
{
    const char *const words[] = {"CONFIG", "GET", rule->name};
    struct store_answer a;
    enum status st = plain_call(s, until, words, 3, &a, why);
    if (st != ST_OK)
        return st;
    size_t len, at = strlen(all->text);
    const char *found = reply_bytes(&a.reply, 1, &len);
    const char *sep = at ? "; " : "";
    if (rule->want && !reply_is(&a.reply, 1, rule->want))
        snprintf(all->text + at, sizeof all->text - at, "%s%s is %.*s, not %s: %s", sep, rule->name, (int)len, found,
                 rule->want, rule->because);
    else if (rule->never && reply_is(&a.reply, 1, rule->never))
        snprintf(all->text + at, sizeof all->text - at, "%s%s is %s: %s", sep, rule->name, rule->never, rule->because);
    store_answer_free(&a);
    return ST_OK;
}

static enum status check_version(struct store *s, int64_t until, struct diag *why)
{
    const char *const words[] = {"INFO", "server"};
    struct store_answer a;
    enum status st = plain_call(s, until, words, 2, &a, why);
    if (st != ST_OK)
        return st;
    const char *at = a.reply.kind == REPLY_BYTES ? strstr(a.reply.bytes, "redis_version:") : NULL;
    long major = at ? strtol(at + strlen("redis_version:"), NULL, 10) : 0;
    store_answer_free(&a);
    if (major < 7)
        return diag_set(why, ST_UNSUPPORTED, "Redis %ld is too old; its scripts need 7.0 or later", major);
    return ST_OK;
}

enum status store_check_safety(struct store *s, int timeout_ms, struct diag *why)
{
    static const struct rule rules[] = {
        {"appendonly", "yes", NULL, "a restart forgets every job"},
        {"appendfsync", "always", NULL, "kill -9 of Redis loses jobs that were acknowledged"},
        {"maxmemory-policy", "noeviction", NULL, "jobs may be evicted"},
        {"maxmemory", NULL, "0", "the machine runs out of memory instead of new jobs being refused"},
    };
    int64_t until = clock_ms() + timeout_ms;
    enum status st = store_wait_ready(s, timeout_ms, why);
    if (st == ST_OK)
        st = check_version(s, until, why);
    struct diag all = {.text = ""};
    for (size_t i = 0; st == ST_OK && i < sizeof rules / sizeof rules[0]; i++)
        st = check_rule(s, until, &rules[i], &all, why);
    if (st == ST_OK && all.text[0])
        st = diag_set(why, ST_REFUSED, "Redis' settings are unsafe: %s", all.text);
    return st;
}
