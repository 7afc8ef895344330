#include "protocol/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "protocol/slots.h"
#include "protocol/spread.h"
#include "protocol/store_impl.h"

enum { AGAIN_MS = 100, LOOK_ELSEWHERE_MS = 500, TOPOLOGY_MS = 500, TOPOLOGY_WELL_MS = 30000, SILENCE_MS = 3000 };

int store_shard_of(const uint8_t *id, int shards)
{
    enum { BYTE = 8 };
    uint32_t n = (uint32_t)id[0] << 3 * BYTE | (uint32_t)id[1] << 2 * BYTE | (uint32_t)id[2] << BYTE | id[3];
    return (int)(n % (uint32_t)shards);
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

bool store_uses(const struct store *s, const struct node *n)
{
    for (int i = 0; i < s->n_shards; i++)
        if (s->shards[i].node == n)
            return true;
    return false;
}

/* Room for one more: an unused one that was not given by the user goes. */
static bool make_room(struct store *s)
{
    if (s->n_nodes < NODES_MOST)
        return true;
    for (size_t i = s->n_seeds; i < s->n_nodes; i++)
        if (!store_uses(s, s->nodes[i]) && node_pending(s->nodes[i]) == 0) {
            node_free(s->nodes[i]);
            s->nodes[i] = s->nodes[--s->n_nodes];
            return true;
        }
    return false;
}

/* The node of that address; NULL: memory is short. */
static struct node *node_at(struct store *s, const char *host, int port)
{
    for (size_t i = 0; i < s->n_nodes; i++)
        if (node_is(s->nodes[i], host, port))
            return s->nodes[i];
    struct node *n = make_room(s) ? node_new(host, port) : NULL;
    if (n) {
        node_log_in(n, s->login);
        node_use_only(n, s->scripts);
        s->nodes[s->n_nodes++] = n;
    }
    return n;
}

static struct node *node_behind(const struct store *s, const struct node *n)
{
    for (size_t i = 0; i < s->n_nodes; i++)
        if (s->nodes[i] == n)
            return s->nodes[(i + 1) % s->n_nodes];
    return s->nodes[0];
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static enum status add_seed(struct store *s, const char *address, size_t len, struct diag *why)
{
    char *text = strndup(address, len);
    if (!text)
        return ST_NOMEM;
    char *at = text;
    if (strncmp(at, "unix:", 5) == 0)
        at += 5;
    else if (strncmp(at, "tcp://", 6) == 0)
        at += 6;
    char *colon = strrchr(at, ':');
    bool socket_path = at[0] == '/' || at[0] == '.' || !colon;
    long port = socket_path ? 0 : strtol(colon + 1, NULL, 10);
    enum status st = ST_OK;
    if (strstr(text, "://") && strchr(text, '@')) /* and it is not shown either */
        st = diag_set(why, ST_INVALID,
                      "an address of Redis with a name or password in it; expected host:port, and --redis-user and "
                      "--redis-password-file beside it");
    else if (!*at || (!socket_path && (port <= 0 || port > UINT16_MAX || colon == at)))
        st = diag_set(why, ST_INVALID, "\"%s\" is no address of Redis; expected /path/of/socket or host:port", text);
    else if (s->n_nodes == LIMIT_SHARDS)
        st = diag_set(why, ST_LIMIT, "over %d addresses of Redis; a few nodes of a cluster are enough", LIMIT_SHARDS);
    if (st == ST_OK && !socket_path)
        *colon = '\0';
    if (st == ST_OK)
        st = node_at(s, at, (int)port) ? ST_OK : ST_NOMEM;
    free(text);
    return st;
}

enum status store_open(const char *address, int shards, struct store **out, struct diag *why)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return ST_NOMEM;
    enum status st = ST_OK;
    const char *at = address;
    s->scripts = STORE_ALL_SCRIPTS;
    do {
        size_t len = strcspn(at, ",");
        st = add_seed(s, at, len, why);
        at += len + (at[len] == ',');
    } while (st == ST_OK && *at);
    s->n_seeds = s->n_nodes;
    s->is_cluster = s->n_seeds > 1;
    if (st != ST_OK) {
        store_close(s);
        return st;
    }
    store_set_shards(s, shards);
    *out = s;
    return ST_OK;
}

void store_log_in(struct store *s, const struct store_login *login)
{
    s->login = login;
    for (size_t i = 0; i < s->n_nodes; i++)
        node_log_in(s->nodes[i], login);
}

void store_use_only(struct store *s, uint64_t scripts)
{
    s->scripts = scripts;
    for (size_t i = 0; i < s->n_nodes; i++)
        node_use_only(s->nodes[i], scripts);
}

void store_set_shards(struct store *s, int shards)
{
    for (int i = s->n_shards; i < shards; i++)
        s->shards[i] = (struct shard){.node = i > 0 ? s->shards[0].node : s->nodes[0], .slot = slots_of_shard(i)};
    s->n_shards = shards;
}

int store_shards(const struct store *s)
{
    return s->n_shards;
}

void store_ask_replicas(struct store *s, int n, int wait_ms)
{
    s->replicas = n;
    s->wait_ms = wait_ms;
}

static void free_all(struct spread *sp)
{
    while (sp) {
        struct spread *next = sp->next;
        spread_free(sp);
        sp = next;
    }
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_nodes; i++)
        node_free(s->nodes[i]);
    free_all(s->spreads);
    free_all(s->answered);
    free(s);
}

/* ---- what is there ----------------------------------------------------------------------------------------------- */

bool store_shard_is_ready(const struct store *s, int shard)
{
    return s->shards[shard].state == SHARD_READY && node_is_ready(s->shards[shard].node);
}

bool store_is_ready(const struct store *s)
{
    for (int i = 0; i < s->n_shards; i++)
        if (store_shard_is_ready(s, i))
            return true;
    return false;
}

bool store_all_are_ready(const struct store *s)
{
    for (int i = 0; i < s->n_shards; i++)
        if (!store_shard_is_ready(s, i))
            return false;
    return true;
}

int store_shards_beside(const struct store *s, int shard)
{
    int n = 0;
    for (int i = 0; i < s->n_shards; i++)
        n += s->shards[i].node == s->shards[shard].node;
    return n;
}

const char *store_trouble(const struct store *s)
{
    for (int i = 0; i < s->n_shards; i++) {
        const struct shard *shard = &s->shards[i];
        if (!store_shard_is_ready(s, i))
            return node_is_ready(shard->node) && *shard->trouble ? shard->trouble : node_trouble(shard->node);
    }
    return "";
}

size_t store_polls(const struct store *s, struct store_poll out[STORE_POLLS])
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_nodes && n < STORE_POLLS; i++) {
        const struct node *node = s->nodes[i];
        if (node_fd(node) >= 0)
            out[n++] = (struct store_poll){.fd = node_fd(node),
                                           .want_write = node_wants_write(node) || node_wants_connect(node)};
    }
    return n;
}

bool store_wants_write(const struct store *s)
{
    for (size_t i = 0; i < s->n_nodes; i++)
        if (node_wants_write(s->nodes[i]))
            return true;
    return false;
}

size_t store_pending(const struct store *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_nodes; i++)
        n += node_pending(s->nodes[i]);
    return n;
}

/* ---- where shards live --------------------------------------------------------------------------------------------
 */

static void look_at(struct shard *shard, struct node *n, int64_t now_ms, int64_t ask_at)
{
    shard->node = n;
    shard->state = SHARD_AWAY;
    shard->looked_at = now_ms;
    shard->ask_at = ask_at;
}

/* Shards whose node has gone since. */
static void settle(struct store *s, int64_t now_ms)
{
    for (int i = 0; i < s->n_shards; i++) {
        struct shard *shard = &s->shards[i];
        if (shard->state != SHARD_AWAY && !node_is_ready(shard->node))
            look_at(shard, shard->node, now_ms, now_ms);
    }
}

/* An answer that says that the shard is not to be had there, or not now. */
static bool is_elsewhere(const struct reply *r)
{
    static const char *const says[] = {"MOVED ", "ASK ", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY"};
    for (size_t i = 0; i < sizeof says / sizeof *says; i++)
        if (reply_error_is(r, says[i]))
            return true;
    return false;
}

static void look_elsewhere(struct store *s, struct shard *shard, const struct reply *r, int64_t now_ms)
{
    struct slots_address to;
    snprintf(shard->trouble, sizeof shard->trouble, "Redis at %s:%d: %.*s", node_host(shard->node),
             node_port(shard->node), (int)r->len, r->bytes);
    s->is_cluster = s->is_cluster || !reply_error_is(r, "READONLY");
    struct node *n = NULL;
    if (reply_error_is(r, "MOVED ") && slots_read_redirect(r, node_host(shard->node), &to))
        n = node_at(s, to.host, to.port);
    if (n) {
        bool at_once = n != shard->node && now_ms - shard->looked_at >= AGAIN_MS;
        look_at(shard, n, now_ms, at_once || shard->looked_at == 0 ? now_ms : now_ms + AGAIN_MS);
        s->topology_at = now_ms;
        return;
    }
    bool first = shard->state == SHARD_READY;
    look_at(shard, shard->node, first ? now_ms : shard->looked_at, now_ms + AGAIN_MS);
    if (reply_error_is(r, "ASK ") || reply_error_is(r, "TRYAGAIN"))
        shard->state = SHARD_MOVING;
}

static void on_probe(struct store *s, struct shard *shard, const struct reply *r, int64_t now_ms)
{
    if (is_elsewhere(r)) {
        look_elsewhere(s, shard, r, now_ms);
    } else if (r->kind == REPLY_LOST) {
        shard->state = SHARD_AWAY;
    } else {
        shard->state = SHARD_READY;
        shard->trouble[0] = '\0';
    }
}

static void on_topology(struct store *s, const struct node *from, const struct reply *r, int64_t now_ms)
{
    struct slots_address at;
    s->topology_asked = false;
    for (size_t i = 0; r->kind == REPLY_ARRAY && i < r->n; i++)
        for (size_t k = 0; slots_node(r, i, k, node_host(from), &at); k++) {
            struct node *n = node_at(s, at.host, at.port);
            for (int j = 0; n && k == 0 && j < s->n_shards; j++) {
                struct shard *shard = &s->shards[j];
                if (shard->state == SHARD_AWAY && shard->node != n && slots_range_has(r, i, shard->slot))
                    look_at(shard, n, now_ms, now_ms);
            }
        }
}

static void ask_topology(struct store *s, int64_t now_ms)
{
    static const char *const words[] = {"CLUSTER", "SLOTS"};
    if (!s->is_cluster || s->topology_asked || now_ms < s->topology_at)
        return;
    for (size_t i = 0; i < s->n_nodes; i++) {
        struct node *n = s->nodes[i];
        if (store_uses(s, n) && node_send_words(n, (struct call){.kind = CALL_TOPOLOGY}, words, 2) == ST_OK) {
            s->topology_asked = true;
            break;
        }
    }
    s->topology_at = now_ms + (store_all_are_ready(s) ? TOPOLOGY_WELL_MS : TOPOLOGY_MS);
}

/* Asks a shard's node whether it lives there; looks for it on another one where that does not answer. Returns in how
 * many ms to do so again, or -1. */
static int64_t look_for(struct store *s, int i, int64_t now_ms)
{
    enum { TAG_BYTES = 16 };
    struct shard *shard = &s->shards[i];
    char tag[TAG_BYTES];
    if (shard->state == SHARD_READY || shard->state == SHARD_ASKED)
        return -1;
    bool may_leave = s->n_nodes > 1 && shard->state == SHARD_AWAY;
    if (may_leave && shard->looked_at > 0 && now_ms - shard->looked_at >= LOOK_ELSEWHERE_MS)
        look_at(shard, node_behind(s, shard->node), now_ms, now_ms);
    if (shard->looked_at == 0)
        shard->looked_at = now_ms;
    if (node_is_ready(shard->node) && now_ms >= shard->ask_at) {
        snprintf(tag, sizeof tag, "{q:%d}", i);
        const char *const words[] = {"EXISTS", tag};
        struct call c = {.kind = CALL_PROBE, .shard = (uint8_t)i};
        if (node_send_words(shard->node, c, words, 2) == ST_OK) {
            shard->state = SHARD_ASKED;
            return -1;
        }
    }
    int64_t due = shard->ask_at > now_ms ? shard->ask_at - now_ms : AGAIN_MS;
    return may_leave && due > LOOK_ELSEWHERE_MS ? LOOK_ELSEWHERE_MS : due;
}

/* ---- the loop -----------------------------------------------------------------------------------------------------
 */

static int64_t sooner(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

/* A node that no shard needs any more is left once it owes nothing. */
static int64_t pump_node(struct store *s, struct node *n, int64_t now_ms, bool reads)
{
    node_limit_silence(n, s->is_cluster ? SILENCE_MS : 0); /* one alone may be slow: nobody waits for it in vain */
    if (store_uses(s, n) || (node_fd(n) >= 0 && node_pending(n) > 0))
        return node_pump(n, now_ms, reads);
    if (node_fd(n) >= 0)
        node_drop(n, now_ms, "not needed");
    return -1;
}

void store_tell(struct store *s, bool has_news)
{
    s->is_told = true;
    s->has_news = has_news;
}

int store_pump(struct store *s, int64_t now_ms)
{
    int64_t due = -1;
    bool reads = !s->is_told || s->has_news;
    s->has_news = false;
    for (size_t i = 0; i < s->n_nodes; i++)
        due = sooner(due, pump_node(s, s->nodes[i], now_ms, reads));
    settle(s, now_ms);
    for (int i = 0; i < s->n_shards; i++)
        due = sooner(due, look_for(s, i, now_ms));
    ask_topology(s, now_ms);
    if (s->is_cluster && !s->topology_asked)
        due = sooner(due, s->topology_at - now_ms);
    for (size_t i = 0; i < s->n_nodes; i++) /* what was just asked goes out at once */
        if (node_wants_write(s->nodes[i]) && node_is_ready(s->nodes[i]))
            due = sooner(due, node_pump(s->nodes[i], now_ms, false));
    return (int)due;
}

/* ---- calls --------------------------------------------------------------------------------------------------------
 */

static enum status send_to(struct store *s, int shard, struct call c, enum script script, const struct store_args *args)
{
    if (!store_shard_is_ready(s, shard))
        return ST_BUSY;
    c.shard = (uint8_t)shard;
    return node_send_script(s->shards[shard].node, c, script, args, s->replicas, s->wait_ms);
}

static void unlink_spread(struct store *s, struct spread *sp)
{
    if (sp->next)
        sp->next->before = sp->before;
    if (sp->before)
        sp->before->next = sp->next;
    else
        s->spreads = sp->next;
}

/* The parts of a round. One whose shard is away counts as lost. */
static void ask_parts(struct store *s, struct spread *sp)
{
    for (int i = 0; i < sp->shards; i++) {
        struct store_args args = {.shard = i};
        bool wanted = false;
        enum status st = spread_part(sp, i, &args, &wanted);
        if (st == ST_OK && wanted)
            st = send_to(s, i, (struct call){.kind = CALL_PART, .tag = (uint64_t)(uintptr_t)sp}, sp->script, &args);
        if (st != ST_OK || wanted)
            sp->parts[i].reply.kind = REPLY_LOST;
        sp->left += st == ST_OK && wanted;
        store_args_fini(&args);
    }
}

static void end_spread(struct store *s, struct spread *sp)
{
    while (sp->left == 0 && spread_goes_on(sp))
        ask_parts(s, sp);
    if (sp->left > 0)
        return;
    unlink_spread(s, sp);
    spread_merge(sp);
    sp->next = s->answered;
    s->answered = sp;
}

static enum status send_spread(struct store *s, enum script script, const struct store_args *args, uint64_t tag)
{
    struct spread *sp;
    enum status st = store_is_ready(s) ? spread_new(script, args, s->n_shards, tag, &sp) : ST_BUSY;
    if (st != ST_OK)
        return st;
    sp->next = s->spreads;
    if (sp->next)
        sp->next->before = sp;
    s->spreads = sp;
    ask_parts(s, sp);
    end_spread(s, sp);
    return ST_OK;
}

enum status store_send(struct store *s, enum script script, const struct store_args *args, uint64_t tag)
{
    const struct call c = {.kind = CALL_SCRIPT, .tag = tag};
    enum spread_target target = s->n_shards > 1 ? spread_target(script) : SPREAD_FIRST;
    size_t len = 0;
    const char *id = target == SPREAD_BY_ID && args->n > 0 ? store_args_at(args, 0, &len) : NULL;
    switch (target) {
    case SPREAD_MANY: return send_spread(s, script, args, tag);
    case SPREAD_BY_ID:
        return send_to(s, len == ID_BYTES ? store_shard_of((const uint8_t *)id, s->n_shards) : 0, c, script, args);
    case SPREAD_FIRST: return send_to(s, 0, c, script, args);
    case SPREAD_NAMED: break;
    }
    return args->shard < s->n_shards ? send_to(s, args->shard, c, script, args) : ST_INVALID;
}

static void take_part(struct store *s, const struct call *c, struct store_answer *a)
{
    struct spread *sp = (struct spread *)(uintptr_t)c->tag; /* put there by ask_parts; the node gives each back once */
    sp->parts[c->shard] = *a;
    *a = (struct store_answer){0};
    sp->left--;
    end_spread(s, sp);
}

/* True: an answer for the caller. */
static bool handle(struct store *s, const struct node *from, const struct call *c, struct store_answer *a)
{
    struct shard *shard = &s->shards[c->shard];
    bool is_news = shard->node == from, is_script = c->kind == CALL_SCRIPT || c->kind == CALL_PART;
    if (is_script && is_elsewhere(&a->reply)) {
        if (is_news)
            look_elsewhere(s, shard, &a->reply, clock_ms());
        store_answer_free(a);
        *a = (struct store_answer){.tag = c->tag, .reply.kind = REPLY_LOST};
    }
    switch (c->kind) {
    case CALL_PROBE:
        if (is_news)
            on_probe(s, shard, &a->reply, clock_ms());
        break;
    case CALL_TOPOLOGY: on_topology(s, from, &a->reply, clock_ms()); break;
    case CALL_PART: take_part(s, c, a); return false;
    default: return true;
    }
    store_answer_free(a);
    return false;
}

static bool take_answered(struct store *s, struct store_answer *out)
{
    struct spread *sp = s->answered;
    if (!sp)
        return false;
    s->answered = sp->next;
    *out = (struct store_answer){.tag = sp->tag, .reply = sp->merged, .spread = sp};
    return true;
}

bool store_take(struct store *s, struct store_answer *out)
{
    struct call c;
    if (take_answered(s, out))
        return true;
    for (size_t i = 0; i < s->n_nodes; i++)
        while (node_take(s->nodes[i], out, &c))
            if (handle(s, s->nodes[i], &c, out) || take_answered(s, out))
                return true;
    settle(s, clock_ms());
    *out = (struct store_answer){0};
    return false;
}
