#include "formats/read/sorter.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/read/nameless_file.h"

enum { RUN_BYTES = 8 << 20, BLOCK_BYTES = 64 << 10 };

struct head {
    uint64_t number;
    uint64_t order; /* in which it came */
    uint32_t len;
};

/* A run in the file while it is read. */
struct run {
    uint64_t at, end; /* of what is not in the block yet */
    uint8_t *block;
    size_t used, n, room;
    struct head head; /* of its next row, whose bytes lie at block[used] */
    bool ended;
};

struct sorter {
    FILE *file; /* NULL until the first run is full */
    int fd;
    uint64_t file_bytes, n_rows;
    uint8_t *arena; /* rows of the run that is being filled: head and bytes */
    size_t arena_bytes;
    size_t *places; /* of its rows in the arena */
    size_t n_places, places_room;
    struct run *runs;
    int n_runs;
    bool reading;
    int current; /* the run whose row the caller has, or -1 */
};

enum status sorter_new(struct sorter **out)
{
    struct sorter *s = calloc(1, sizeof *s);
    if (!s || !(s->arena = malloc(RUN_BYTES))) {
        free(s);
        return ST_NOMEM;
    }
    s->current = -1;
    *out = s;
    return ST_OK;
}

void sorter_free(struct sorter *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n_runs; i++)
        free(s->runs[i].block);
    if (s->file)
        fclose(s->file);
    free(s->runs);
    free(s->places);
    free(s->arena);
    free(s);
}

static struct head head_at(const uint8_t *p)
{
    struct head h;
    memcpy(&h, p, sizeof h);
    return h;
}

static int compare_heads(const struct head *a, const struct head *b)
{
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static int by_number(const void *a, const void *b, void *ctx)
{
    const uint8_t *arena = ctx;
    struct head x = head_at(arena + *(const size_t *)a), y = head_at(arena + *(const size_t *)b);
    return compare_heads(&x, &y);
}

/* Writes the arena's rows, sorted, as one more run. */
static enum status end_run(struct sorter *s, struct diag *why)
{
    struct run *runs = realloc(s->runs, (size_t)(s->n_runs + 1) * sizeof *runs);
    if (!runs)
        return ST_NOMEM;
    s->runs = runs;
    enum status status = s->file ? ST_OK : nameless_file_open("a file for sorting", &s->file, why);
    if (status != ST_OK)
        return status;
    s->fd = fileno(s->file);
    qsort_r(s->places, s->n_places, sizeof *s->places, by_number, s->arena);
    for (size_t i = 0; i < s->n_places; i++) {
        const uint8_t *row = s->arena + s->places[i];
        fwrite(row, 1, sizeof(struct head) + head_at(row).len, s->file);
    }
    if (fflush(s->file) != 0 || ferror(s->file))
        return diag_set(why, ST_IO, "a file for sorting: %s", strerror(errno));
    s->runs[s->n_runs++] = (struct run){.at = s->file_bytes, .end = s->file_bytes + s->arena_bytes};
    s->file_bytes += s->arena_bytes;
    s->arena_bytes = s->n_places = 0;
    return ST_OK;
}

enum status sorter_put(struct sorter *s, uint64_t number, const void *row, size_t len, struct diag *why)
{
    const struct head h = {.number = number, .order = s->n_rows, .len = (uint32_t)len};
    if (len > SORTER_ROW_BYTES)
        return diag_set(why, ST_LIMIT, "a row of %zu bytes for sorting, at most %d", len, SORTER_ROW_BYTES);
    if (s->arena_bytes + sizeof h + len > RUN_BYTES) {
        enum status status = end_run(s, why);
        if (status != ST_OK)
            return status;
    }
    if (s->n_places == s->places_room) {
        size_t room = s->places_room ? 2 * s->places_room : 1024;
        size_t *places = realloc(s->places, room * sizeof *places);
        if (!places)
            return ST_NOMEM;
        s->places = places;
        s->places_room = room;
    }
    s->places[s->n_places++] = s->arena_bytes;
    memcpy(s->arena + s->arena_bytes, &h, sizeof h);
    memcpy(s->arena + s->arena_bytes + sizeof h, row, len);
    s->arena_bytes += sizeof h + len;
    s->n_rows++;
    return ST_OK;
}

/* ---- reading -------------------------------------------------------------------------------------------------------
 */

/* At least `want` bytes of the run from block[used] on. */
static enum status fill(const struct sorter *s, struct run *r, size_t want, struct diag *why)
{
    if (r->n - r->used >= want)
        return ST_OK;
    if (r->n > r->used)
        memmove(r->block, r->block + r->used, r->n - r->used);
    r->n -= r->used;
    r->used = 0;
    if (want > r->room || !r->block) {
        size_t room = want > BLOCK_BYTES ? want : BLOCK_BYTES;
        uint8_t *block = realloc(r->block, room);
        if (!block)
            return ST_NOMEM;
        r->block = block;
        r->room = room;
    }
    while (r->n < want) {
        size_t most = r->end - r->at < r->room - r->n ? (size_t)(r->end - r->at) : r->room - r->n;
        ssize_t n = pread(s->fd, r->block + r->n, most, (off_t)r->at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return diag_set(why, ST_IO, "a file for sorting: %s", n < 0 ? strerror(errno) : "it became shorter");
        r->n += (size_t)n;
        r->at += (uint64_t)n;
    }
    return ST_OK;
}

static enum status step(const struct sorter *s, struct run *r, struct diag *why)
{
    r->ended = r->at == r->end && r->used == r->n;
    if (r->ended)
        return ST_OK;
    enum status status = fill(s, r, sizeof r->head, why);
    if (status != ST_OK)
        return status;
    r->head = head_at(r->block + r->used);
    r->used += sizeof r->head;
    return fill(s, r, r->head.len, why);
}

static enum status begin_reading(struct sorter *s, struct diag *why)
{
    enum status status = s->n_places > 0 ? end_run(s, why) : ST_OK;
    s->reading = status == ST_OK;
    for (int i = 0; status == ST_OK && i < s->n_runs; i++)
        status = step(s, &s->runs[i], why);
    free(s->arena);
    free(s->places);
    s->arena = NULL;
    s->places = NULL;
    return status;
}

enum status sorter_next(struct sorter *s, uint64_t *number, const void **row, size_t *len, struct diag *why)
{
    enum status status = s->reading ? ST_OK : begin_reading(s, why);
    if (status == ST_OK && s->current >= 0) {
        struct run *r = &s->runs[s->current];
        r->used += r->head.len;
        status = step(s, r, why);
    }
    s->current = -1;
    if (status != ST_OK)
        return status;
    for (int i = 0; i < s->n_runs; i++) { /* some dozens: a heap would not pay */
        const struct run *r = &s->runs[i];
        if (!r->ended && (s->current < 0 || compare_heads(&r->head, &s->runs[s->current].head) < 0))
            s->current = i;
    }
    if (s->current < 0)
        return ST_CLOSED;
    const struct run *r = &s->runs[s->current];
    *number = r->head.number;
    *row = r->block + r->used;
    *len = r->head.len;
    return ST_OK;
}
