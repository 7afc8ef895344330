/* Goes through every world that can be reached: three jobs, two sessions, all orders of script calls, each answer got
 * or lost, each lost call run later or never, workers that crash, leases that lapse, outages. In each: no job is lost,
 * an unfinished one is in exactly one place, an ended one has exactly one right record, counters equal contents; and
 * from each, whether the sessions live on or die, everything ends well.
 *
 *   explore small|full
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/explore/model.h"

enum { ARENA_BYTES = 8 << 20, DEPTH_MOST = 400 };

/* Worlds that were seen, by a hash of 128 bits of what they are. */
struct seen {
    uint64_t (*slots)[2];
    size_t n, cap;
};

struct search {
    struct explorer explorer;
    struct seen seen, ends[2];
    struct step path[DEPTH_MOST];
    size_t depth, deepest;
    uint64_t steps;
    int64_t told_at;
};

static void hash(const void *bytes, size_t n, uint64_t h[2])
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < n; i++) {
        h[0] = (h[0] ^ at[i]) * 0x100000001b3;
        h[1] = (h[1] + at[i] + 1) * 0x9e3779b97f4a7c15;
        h[1] ^= h[1] >> 29;
    }
}

static size_t slot_of(uint64_t (*slots)[2], size_t cap, const uint64_t h[2])
{
    size_t at = h[1] & (cap - 1);
    while ((slots[at][0] || slots[at][1]) && (slots[at][0] != h[0] || slots[at][1] != h[1]))
        at = (at + 1) & (cap - 1);
    return at;
}

/* False: it was there. */
static bool is_new(struct seen *s, const uint64_t h[2])
{
    enum { FIRST = 1 << 16 };
    if (2 * s->n >= s->cap) {
        struct seen bigger = {.n = s->n, .cap = s->cap ? 2 * s->cap : FIRST};
        bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
        if (!bigger.slots)
            abort();
        for (size_t i = 0; i < s->cap; i++)
            if (s->slots[i][0] || s->slots[i][1])
                memcpy(bigger.slots[slot_of(bigger.slots, bigger.cap, s->slots[i])], s->slots[i], sizeof *s->slots);
        free(s->slots);
        *s = bigger;
    }
    size_t at = slot_of(s->slots, s->cap, h);
    if (s->slots[at][0] || s->slots[at][1])
        return false;
    memcpy(s->slots[at], h, sizeof *s->slots);
    s->n++;
    return true;
}

static void forget_all(struct seen *s)
{
    free(s->slots);
    *s = (struct seen){.n = 0};
}

static void give_up(const struct search *s, const char *wrong, const char *when)
{
    char text[160];
    printf("%s %s, after\n", wrong, when);
    for (size_t i = 0; i < s->depth; i++)
        printf("  %s\n", model_describe(&s->path[i], text, sizeof text));
    printf("FAIL explore\n");
    exit(1);
}

/* Whatever happened so far, it ends well from here. Many worlds are the same as far as the end goes. */
static void check_ends(struct search *s, const struct world *w, struct text saved)
{
    for (int all_die = 0; all_die < 2; all_die++) {
        struct world copy = {.jobs = w->jobs, .paused = w->paused};
        struct memory_redis r;
        uint64_t h[2] = {0xcbf29ce484222325, 0};
        for (int i = 0; i < ALL_SESSIONS; i++)
            copy.sessions[i] = all_die ? (struct session){.state = IS_NEW} : w->sessions[i];
        hash(&copy, sizeof copy, h);
        hash(saved.at, saved.len, h);
        if (!is_new(&s->ends[all_die], h))
            continue;
        size_t mark = s->explorer.arena.used;
        memory_load(&r, &s->explorer.arena, saved);
        model_drain(&s->explorer, &copy, &r, all_die);
        const char *wrong = check_world(&copy, &r, true);
        if (wrong)
            give_up(s, wrong, all_die ? "once all sessions died" : "though the sessions live");
        s->explorer.arena.used = mark;
    }
}

static void visit(struct search *s, const struct world *w, struct text saved)
{
    struct step steps[STEPS_MOST];
    size_t n = model_steps(w, steps);
    if (s->depth == DEPTH_MOST)
        give_up(s, "a path does not end", "");
    for (size_t i = 0; i < n; i++) {
        struct world next = *w;
        struct memory_redis r;
        uint64_t h[2] = {0xcbf29ce484222325, 0};
        size_t mark = s->explorer.arena.used;
        s->path[s->depth++] = steps[i];
        s->deepest = s->depth > s->deepest ? s->depth : s->deepest;
        s->steps++;
        memory_load(&r, &s->explorer.arena, saved);
        model_do(&s->explorer, &steps[i], &next, &r);
        struct text state = memory_save(&r);
        hash(&next, sizeof next, h);
        hash(state.at, state.len, h);
        if (is_new(&s->seen, h)) {
            const char *wrong = check_world(&next, &r, false);
            if (wrong)
                give_up(s, wrong, "");
            char *kept = malloc(state.len); /* what the call left behind in the arena goes before the next one */
            if (!kept)
                abort();
            memcpy(kept, state.at, state.len);
            s->explorer.arena.used = mark;
            struct text own = {.at = kept, .len = state.len};
            check_ends(s, &next, own);
            visit(s, &next, own);
            free(kept);
        }
        s->explorer.arena.used = mark;
        s->depth--;
    }
}

int main(int argc, char **argv)
{
    static const struct budget small[] = {
        {.jobs = 2, .losses = 1},
        {.jobs = 1, .crashes = 1, .lapses = 1},
    };
    static const struct budget full[] = {
        {.jobs = 3, .losses = 1},
        {.jobs = 2, .crashes = 1, .lapses = 1},
        {.jobs = 1, .losses = 1, .lapses = 1},
        {.jobs = 1, .losses = 1, .crashes = 1},
        {.jobs = 1, .crashes = 1, .lapses = 1, .outages = 1},
        {.jobs = 1, .losses = 1, .failures = 1},
        {.jobs = 1, .losses = 1, .handbacks = 1},
        {.jobs = 2, .crashes = 1, .holds = 1},
    };
    if (argc != 2 || (strcmp(argv[1], "small") != 0 && strcmp(argv[1], "full") != 0)) {
        fprintf(stderr, "usage: explore small|full\n");
        return 2;
    }
    bool is_full = argv[1][0] == 'f';
    const struct budget *budgets = is_full ? full : small;
    size_t n = is_full ? sizeof full / sizeof *full : sizeof small / sizeof *small;
    static struct search s;
    s.explorer.host = script_host_new();
    s.explorer.arena = (struct arena){.bytes = malloc(ARENA_BYTES), .cap = ARENA_BYTES};
    for (size_t i = 0; i < n; i++) {
        struct world w;
        struct memory_redis r;
        int64_t from = clock_ms();
        const struct budget *b = &budgets[i];
        s.explorer.arena.used = 0;
        forget_all(&s.seen);
        forget_all(&s.ends[0]);
        forget_all(&s.ends[1]);
        s.steps = s.deepest = 0;
        model_begin(&s.explorer, b, &w, &r);
        visit(&s, &w, memory_save(&r));
        printf("%d jobs, lost calls %d, crashes %d, lapses %d, outages %d, failures %d, hand-backs %d, pauses %d: "
               "%zu worlds, %llu steps, %zu deep, %.1f s\n",
               b->jobs, b->losses, b->crashes, b->lapses, b->outages, b->failures, b->handbacks, b->holds, s.seen.n,
               (unsigned long long)s.steps, s.deepest, (double)(clock_ms() - from) / 1000);
        fflush(stdout);
    }
    printf("PASS explore-%s\n", argv[1]);
    script_host_free(s.explorer.host);
    free(s.explorer.arena.bytes);
    return 0;
}
