#include "formats/read/seen.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "formats/read/seen_run.h"

enum {
    SLOTS = SEEN_TABLE_ROWS / 3 * 4, /* of the table, which is never fuller than that */
    FILTER_BITS = 24,
    FAN_IN = 4,  /* runs of one level become one of the next */
    LEVELS = 24, /* more ids than there are */
    PROBES = ID_BYTES / sizeof(uint32_t),
};
_Static_assert((SLOTS & (SLOTS - 1)) == 0, "a slot is told by the last bits of an id");

struct level {
    struct seen_run *runs[FAN_IN];
    int n;
};
struct seen {
    struct seen_row *slots; /* open addressing; place 0: free */
    size_t n;
    uint8_t *filter; /* an id that was met has all its bits set */
    struct level levels[LEVELS];
};

enum status seen_new(struct seen **out)
{
    struct seen *s = calloc(1, sizeof *s);
    if (s) {
        s->slots = calloc(SLOTS, sizeof *s->slots);
        s->filter = calloc(1U << FILTER_BITS >> 3, 1);
    }
    if (!s || !s->slots || !s->filter) {
        seen_free(s);
        return ST_NOMEM;
    }
    *out = s;
    return ST_OK;
}

void seen_free(struct seen *s)
{
    if (!s)
        return;
    for (int i = 0; i < LEVELS; i++)
        for (int j = 0; j < s->levels[i].n; j++)
            seen_run_free(s->levels[i].runs[j]);
    free(s->slots);
    free(s->filter);
    free(s);
}

/* The id's row in the table, or the free one where it belongs. */
static struct seen_row *slot_of(const struct seen *s, const uint8_t *id)
{
    uint32_t last;
    memcpy(&last, id + ID_BYTES - sizeof last, sizeof last);
    size_t at = last & (SLOTS - 1);
    while (s->slots[at].place != 0 && memcmp(s->slots[at].id, id, ID_BYTES) != 0)
        at = (at + 1) & (SLOTS - 1);
    return &s->slots[at];
}

/* Sets the id's bits; whether all of them were set before. */
static bool filter_add(struct seen *s, const uint8_t *id)
{
    bool all = true;
    uint32_t probes[PROBES];
    memcpy(probes, id, sizeof probes);
    for (size_t i = 0; i < PROBES; i++) {
        uint32_t bit = probes[i] & ((1U << FILTER_BITS) - 1);
        uint8_t mask = (uint8_t)(1U << (bit & 7));
        all = all && (s->filter[bit >> 3] & mask);
        s->filter[bit >> 3] |= mask;
    }
    return all;
}

static enum status find_in_files(const struct seen *s, const uint8_t *id, bool *found, struct seen_row *out,
                                 struct diag *why)
{
    enum status status = ST_OK;
    *found = false;
    for (int i = 0; i < LEVELS; i++)
        for (int j = 0; status == ST_OK && !*found && j < s->levels[i].n; j++)
            status = seen_run_find(s->levels[i].runs[j], id, found, out, why);
    return status;
}

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct seen_row *)a)->id, ((const struct seen_row *)b)->id, ID_BYTES);
}

/* The table's rows as a run; the table is empty after it. */
static enum status write_table(struct seen *s, struct seen_run **out, struct diag *why)
{
    struct seen_run *run = NULL;
    enum status status = seen_run_new(s->n, &run, why);
    size_t n = 0;
    for (size_t i = 0; i < SLOTS; i++)
        if (s->slots[i].place != 0)
            s->slots[n++] = s->slots[i];
    qsort(s->slots, n, sizeof *s->slots, by_id);
    for (size_t i = 0; status == ST_OK && i < n; i++)
        status = seen_run_add(run, &s->slots[i], why);
    if (status == ST_OK)
        status = seen_run_end(run, why);
    if (status != ST_OK) {
        seen_run_free(run);
        return status;
    }
    memset(s->slots, 0, SLOTS * sizeof *s->slots);
    s->n = 0;
    *out = run;
    return ST_OK;
}

/* A level that was full moves up as one run, and so on. Takes the run. */
static enum status keep_run(struct seen *s, struct seen_run *run, struct diag *why)
{
    struct level *level = s->levels;
    for (; level->n == FAN_IN - 1; level++) {
        struct seen_run *merged = NULL;
        level->runs[level->n++] = run;
        enum status status = seen_run_merge(level->runs, FAN_IN, &merged, why);
        if (status != ST_OK)
            return status;
        while (level->n > 0)
            seen_run_free(level->runs[--level->n]);
        run = merged;
    }
    level->runs[level->n++] = run;
    return ST_OK;
}

enum status seen_put(struct seen *s, const struct seen_row *row, bool *known, struct seen_row *old, struct diag *why)
{
    struct seen_row *there = slot_of(s, row->id);
    enum status status = ST_OK;
    assert(row->place != 0);
    *known = there->place != 0;
    if (*known)
        *old = *there;
    else if (filter_add(s, row->id))
        status = find_in_files(s, row->id, known, old, why);
    if (status != ST_OK || *known)
        return status;
    *there = *row;
    if (++s->n < SEEN_TABLE_ROWS)
        return ST_OK;
    struct seen_run *run = NULL;
    status = write_table(s, &run, why);
    return status == ST_OK ? keep_run(s, run, why) : status;
}
