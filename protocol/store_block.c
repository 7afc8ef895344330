/* The blocking side of the store: for starts, tools and tests. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "protocol/store_impl.h"

/* due: what the last pump said. Nothing may be read in between: an answer that lies here already is not waited for. A
 * connection that ended since is looked at after a step. */
static void wait_io(struct store *s, int due, int64_t until)
{
    enum { STEP_MS = 50 };
    struct store_poll polls[STORE_POLLS];
    struct pollfd fds[STORE_POLLS];
    int64_t now = clock_ms(), left = until - now < STEP_MS ? until - now : STEP_MS;
    size_t n = store_polls(s, polls);
    for (size_t i = 0; i < n; i++)
        fds[i] = (struct pollfd){.fd = polls[i].fd, .events = (short)(POLLIN | (polls[i].want_write ? POLLOUT : 0))};
    left = due >= 0 && due < left ? due : left;
    (void)poll(fds, (nfds_t)n, left > 0 ? (int)left : 0);
}

enum status store_wait_ready(struct store *s, int timeout_ms, struct diag *why)
{
    int64_t until = clock_ms() + timeout_ms;
    struct store_answer stray;
    for (;;) {
        int due = store_pump(s, clock_ms());
        if (store_take(s, &stray)) /* what the store asks itself is handled inside; nothing else is on the way */
            store_answer_free(&stray);
        if (store_all_are_ready(s))
            return ST_OK;
        if (clock_ms() >= until)
            return diag_set(why, ST_IO, "%s", store_trouble(s));
        wait_io(s, due, until);
    }
}

static enum status wait_answer(struct store *s, struct node *n, int64_t until, struct store_answer *out,
                               struct diag *why)
{
    for (;;) {
        int due = store_pump(s, clock_ms());
        if (store_take(s, out))
            break;
        if (clock_ms() >= until) {
            node_drop(n, clock_ms(), "no answer in time");
            continue; /* the call comes back as lost */
        }
        wait_io(s, due, until);
    }
    if (out->reply.kind == REPLY_LOST) {
        const char *trouble = store_trouble(s);
        return diag_set(why, ST_IO, "%s", *trouble ? trouble : "Redis gave no answer");
    }
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
    struct node *n = s->shards[args->shard].node; /* of a call to several shards it stands for all */
    if (st == ST_OK)
        st = store_send(s, script, args, 0);
    return st == ST_OK ? wait_answer(s, n, until, out, why) : st;
}

/* ---- safety ------------------------------------------------------------------------------------------------------ */

static enum status plain_call(struct store *s, struct node *node, int64_t until, const char *const *words, int n,
                              struct store_answer *out, struct diag *why)
{
    enum status st = node_send_words(node, (struct call){.kind = CALL_PLAIN}, words, n);
    return st == ST_OK ? wait_answer(s, node, until, out, why) : diag_set(why, ST_IO, "%s", node_trouble(node));
}

/* One rule: the setting is as wanted, or (not) as unwanted. Adds a sentence to all->text where it is unsafe. */
struct rule {
    const char *name, *want; /* NULL: anything but `never` */
    const char *never, *because;
};

static enum status check_rule(struct store *s, struct node *node, int64_t until, const struct rule *rule,
                              struct diag *all, struct diag *why)
{
    const char *const words[] = {"CONFIG", "GET", rule->name};
    struct store_answer a;
    enum status st = plain_call(s, node, until, words, 3, &a, why);
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

static enum status check_version(struct store *s, struct node *node, int64_t until, struct diag *why)
{
    const char *const words[] = {"INFO", "server"};
    struct store_answer a;
    enum status st = plain_call(s, node, until, words, 2, &a, why);
    if (st != ST_OK)
        return st;
    const char *at = a.reply.kind == REPLY_BYTES ? strstr(a.reply.bytes, "redis_version:") : NULL;
    long major = at ? strtol(at + strlen("redis_version:"), NULL, 10) : 0;
    store_answer_free(&a);
    if (major < 7)
        return diag_set(why, ST_UNSUPPORTED, "Redis %ld is too old; its scripts need 7.0 or later", major);
    return ST_OK;
}

static enum status check_node(struct store *s, struct node *node, int64_t until, struct diag *all, struct diag *why)
{
    static const struct rule rules[] = {
        {"appendonly", "yes", NULL, "a restart forgets every job"},
        {"appendfsync", "always", NULL, "kill -9 of Redis loses jobs that were acknowledged"},
        {"no-appendfsync-on-rewrite", "no", NULL,
         "while the file is rewritten a power failure loses acknowledged jobs"},
        {"maxmemory-policy", "noeviction", NULL, "jobs may be evicted"},
        {"maxmemory", NULL, "0", "the machine runs out of memory instead of new jobs being refused"},
    };
    enum status st = check_version(s, node, until, why);
    for (size_t i = 0; st == ST_OK && i < sizeof rules / sizeof rules[0]; i++)
        st = check_rule(s, node, until, &rules[i], all, why);
    return st;
}

enum status store_check_safety(struct store *s, int timeout_ms, struct diag *why)
{
    int64_t until = clock_ms() + timeout_ms;
    enum status st = store_wait_ready(s, timeout_ms, why);
    struct diag all = {.text = ""};
    for (size_t i = 0; st == ST_OK && i < s->n_nodes && !all.text[0]; i++) {
        struct node *node = s->nodes[i];
        st = store_uses(s, node) ? check_node(s, node, until, &all, why) : ST_OK;
        if (st == ST_OK && all.text[0] && s->is_cluster)
            st = diag_set(why, ST_REFUSED, "settings of Redis at %s:%d are unsafe: %s", node_host(node),
                          node_port(node), all.text);
    }
    if (st == ST_OK && all.text[0])
        st = diag_set(why, ST_REFUSED, "Redis' settings are unsafe: %s", all.text);
    return st;
}
