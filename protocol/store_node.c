#include "protocol/store_node.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "protocol/script_hash.h"
#include "protocol/spread.h"

enum { SHA_HEX = 40, BACKOFF_FIRST_MS = 20, BACKOFF_MOST_MS = 1000, CONNECT_MS = 2000 };

/* A ring of what was sent and not answered; answers come in the same order. */
struct call_queue {
    struct call *items;
    size_t head, n, cap;
};

struct node {
    char *host; /* or the socket's path */
    int port;   /* 0: Unix socket */
    redisContext *redis;
    bool connecting, want_write;
    const struct store_login *login; /* or NULL */
    uint64_t scripts;                /* a bit for each that may be called */
    int loads_left;                  /* scripts whose hash has not come yet, and the login */
    bool reload;                     /* Redis forgot the scripts: send them again when nothing is on the way */
    char sha[SCRIPT_COUNT_][SHA_HEX + 1];
    struct call_queue sent;
    struct call_queue lost;   /* to be reported as REPLY_LOST */
    struct store_answer held; /* of a script whose WAIT is still on the way */
    struct call held_for;
    bool has_held;
    int backoff_ms;
    int64_t retry_at, connect_until;
    int silence_ms;       /* allowed; 0: any */
    int64_t silent_since; /* an answer came last, or was first owed */
    char trouble[DIAG_BYTES];
};

/* ---- answers ---------------------------------------------------------------------------------------------------- */

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
    if (a->spread)
        spread_free(a->spread);
    else
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

/* Room in `lost` for everything on the way and `more`, so that a broken connection needs no memory. */
static bool make_room(struct node *n, size_t more)
{
    size_t before = n->lost.n, want = n->sent.n + n->lost.n + n->has_held + more;
    while (n->lost.cap < want)
        if (!queue_push(&n->lost, (struct call){.kind = CALL_LOAD}))
            break;
    n->lost.n = before;
    return n->lost.cap >= want;
}

/* ---- connection -------------------------------------------------------------------------------------------------- */

struct node *node_new(const char *host, int port)
{
    struct node *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->host = strdup(host);
    n->port = port;
    n->backoff_ms = BACKOFF_FIRST_MS;
    n->scripts = STORE_ALL_SCRIPTS;
    if (!n->host) {
        free(n);
        return NULL;
    }
    snprintf(n->trouble, sizeof n->trouble, "Redis at %s: not connected yet", host);
    return n;
}

void node_free(struct node *n)
{
    if (!n)
        return;
    if (n->redis)
        redisFree(n->redis);
    store_answer_free(&n->held);
    free(n->sent.items);
    free(n->lost.items);
    free(n->host);
    free(n);
}

bool node_is(const struct node *n, const char *host, int port)
{
    return n->port == port && strcmp(n->host, host) == 0;
}

const char *node_host(const struct node *n)
{
    return n->host;
}

int node_port(const struct node *n)
{
    return n->port;
}

const char *node_trouble(const struct node *n)
{
    return n->trouble;
}

void node_drop(struct node *n, int64_t now_ms, const char *what)
{
    if (n->port)
        snprintf(n->trouble, sizeof n->trouble, "Redis at %s:%d: %s", n->host, n->port, what);
    else
        snprintf(n->trouble, sizeof n->trouble, "Redis at %s: %s", n->host, what);
    if (n->redis)
        redisFree(n->redis);
    n->redis = NULL;
    n->connecting = n->want_write = n->reload = false;
    if (n->has_held) {
        store_answer_free(&n->held);
        (void)queue_push(&n->lost, n->held_for); /* room was made before it was sent, here and below */
        n->has_held = false;
    }
    while (n->sent.n) {
        struct call c = queue_pop(&n->sent);
        if (c.kind != CALL_LOAD && c.kind != CALL_LOGIN && c.kind != CALL_WAIT)
            (void)queue_push(&n->lost, c);
    }
    n->retry_at = now_ms + n->backoff_ms;
    n->backoff_ms = n->backoff_ms * 2 < BACKOFF_MOST_MS ? n->backoff_ms * 2 : BACKOFF_MOST_MS;
}

void node_log_in(struct node *n, const struct store_login *login)
{
    n->login = login;
}

void node_use_only(struct node *n, uint64_t scripts)
{
    n->scripts = scripts;
}

static bool may_load(const struct node *n)
{
    return !n->login || n->login->loads;
}

static bool send_login(struct node *n)
{
    if (!n->login)
        return true;
    const char *argv[] = {"AUTH", n->login->user, n->login->password};
    const size_t lens[] = {4, strlen(n->login->user), strlen(n->login->password)};
    return redisAppendCommandArgv(n->redis, 3, argv, lens) == REDIS_OK &&
           queue_push(&n->sent, (struct call){.kind = CALL_LOGIN});
}

/* Hashes are known before Redis says them: who may not load counts on others for it. */
static bool send_loads(struct node *n)
{
    n->loads_left = n->sent.n > 0; /* the login is on the way */
    n->reload = false;
    for (int i = 0; i < SCRIPT_COUNT_; i++) {
        char *text;
        size_t len;
        if (!(n->scripts >> i & 1))
            continue;
        if (script_text((enum script)i, &text, &len) != ST_OK)
            return false;
        if (!may_load(n)) {
            script_hash(text, len, n->sha[i]);
            free(text);
            continue;
        }
        const char *argv[] = {"SCRIPT", "LOAD", text};
        const size_t lens[] = {6, 4, len};
        int rc = redisAppendCommandArgv(n->redis, 3, argv, lens);
        free(text);
        if (rc != REDIS_OK || !queue_push(&n->sent, (struct call){.kind = CALL_LOAD, .tag = (uint64_t)i}))
            return false;
        n->loads_left++;
    }
    n->want_write = true;
    return true;
}

static void start_connect(struct node *n, int64_t now_ms)
{
    n->redis = n->port ? redisConnectNonBlock(n->host, n->port) : redisConnectUnixNonBlock(n->host);
    if (!n->redis || n->redis->err) {
        node_drop(n, now_ms, n->redis ? n->redis->errstr : "memory is short");
        return;
    }
    n->connecting = true;
    n->connect_until = now_ms + CONNECT_MS;
    if (!send_login(n) || !send_loads(n))
        node_drop(n, now_ms, "memory is short");
}

int node_fd(const struct node *n)
{
    return n->redis ? n->redis->fd : -1;
}

bool node_wants_write(const struct node *n)
{
    return n->redis && n->want_write;
}

bool node_wants_connect(const struct node *n)
{
    return n->redis && n->connecting;
}

bool node_is_ready(const struct node *n)
{
    return n->redis && !n->connecting && n->loads_left == 0 && !n->reload;
}

size_t node_pending(const struct node *n)
{
    return n->sent.n + n->lost.n + n->has_held;
}

void node_limit_silence(struct node *n, int ms)
{
    n->silence_ms = ms;
}

static bool is_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) > 0;
}

static void write_out(struct node *n, int64_t now_ms)
{
    int done = 0;
    if (redisBufferWrite(n->redis, &done) != REDIS_OK)
        node_drop(n, now_ms, n->redis->errstr);
    else
        n->want_write = !done;
}

/* hiredis takes so much at once; a long answer is taken as a whole, within reason. */
static void read_in(struct node *n, int64_t now_ms)
{
    enum { CHUNK = 16 << 10, MOST = 64 };
    for (int i = 0; i < MOST; i++) {
        size_t before = n->redis->reader->len;
        if (redisBufferRead(n->redis) != REDIS_OK) {
            node_drop(n, now_ms, n->redis->errstr);
            return;
        }
        if (n->redis->reader->len < before + CHUNK)
            return;
    }
}

int node_pump(struct node *n, int64_t now_ms, bool reads)
{
    if (!n->redis) {
        if (now_ms < n->retry_at)
            return (int)(n->retry_at - now_ms);
        start_connect(n, now_ms);
    }
    if (n->redis && n->connecting) {
        n->silent_since = now_ms;
        if (is_writable(n->redis->fd))
            n->connecting = false;
        else if (now_ms >= n->connect_until)
            node_drop(n, now_ms, "no connection within two seconds");
    }
    if (n->redis && !n->connecting && n->reload && n->sent.n == 0 && !send_loads(n))
        node_drop(n, now_ms, "memory is short");
    /* The socket does not block: trying costs no more than asking whether it would. */
    if (n->redis && !n->connecting && n->want_write)
        write_out(n, now_ms);
    if (n->redis && !n->connecting && reads)
        read_in(n, now_ms);
    bool owes = n->redis && !n->connecting && n->sent.n > 0;
    if (!owes)
        n->silent_since = now_ms;
    else if (n->silence_ms > 0 && now_ms - n->silent_since >= n->silence_ms)
        node_drop(n, now_ms, "no answer in time");
    if (!n->redis)
        return (int)(n->retry_at - now_ms);
    if (owes && n->silence_ms > 0)
        return (int)(n->silent_since + n->silence_ms - now_ms);
    return n->connecting ? (int)(n->connect_until - now_ms) : -1;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static enum status append(struct node *n, struct call c, int argc, const char **argv, const size_t *lens)
{
    if (!make_room(n, 1) || !queue_push(&n->sent, c))
        return ST_NOMEM;
    if (redisAppendCommandArgv(n->redis, argc, argv, lens) != REDIS_OK) {
        n->sent.n--;
        return ST_NOMEM;
    }
    n->want_write = true;
    return ST_OK;
}

enum status node_send_words(struct node *n, struct call c, const char *const *words, int n_words)
{
    enum { MOST = 4 };
    const char *argv[MOST];
    size_t lens[MOST];
    if (!node_is_ready(n))
        return ST_BUSY;
    for (int i = 0; i < n_words && i < MOST; i++) {
        argv[i] = words[i];
        lens[i] = strlen(words[i]);
    }
    return append(n, c, n_words, argv, lens);
}

static enum status send_wait(struct node *n, int replicas, int wait_ms)
{
    enum { DIGITS = 16 };
    char many[DIGITS], ms[DIGITS];
    snprintf(many, sizeof many, "%d", replicas);
    snprintf(ms, sizeof ms, "%d", wait_ms);
    const char *const words[] = {"WAIT", many, ms};
    return node_send_words(n, (struct call){.kind = CALL_WAIT}, words, 3);
}

enum status node_send_script(struct node *n, struct call c, enum script script, const struct store_args *args,
                             int replicas, int wait_ms)
{
    enum { FRONT = 4, PREFIX_BYTES = 24 };
    if (!node_is_ready(n))
        return ST_BUSY;
    char prefix[PREFIX_BYTES];
    size_t argc = FRONT + args->n;
    const char **argv = malloc(argc * sizeof *argv);
    size_t *lens = malloc(argc * sizeof *lens);
    enum status st = argv && lens && !args->failed ? ST_OK : ST_NOMEM;
    if (st == ST_OK) {
        argv[0] = "EVALSHA", lens[0] = 7;
        argv[1] = n->sha[script], lens[1] = SHA_HEX;
        argv[2] = "1", lens[2] = 1;
        argv[3] = prefix, lens[3] = (size_t)snprintf(prefix, sizeof prefix, "{q:%d}", c.shard);
        for (size_t i = 0; i < args->n; i++)
            argv[FRONT + i] = store_args_at(args, i, &lens[FRONT + i]);
        c.waits = replicas > 0;
        st = append(n, c, (int)argc, argv, lens);
    }
    free(argv);
    free(lens);
    if (st == ST_OK && replicas > 0 && send_wait(n, replicas, wait_ms) != ST_OK)
        node_drop(n, clock_ms(), "memory is short"); /* the call then comes back as lost */
    return st;
}

/* The hash of one script came, or why it can't be had. */
static void on_load(struct node *n, const struct call *c, const redisReply *r, int64_t now_ms)
{
    if (r->type == REDIS_REPLY_STRING && (size_t)r->len == SHA_HEX) {
        memcpy(n->sha[c->tag], r->str, SHA_HEX);
        if (--n->loads_left == 0)
            n->backoff_ms = BACKOFF_FIRST_MS;
        return;
    }
    node_drop(n, now_ms, r->type == REDIS_REPLY_ERROR ? r->str : "an answer that is no hash of a script");
}

static void on_login(struct node *n, const redisReply *r, int64_t now_ms)
{
    if (r->type == REDIS_REPLY_ERROR)
        node_drop(n, now_ms, r->str);
    else
        n->loads_left--;
}

static bool take_lost(struct node *n, struct store_answer *out, struct call *to)
{
    if (n->lost.n == 0)
        return false;
    *to = queue_pop(&n->lost);
    *out = (struct store_answer){.tag = to->tag, .reply.kind = REPLY_LOST};
    return true;
}

static void take_reply(struct node *n, const struct call *c, redisReply *raw, struct store_answer *out)
{
    *out = (struct store_answer){.tag = c->tag, .owner = raw};
    bool whole = mirror(raw, &out->reply);
    bool forgotten = whole && reply_error_is(&out->reply, "NOSCRIPT");
    n->reload = n->reload || forgotten;
    if (!forgotten)
        n->backoff_ms = BACKOFF_FIRST_MS;
    if (!whole || forgotten) {
        store_answer_free(out);
        *out = (struct store_answer){.tag = c->tag, .reply.kind = REPLY_LOST};
    }
}

bool node_take(struct node *n, struct store_answer *out, struct call *to)
{
    if (take_lost(n, out, to))
        return true;
    void *raw = NULL;
    while (n->redis && redisReaderGetReply(n->redis->reader, &raw) == REDIS_OK && raw) {
        struct call c = n->sent.n ? queue_pop(&n->sent) : (struct call){.kind = CALL_PLAIN};
        n->silent_since = clock_ms();
        if (c.kind == CALL_LOAD) {
            on_load(n, &c, raw, clock_ms());
            freeReplyObject(raw);
        } else if (c.kind == CALL_LOGIN) {
            on_login(n, raw, clock_ms());
            freeReplyObject(raw);
        } else if (c.kind == CALL_WAIT) {
            const redisReply *number = raw;
            *out = n->held;
            *to = n->held_for;
            out->reply.replicas = number->type == REDIS_REPLY_INTEGER ? (int)number->integer : 0;
            n->held = (struct store_answer){0};
            n->has_held = false;
            freeReplyObject(raw);
            return true;
        } else if (c.waits) {
            take_reply(n, &c, raw, &n->held);
            n->held_for = c;
            n->has_held = true;
        } else {
            take_reply(n, &c, raw, out);
            *to = c;
            if (n->reload && !may_load(n))
                node_drop(n, clock_ms(), "no broker has loaded the scripts yet");
            return true;
        }
        raw = NULL;
    }
    if (n->redis && n->redis->reader->err)
        node_drop(n, clock_ms(), n->redis->reader->errstr);
    return take_lost(n, out, to);
}
