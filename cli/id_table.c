#include "cli/id_table.h"

#include <stdlib.h>
#include <string.h>

static struct id_row *find(const struct id_table *t, const uint8_t id[ID_BYTES])
{
    uint64_t hash;
    memcpy(&hash, id, sizeof hash);
    size_t at = (size_t)(hash & (t->cap - 1));
    while (t->rows[at].used && memcmp(t->rows[at].id, id, ID_BYTES) != 0)
        at = (at + 1) & (t->cap - 1);
    return &t->rows[at];
}

static bool grow(struct id_table *t)
{
    enum { FIRST = 1024 };
    struct id_table bigger = {.n = t->n, .cap = t->cap ? 2 * t->cap : FIRST};
    bigger.rows = calloc(bigger.cap, sizeof *bigger.rows);
    if (!bigger.rows)
        return false;
    for (size_t i = 0; i < t->cap; i++)
        if (t->rows[i].used)
            *find(&bigger, t->rows[i].id) = t->rows[i];
    free(t->rows);
    *t = bigger;
    return true;
}

struct id_row *id_table_at(struct id_table *t, const uint8_t id[ID_BYTES])
{
    if (2 * (t->n + 1) > t->cap && !grow(t))
        return NULL;
    struct id_row *row = find(t, id);
    if (!row->used) {
        *row = (struct id_row){.used = true};
        memcpy(row->id, id, ID_BYTES);
        t->n++;
    }
    return row;
}

void id_table_fini(struct id_table *t)
{
    free(t->rows);
    *t = (struct id_table){.n = 0};
}
