/* Rows of a step: first one of every decoding task, then prefill chunks under what is left of the budget. Rows are
 * ordered by prefix, image and task, so that all rows that read a segment stand together and one span serves them. */
#include <assert.h>
#include <stdlib.h>

#include "model/scheduler_impl.h"

static struct run *add_run(struct scheduler *s, struct sched_task *t, int level, int n)
{
    struct segment *const all[MAX_SEGMENTS] = {t->prefix_segment, t->image_segment, t->own_segment};
    struct run *r = &s->runs[s->n_runs++];
    *r = (struct run){.task = level == MAX_SEGMENTS - 1 ? t : NULL, .prefix = t->prefix, .image = t->image, .n = n};
    for (int i = 0; i <= level; i++)
        r->segments[i] = all[i];
    r->first = all[level]->filled;
    all[level]->filled += n;
    return r;
}

static void add_decode_rows(struct scheduler *s)
{
    for (struct sched_image *image = s->images; image; image = image->next) {
        for (struct sched_task *t = image->tasks; t; t = t->next) {
            if (t->state != TASK_DECODE || t->sampled >= t->max_tokens)
                continue;
            add_run(s, t, MAX_SEGMENTS - 1, 1)->sample = true;
            t->sampled++;
            s->plan.n_decode++;
        }
    }
}

/* How many of the places up to `size` fit the budget: all of them, or up to the last border of an attention block. */
static int chunk(const struct segment *segment, int size, int budget)
{
    int left = size - segment->filled;
    if (left <= budget)
        return left;
    int end = (segment->filled + budget) / ATTN_BLOCK * ATTN_BLOCK;
    return end > segment->filled ? end - segment->filled : 0;
}

static void add_prefill_rows(struct scheduler *s, struct sched_task *t, int *budget)
{
    struct segment *const all[MAX_SEGMENTS] = {t->prefix_segment, t->image_segment, t->own_segment};
    const int sizes[MAX_SEGMENTS] = {t->prefix->n, s->o.image_rows, t->n_own};
    for (int level = 0; level < MAX_SEGMENTS; level++) {
        if (all[level]->filled >= sizes[level])
            continue;
        int n = chunk(all[level], sizes[level], *budget);
        if (n > 0) {
            struct run *r = add_run(s, t, level, n);
            r->sample = level == MAX_SEGMENTS - 1 && all[level]->filled == sizes[level];
            *budget -= n;
            s->plan.n_prefill += n;
        }
        if (all[level]->filled < sizes[level])
            return;
    }
    t->state = TASK_DECODE;
    t->sampled = 1;
    scheduler_free_regions(s, t);
}

static uint64_t serial_at(const struct run *r, int level)
{
    return r->segments[level] ? r->segments[level]->serial : 0;
}

static int compare_runs(const void *a, const void *b)
{
    const struct run *x = a, *y = b;
    for (int level = 0; level < MAX_SEGMENTS; level++) {
        uint64_t i = serial_at(x, level), j = serial_at(y, level);
        if (i != j)
            return i < j ? -1 : 1;
    }
    return x->first < y->first ? -1 : x->first > y->first;
}

static int level_of(const struct run *r)
{
    int level = MAX_SEGMENTS - 1;
    while (!r->segments[level])
        level--;
    return level;
}

static int count_regions(const struct scheduler *s, const struct sched_task *t, int end)
{
    int n = 0;
    for (int i = 0; i < end; i++)
        n += t->own[i] == s->o.region_id;
    return n;
}

static void source_of(const struct scheduler *s, const struct run *r, int level, int place, int *region, int row)
{
    const struct plan *p = &s->plan;
    int32_t kind = SOURCE_TOKEN, index = 0;
    if (level == 0) {
        index = r->prefix->ids[place];
    } else if (level == 1) {
        kind = SOURCE_IMAGE;
        index = r->image->slot * s->o.image_rows + place;
    } else if (place >= r->task->n_own) {
        kind = SOURCE_SLOT;
        index = r->task->slot;
    } else if (r->task->own[place] == s->o.region_id) {
        kind = SOURCE_REGION;
        index = r->task->region_row[(*region)++];
    } else {
        index = r->task->own[place];
    }
    p->source_kind[row] = kind;
    p->source_index[row] = index;
}

static void emit_rows(struct scheduler *s)
{
    struct plan *p = &s->plan;
    for (int i = 0; i < s->n_runs; i++) {
        const struct run *r = &s->runs[i];
        int level = level_of(r);
        const struct segment *segment = r->segments[level];
        bool prompt = r->task && r->first < r->task->n_own;
        int region = prompt ? count_regions(s, r->task, r->first) : 0;
        for (int k = 0; k < r->n; k++) {
            int place = r->first + k, row = p->n_rows++;
            source_of(s, r, level, place, &region, row);
            p->position[row] = segment->base + place;
            p->kv_page[row] = segment->pages[place / KV_PAGE];
            p->kv_at[row] = place % KV_PAGE;
        }
        if (r->sample)
            p->sampled[p->n_sampled++] =
                (struct sched_sample){.task = r->task, .row = p->n_rows - 1, .slot = r->task->slot};
    }
    assert(p->n_rows <= s->o.max_rows);
}

static void add_span(struct scheduler *s, int pass, int row, int n, const struct segment *segment)
{
    struct plan *p = &s->plan;
    p->spans[p->n_spans++] = (struct span){
        .pass = pass, .row = row, .n = n, .page0 = p->n_page_entries, .base = segment->base, .length = segment->filled};
    int pages = kvcache_pages_for(segment->filled);
    assert(p->n_page_entries + pages <= s->o.n_pages);
    for (int i = 0; i < pages; i++)
        p->pages[p->n_page_entries++] = segment->pages[i];
}

static void emit_spans(struct scheduler *s)
{
    for (int pass = 0; pass < MAX_SEGMENTS; pass++) {
        int row = 0, start = 0;
        const struct segment *open = NULL;
        for (int i = 0; i < s->n_runs; i++) {
            const struct segment *segment = s->runs[i].segments[pass];
            if (segment != open) {
                if (open)
                    add_span(s, pass, start, row - start, open);
                open = segment;
                start = row;
            }
            row += s->runs[i].n;
        }
        if (open)
            add_span(s, pass, start, row - start, open);
    }
}

void scheduler_build_rows(struct scheduler *s)
{
    s->n_runs = 0;
    add_decode_rows(s);
    int budget = s->o.max_rows - s->plan.n_decode;
    for (struct sched_image *image = s->images; image && budget > 0; image = image->next) {
        for (struct sched_task *t = image->tasks; t && budget > 0; t = t->next) {
            if (t->state == TASK_PREFILL)
                add_prefill_rows(s, t, &budget);
        }
    }
    if (s->n_runs > 0)
        qsort(s->runs, (size_t)s->n_runs, sizeof *s->runs, compare_runs);
    emit_rows(s);
    emit_spans(s);
}
