/* Redis as the dispatcher sees it: answers in the shape that the scripts give, after the time they take. */
#include <stdlib.h>
#include <string.h>

#include "tests/simulate/simulate.h"

enum { FIRST = 256, ANSWER_MOST = 4096 };

/* A job as Redis keeps it, as long as one of a manifest with short names; which one it is does not matter to a broker.
 */
static const char stored[] = "1|4|0|1||"
                             "a body of a job of one task, whose id and image have short names, takes up about as many "
                             "bytes as this sentence does, give or take",
                  owned[] = "0|0|0|1|1|", id[ID_BYTES], letters[2 * LIMIT_JOBS_PER_MESSAGE];

static struct reply bytes_reply(const char *at, size_t len)
{
    return (struct reply){.kind = REPLY_BYTES, .bytes = at, .len = len};
}

static struct reply number_reply(uint64_t n)
{
    return (struct reply){.kind = REPLY_INT, .integer = (int64_t)n};
}

void shard_init(struct shard *s, const struct plan *plan)
{
    *s = (struct shard){.plan = plan, .cap = FIRST};
    s->ring = malloc(FIRST * sizeof *s->ring);
    s->items = calloc(ANSWER_MOST, sizeof *s->items);
    if (!s->ring || !s->items)
        world_fail("memory is short");
}

void shard_fini(struct shard *s)
{
    for (; s->n > 0; s->n--, s->head = (s->head + 1) % s->cap)
        free(s->ring[s->head].parts);
    free(s->ring);
    free(s->items);
    free(s->parts);
}

/* Only CLAIM and SUBMIT move images while they run; how many they move is known then, not when they are asked. */
static uint32_t claimable(const struct shard *s, const struct call *c)
{
    return (uint32_t)(c->n < s->waiting ? c->n : s->waiting);
}

void shard_call(struct shard *s, struct call *c, int64_t now_us)
{
    if (s->n == s->cap) {
        struct call *ring = malloc(2 * s->cap * sizeof *ring);
        if (!ring)
            world_fail("memory is short");
        for (size_t i = 0; i < s->n; i++)
            ring[i] = s->ring[(s->head + i) % s->cap];
        free(s->ring);
        s->ring = ring;
        s->head = 0;
        s->cap *= 2;
    }
    double each = c->script == SCRIPT_SUBMIT   ? s->plan->submit_us
                  : c->script == SCRIPT_CLAIM  ? s->plan->claim_us
                  : c->script == SCRIPT_FINISH ? s->plan->finish_us
                                               : 0;
    uint32_t images = c->script == SCRIPT_CLAIM ? claimable(s, c) : c->n;
    int64_t cost = (int64_t)(s->plan->call_us + each * images);
    s->free_us = (s->free_us > now_us ? s->free_us : now_us) + cost;
    s->busy_us += cost;
    c->done_us = s->free_us;
    if (c->done_us - now_us > s->slowest_us)
        s->slowest_us = c->done_us - now_us;
    s->calls[c->script]++;
    s->ring[(s->head + s->n++) % s->cap] = *c;
}

static size_t answer_submit(struct shard *s, const struct call *c)
{
    size_t n = 0;
    for (uint32_t g = 0; g < c->n_parts; g++) {
        bool full = s->waiting + s->running + c->parts[g] > (uint64_t)s->plan->window;
        s->items[n++] = full ? bytes_reply("B", 1) : bytes_reply(letters, c->parts[g]);
        if (!full) {
            s->waiting += c->parts[g];
            s->submitted += c->parts[g];
        }
        s->items[n++] = number_reply(s->waiting + s->running);
        s->items[n++] = bytes_reply("1", 1); /* the campaign's number */
    }
    return n;
}

/* {what is left, (state, n, (id, row of ownership, stored job)*n)*} */
static size_t answer_claim(struct shard *s, const struct call *c)
{
    size_t n = 1;
    for (uint32_t i = 0; i < c->n_parts; i++) {
        uint64_t images = c->parts[i] < s->waiting ? c->parts[i] : s->waiting;
        s->waiting -= images;
        s->running += images;
        s->items[n++] = bytes_reply("ok", 2);
        s->items[n++] = number_reply(images);
        for (; images > 0; images--) {
            s->items[n++] = bytes_reply(id, sizeof id);
            s->items[n++] = bytes_reply(owned, sizeof owned - 1);
            s->items[n++] = bytes_reply(stored, sizeof stored - 1);
        }
    }
    s->items[0] = number_reply(s->waiting);
    return n;
}

bool shard_take(struct shard *s, int64_t now_us, struct call *c, struct reply *reply)
{
    if (s->n == 0 || s->ring[s->head].done_us > now_us)
        return false;
    *c = s->ring[s->head];
    s->head = (s->head + 1) % s->cap;
    s->n--;
    free(s->parts);
    s->parts = c->parts;
    *reply = (struct reply){.kind = REPLY_ARRAY, .items = s->items};
    switch (c->script) {
    case SCRIPT_SUBMIT: reply->n = answer_submit(s, c); break;
    case SCRIPT_CLAIM: reply->n = answer_claim(s, c); break;
    case SCRIPT_FINISH:
        s->running -= c->n;
        s->done += c->n;
        reply->n = 0;
        break;
    case SCRIPT_HELLO:
        s->items[0] = bytes_reply("new", 3);
        s->items[1] = number_reply(0);
        reply->n = 2;
        break;
    case SCRIPT_REAP:
        s->items[0] = number_reply(0);
        s->items[1] = number_reply(0);
        reply->n = 2;
        break;
    case SCRIPT_DOOMED: reply->n = 0; break;
    default: *reply = (struct reply){.kind = REPLY_INT}; break;
    }
    return true;
}
