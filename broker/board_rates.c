/* How fast it goes: of each campaign over its last samples, and of all as a curve. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/board_impl.h"

void rates_fini(struct rates *r)
{
    free(r->list);
    *r = (struct rates){.n = 0};
}

static struct rated *find(struct rates *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->list[i].name, name) == 0)
            return &r->list[i];
    if (r->n == RATED_MOST)
        return NULL;
    if (r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 16;
        struct rated *list = realloc(r->list, cap * sizeof *list);
        if (!list)
            return NULL;
        r->list = list;
        r->cap = cap;
    }
    struct rated *rated = &r->list[r->n++];
    *rated = (struct rated){.n = 0};
    snprintf(rated->name, sizeof rated->name, "%s", name);
    return rated;
}

/* Samples are a step apart, so that the rate is over quarter of a minute however often somebody looks. */
static double sample(struct rated *c, uint64_t ended, int64_t now_ms)
{
    if (c->n && ended < c->ended[c->n - 1])
        c->n = 0; /* purged and made anew, or put back for a retry */
    bool due = c->n < 2 || now_ms - c->at_ms[c->n - 2] >= HISTORY_STEP_MS;
    if (due && c->n == RATE_POINTS) {
        memmove(c->at_ms, c->at_ms + 1, (RATE_POINTS - 1) * sizeof c->at_ms[0]);
        memmove(c->ended, c->ended + 1, (RATE_POINTS - 1) * sizeof c->ended[0]);
        c->n--;
    }
    c->n += due;
    c->at_ms[c->n - 1] = now_ms;
    c->ended[c->n - 1] = ended;
    int64_t passed = now_ms - c->at_ms[0];
    return passed > 0 ? (double)(ended - c->ended[0]) * 1000.0 / (double)passed : -1;
}

static void forget_gone(struct rates *r)
{
    for (size_t i = r->n; i-- > 0;)
        if (r->list[i].seen != r->pass)
            r->list[i] = r->list[--r->n];
}

static void add_point(struct rates *r, double rate)
{
    r->curve[r->curve_at] = rate;
    r->curve_at = (r->curve_at + 1) % HISTORY;
    r->curve_n += r->curve_n < HISTORY;
}

/* What ended since the pass before is spread over the points that have come due since. */
static void draw(struct rates *r, uint64_t ended, int64_t now_ms, int64_t unix_ms)
{
    if (r->at_ms == 0) {
        r->at_ms = r->drawn_ms = now_ms;
        r->ended = ended;
        return;
    }
    int64_t points = (now_ms - r->drawn_ms) / HISTORY_STEP_MS, passed = now_ms - r->at_ms;
    if (points == 0)
        return;
    double n = ended > r->ended ? (double)(ended - r->ended) : 0;
    for (int64_t i = 0; i < points && i < HISTORY; i++)
        add_point(r, n * 1000.0 / (double)passed);
    r->drawn_ms += points * HISTORY_STEP_MS;
    r->at_ms = now_ms;
    r->ended = ended;
    r->curve_end_ms = unix_ms;
}

void rates_note(struct rates *r, struct snapshot *s, int64_t now_ms, int64_t unix_ms)
{
    r->pass++;
    for (size_t i = 0; i < s->n_campaigns; i++) {
        struct shown_campaign *c = &s->campaigns[i];
        struct rated *rated = find(r, c->status.name);
        if (!rated)
            continue;
        rated->seen = r->pass;
        c->rate = sample(rated, c->status.done + c->status.failed, now_ms);
    }
    forget_gone(r);
    draw(r, snapshot_ended(s), now_ms, unix_ms);
}
