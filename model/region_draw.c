/* Which pixels of a region the sampler looks at: the draws of torch.randperm, randint and the farthest-point starts, in
 * their order, without the permutation itself. */
#include "model/region.h"

#include <stdlib.h>

#include "model/mt19937.h"

/* The places of the permutation that swaps have changed: open addressing, at most a quarter full. */
struct moves {
    int64_t *place, *value; /* place -1: free */
    uint64_t mask;
};

static enum status moves_init(struct moves *m, int n)
{
    uint64_t size = 4;
    while (size < 4 * (uint64_t)n)
        size *= 2;
    m->mask = size - 1;
    m->place = malloc(size * sizeof *m->place);
    m->value = malloc(size * sizeof *m->value);
    if (!m->place || !m->value)
        return ST_NOMEM;
    for (uint64_t i = 0; i < size; i++)
        m->place[i] = -1;
    return ST_OK;
}

static void moves_fini(struct moves *m)
{
    free(m->place);
    free(m->value);
}

/* The slot of a place: its own, or the free one where it would go. */
static uint64_t moves_find(const struct moves *m, int64_t place)
{
    uint64_t at = (uint64_t)place * UINT64_C(0x9E3779B97F4A7C15) >> 32 & m->mask;
    while (m->place[at] >= 0 && m->place[at] != place)
        at = (at + 1) & m->mask;
    return at;
}

static int64_t moves_get(const struct moves *m, int64_t place)
{
    uint64_t at = moves_find(m, place);
    return m->place[at] < 0 ? place : m->value[at];
}

static void moves_put(struct moves *m, int64_t place, int64_t value)
{
    uint64_t at = moves_find(m, place);
    m->place[at] = place;
    m->value[at] = value;
}

/* The first n of a permutation of `total` > n; all total - 1 draws are consumed. */
static enum status draw_subset(struct mt19937 *m, int64_t total, int n, int64_t *chosen)
{
    struct moves moved = {0};
    enum status s = moves_init(&moved, n);
    for (int64_t i = 0; s == ST_OK && i < n; i++) {
        int64_t j = i + mt19937_next(m) % (total - i);
        chosen[i] = moves_get(&moved, j);
        moves_put(&moved, j, moves_get(&moved, i));
    }
    moves_fini(&moved);
    if (s == ST_OK)
        mt19937_skip(m, total - 1 - n);
    return s;
}

enum status region_draw(const struct region *r, uint64_t seed, int n, int n_stages, const int *stage_in,
                        int64_t *chosen, int *starts)
{
    if (r->n_pixels < 1 || n < 1)
        return ST_INVALID;
    struct mt19937 m;
    mt19937_seed(&m, seed);
    if (r->n_pixels > n) {
        enum status s = draw_subset(&m, r->n_pixels, n, chosen);
        if (s != ST_OK)
            return s;
    } else {
        for (int i = 0; i < n; i++)
            chosen[i] = i < r->n_pixels ? i : mt19937_next(&m) % r->n_pixels;
    }
    for (int s = 0; s < n_stages; s++)
        starts[s] = (int)(mt19937_next(&m) % (uint32_t)stage_in[s]);
    return ST_OK;
}
