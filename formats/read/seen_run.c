#include "formats/read/seen_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/read/nameless_file.h"

enum { PAGE_BYTES = 4096, PAGE_ROWS = PAGE_BYTES / sizeof(struct seen_row), PAGE_FILL = PAGE_ROWS * 3 / 4 };
_Static_assert(PAGE_ROWS * sizeof(struct seen_row) == PAGE_BYTES, "rows fill their page");

struct page {
    struct seen_row rows[PAGE_ROWS]; /* filled from the front; place 0: free */
};
struct seen_run {
    FILE *file;
    uint64_t n;            /* rows */
    uint64_t homes, pages; /* pages that ids come to; with those behind the last one, for what finds no room there */
    struct page last;      /* page number `pages` while the run is written */
    int last_rows;
};

static enum status move_page(const struct seen_run *r, uint64_t number, struct page *page, bool out, struct diag *why)
{
    for (size_t done = 0; done < sizeof *page;) {
        char *at = (char *)page + done;
        off_t place = (off_t)(number * sizeof *page + done);
        ssize_t n = out ? pwrite(fileno(r->file), at, sizeof *page - done, place)
                        : pread(fileno(r->file), at, sizeof *page - done, place);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return diag_set(why, ST_IO, "ids that were met: the temporary file: %s",
                            n < 0 ? strerror(errno) : "it became shorter");
        done += (size_t)n;
    }
    return ST_OK;
}

/* Grows with the id, evenly over all pages, of which there are less than 2^32. */
static uint64_t home(const struct seen_run *r, const uint8_t *id)
{
    uint64_t number = (uint64_t)id[0] << 24 | (uint64_t)id[1] << 16 | (uint64_t)id[2] << 8 | id[3];
    return number * r->homes >> 32;
}

enum status seen_run_new(uint64_t n, struct seen_run **out, struct diag *why)
{
    struct seen_run *r = calloc(1, sizeof *r);
    if (!r)
        return ST_NOMEM;
    r->homes = n / PAGE_FILL + 1;
    enum status s = nameless_file_open("ids that were met", &r->file, why);
    if (s != ST_OK) {
        free(r);
        return s;
    }
    *out = r;
    return ST_OK;
}

void seen_run_free(struct seen_run *r)
{
    if (!r)
        return;
    fclose(r->file);
    free(r);
}

static enum status end_page(struct seen_run *r, struct diag *why)
{
    enum status s = move_page(r, r->pages, &r->last, true, why);
    r->pages++;
    r->last_rows = 0;
    memset(&r->last, 0, sizeof r->last);
    return s;
}

enum status seen_run_add(struct seen_run *r, const struct seen_row *row, struct diag *why)
{
    enum status s = ST_OK;
    while (s == ST_OK && (r->pages < home(r, row->id) || r->last_rows == PAGE_ROWS))
        s = end_page(r, why);
    r->last.rows[r->last_rows++] = *row;
    r->n++;
    return s;
}

enum status seen_run_end(struct seen_run *r, struct diag *why)
{
    enum status s = ST_OK;
    while (s == ST_OK && (r->pages < r->homes || r->last_rows > 0))
        s = end_page(r, why);
    return s;
}

enum status seen_run_find(const struct seen_run *r, const uint8_t id[ID_BYTES], bool *found, struct seen_row *out,
                          struct diag *why)
{
    struct page page;
    *found = false;
    for (uint64_t i = home(r, id); i < r->pages; i++) {
        enum status s = move_page(r, i, &page, false, why);
        if (s != ST_OK)
            return s;
        for (const struct seen_row *row = page.rows; row < page.rows + PAGE_ROWS; row++) {
            *found = row->place != 0 && memcmp(row->id, id, ID_BYTES) == 0;
            if (*found)
                *out = *row;
            if (*found || row->place == 0) /* had there been room for it, it would be here */
                return ST_OK;
        }
    }
    return ST_OK;
}

/* ---- merging -------------------------------------------------------------------------------------------------------
 */

/* A run on its way through a merge. */
struct source {
    const struct seen_run *run;
    uint64_t next_page;
    struct page page;
    int row; /* of the page; PAGE_ROWS: none is left in the run */
};

static bool has_row(const struct source *s)
{
    return s->row < PAGE_ROWS;
}

/* To the first row from s->row on, on this page or a later one. */
static enum status settle(struct source *s, struct diag *why)
{
    while (!has_row(s) || s->page.rows[s->row].place == 0) {
        s->row = PAGE_ROWS;
        if (s->next_page == s->run->pages)
            return ST_OK;
        enum status status = move_page(s->run, s->next_page++, &s->page, false, why);
        if (status != ST_OK)
            return status;
        s->row = 0;
    }
    return ST_OK;
}

/* NULL: all are at their ends. */
static struct source *first_of(struct source *sources, int n)
{
    struct source *first = NULL;
    for (struct source *s = sources; s < sources + n; s++)
        if (has_row(s) && (!first || memcmp(s->page.rows[s->row].id, first->page.rows[first->row].id, ID_BYTES) < 0))
            first = s;
    return first;
}

static enum status merge(struct source *sources, int n, struct seen_run *out, struct diag *why)
{
    enum status s = ST_OK;
    for (struct source *at; s == ST_OK && (at = first_of(sources, n));) {
        s = seen_run_add(out, &at->page.rows[at->row], why);
        at->row++;
        if (s == ST_OK)
            s = settle(at, why);
    }
    return s == ST_OK ? seen_run_end(out, why) : s;
}

enum status seen_run_merge(struct seen_run *const *runs, int n, struct seen_run **out, struct diag *why)
{
    struct source *sources = calloc((size_t)n, sizeof *sources);
    struct seen_run *merged = NULL;
    uint64_t rows = 0;
    enum status s = sources ? ST_OK : ST_NOMEM;
    for (int i = 0; s == ST_OK && i < n; i++) {
        rows += runs[i]->n;
        sources[i] = (struct source){.run = runs[i], .row = PAGE_ROWS};
        s = settle(&sources[i], why);
    }
    if (s == ST_OK)
        s = seen_run_new(rows, &merged, why);
    if (s == ST_OK)
        s = merge(sources, n, merged, why);
    free(sources);
    if (s == ST_OK)
        *out = merged;
    else
        seen_run_free(merged);
    return s;
}
