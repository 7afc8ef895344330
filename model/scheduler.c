#include "model/scheduler.h"

#include <assert.h>
#include <stdlib.h>

#include "model/scheduler_impl.h"

static bool stack_init(struct id_stack *s, int n)
{
    s->ids = malloc((size_t)(n > 0 ? n : 1) * sizeof *s->ids);
    if (!s->ids)
        return false;
    for (int i = 0; i < n; i++)
        s->ids[i] = n - 1 - i;
    s->n = n;
    return true;
}

static bool plan_init(struct plan *p, const struct sched_options *o)
{
    size_t rows = (size_t)o->max_rows, tasks = (size_t)o->max_sequences;
    p->encode = malloc((size_t)o->encode_batch * sizeof *p->encode);
    p->admitted = malloc(tasks * sizeof(struct sched_task *));
    p->source_kind = malloc(rows * sizeof *p->source_kind);
    p->source_index = malloc(rows * sizeof *p->source_index);
    p->position = malloc(rows * sizeof *p->position);
    p->kv_page = malloc(rows * sizeof *p->kv_page);
    p->kv_at = malloc(rows * sizeof *p->kv_at);
    p->spans = malloc(MAX_SEGMENTS * rows * sizeof *p->spans);
    p->pages = malloc((size_t)o->n_pages * sizeof *p->pages);
    p->sampled = malloc(tasks * sizeof *p->sampled);
    return p->encode && p->admitted && p->source_kind && p->source_index && p->position && p->kv_page && p->kv_at &&
           p->spans && p->pages && p->sampled;
}

enum status scheduler_new(const struct sched_options *o, struct scheduler **out)
{
    assert(o->max_rows >= o->max_sequences + ATTN_BLOCK && o->image_slots > 0 && o->encode_batch > 0);
    struct scheduler *s = calloc(1, sizeof *s);
    if (!s)
        return ST_NOMEM;
    s->o = *o;
    s->runs = malloc((size_t)o->max_rows * sizeof *s->runs);
    if (!s->runs || !plan_init(&s->plan, o) || !stack_init(&s->slots, o->max_sequences) ||
        !stack_init(&s->image_slots, o->image_slots) || !stack_init(&s->region_rows, o->n_region_rows) ||
        kvcache_init(&s->kv, o->n_pages) != ST_OK) {
        scheduler_free(s);
        return ST_NOMEM;
    }
    *out = s;
    return ST_OK;
}

static void drop_image_segments(struct scheduler *s, struct sched_image *image)
{
    while (image->segments) {
        struct image_segment *first = image->segments;
        image->segments = first->next;
        segment_release(&s->kv, first->segment);
        free(first);
    }
}

void scheduler_free(struct scheduler *s)
{
    if (!s)
        return;
    while (s->images) {
        struct sched_image *image = s->images;
        while (image->tasks)
            scheduler_end(s, image->tasks);
        scheduler_remove(s, image);
    }
    while (s->prefixes)
        scheduler_forget_prefix(s, s->prefixes);
    kvcache_fini(&s->kv);
    free(s->slots.ids);
    free(s->image_slots.ids);
    free(s->region_rows.ids);
    free(s->runs);
    struct plan *p = &s->plan;
    free(p->encode);
    free(p->admitted);
    free(p->source_kind);
    free(p->source_index);
    free(p->position);
    free(p->kv_page);
    free(p->kv_at);
    free(p->spans);
    free(p->pages);
    free(p->sampled);
    free(s);
}

/* The token sampled last is never fed back, so max_tokens - 1 places follow the prompt. */
static int own_places(const struct sched_task *t)
{
    return t->n_own + t->max_tokens - 1;
}

int scheduler_pages_needed(const struct scheduler *s, const struct sched_task *task)
{
    return kvcache_pages_for(task->prefix->n) + kvcache_pages_for(s->o.image_rows) +
           kvcache_pages_for(own_places(task));
}

void scheduler_add(struct scheduler *s, struct sched_image *image)
{
    image->slot = -1;
    image->segments = NULL;
    image->next = NULL;
    for (struct sched_task *t = image->tasks; t; t = t->next) {
        t->image = image;
        t->state = TASK_WAITING;
        t->slot = -1;
        t->sampled = 0;
        t->holds_regions = false;
        t->prefix_segment = t->image_segment = t->own_segment = NULL;
    }
    struct sched_image **end = &s->images;
    while (*end)
        end = &(*end)->next;
    *end = image;
}

void scheduler_add_prefix(struct scheduler *s, struct sched_prefix *prefix)
{
    prefix->segment = NULL;
    prefix->next = s->prefixes;
    s->prefixes = prefix;
}

void scheduler_forget_prefix(struct scheduler *s, struct sched_prefix *prefix)
{
    for (struct sched_prefix **p = &s->prefixes; *p; p = &(*p)->next) {
        if (*p == prefix) {
            *p = prefix->next;
            break;
        }
    }
    segment_release(&s->kv, prefix->segment);
    prefix->segment = NULL;
}

/* The image's rows on the device are needed until each of its tasks has its prompt in the cache. */
static void free_idle_image_slot(struct scheduler *s, struct sched_image *image)
{
    if (image->slot < 0)
        return;
    for (const struct sched_task *t = image->tasks; t; t = t->next) {
        if (t->state == TASK_WAITING || t->state == TASK_PREFILL)
            return;
    }
    s->image_slots.ids[s->image_slots.n++] = image->slot;
    image->slot = -1;
}

void scheduler_free_regions(struct scheduler *s, struct sched_task *task)
{
    if (!task->holds_regions)
        return;
    for (int i = task->n_regions - 1; i >= 0; i--)
        s->region_rows.ids[s->region_rows.n++] = task->region_row[i];
    task->holds_regions = false;
}

void scheduler_end(struct scheduler *s, struct sched_task *task)
{
    scheduler_free_regions(s, task);
    if (task->slot >= 0)
        s->slots.ids[s->slots.n++] = task->slot;
    segment_release(&s->kv, task->own_segment);
    segment_release(&s->kv, task->image_segment);
    segment_release(&s->kv, task->prefix_segment);
    task->own_segment = task->image_segment = task->prefix_segment = NULL;
    task->slot = -1;
    task->state = TASK_ENDED;
    for (struct sched_task **t = &task->image->tasks; *t; t = &(*t)->next) {
        if (*t == task) {
            *t = task->next;
            break;
        }
    }
    free_idle_image_slot(s, task->image);
}

void scheduler_remove(struct scheduler *s, struct sched_image *image)
{
    assert(!image->tasks);
    free_idle_image_slot(s, image);
    drop_image_segments(s, image);
    for (struct sched_image **i = &s->images; *i; i = &(*i)->next) {
        if (*i == image) {
            *i = image->next;
            break;
        }
    }
}

static struct segment *find_image_segment(const struct sched_image *image, const struct sched_prefix *prefix)
{
    for (const struct image_segment *i = image->segments; i; i = i->next) {
        if (i->prefix == prefix)
            return i->segment;
    }
    return NULL;
}

/* Gives up kept segments that no running task reads, but for the task's own, until `need` pages are free. */
static bool make_room(struct scheduler *s, const struct sched_task *task, int need)
{
    for (struct sched_image *image = s->images; image && s->kv.n_free < need; image = image->next) {
        struct image_segment **at = &image->segments;
        while (*at) {
            struct image_segment *i = *at;
            bool own = image == task->image && i->prefix == task->prefix;
            if (i->segment->refs > 1 || own) {
                at = &i->next;
                continue;
            }
            *at = i->next;
            segment_release(&s->kv, i->segment);
            free(i);
        }
    }
    for (struct sched_prefix *p = s->prefixes; p && s->kv.n_free < need; p = p->next) {
        if (p->segment && p->segment->refs == 1 && p != task->prefix) {
            segment_release(&s->kv, p->segment);
            p->segment = NULL;
        }
    }
    return s->kv.n_free >= need;
}

static enum status make_image_segment(struct scheduler *s, struct sched_task *t)
{
    struct image_segment *entry = malloc(sizeof *entry);
    if (!entry)
        return ST_NOMEM;
    enum status status = segment_new(&s->kv, t->prefix->n, s->o.image_rows, &entry->segment);
    if (status != ST_OK) {
        free(entry);
        return status;
    }
    entry->prefix = t->prefix;
    entry->next = t->image->segments;
    t->image->segments = entry;
    return ST_OK;
}

/* Gives the task all it will ever need, or ST_BUSY. Shared segments made on the way stay with image and prefix. */
static enum status admit(struct scheduler *s, struct sched_task *t)
{
    if (s->slots.n == 0 || s->region_rows.n < t->n_regions)
        return ST_BUSY;
    struct segment *prefix = t->prefix->segment, *image = find_image_segment(t->image, t->prefix);
    int need = kvcache_pages_for(own_places(t));
    need += prefix ? 0 : kvcache_pages_for(t->prefix->n);
    need += image ? 0 : kvcache_pages_for(s->o.image_rows);
    if (need > s->kv.n_free && !make_room(s, t, need)) {
        s->page_waits++;
        return ST_BUSY;
    }
    enum status status = ST_OK;
    if (!prefix)
        status = segment_new(&s->kv, 0, t->prefix->n, &t->prefix->segment);
    if (status == ST_OK && !image)
        status = make_image_segment(s, t);
    if (status == ST_OK)
        status = segment_new(&s->kv, t->prefix->n + s->o.image_rows, own_places(t), &t->own_segment);
    if (status != ST_OK)
        return status;
    t->prefix_segment = segment_hold(t->prefix->segment);
    t->image_segment = segment_hold(find_image_segment(t->image, t->prefix));
    t->slot = s->slots.ids[--s->slots.n];
    t->image_slot = t->image->slot;
    for (int i = 0; i < t->n_regions; i++)
        t->region_row[i] = s->region_rows.ids[--s->region_rows.n];
    t->holds_regions = true;
    t->state = TASK_PREFILL;
    s->plan.admitted[s->plan.n_admitted++] = t;
    return ST_OK;
}

/* Strictly in order of arrival: a task that can't start now holds back those behind it, so none is passed over for
 * ever. */
static enum status admit_waiting(struct scheduler *s)
{
    struct plan *p = &s->plan;
    bool open = true;
    for (struct sched_image *image = s->images; image; image = image->next) {
        struct sched_task *t = image->tasks;
        while (t && t->state != TASK_WAITING)
            t = t->next;
        if (!t)
            continue;
        if (image->slot < 0) {
            if (s->image_slots.n == 0 || p->n_encode == s->o.encode_batch)
                return ST_OK;
            image->slot = s->image_slots.ids[--s->image_slots.n];
            p->encode[p->n_encode++] = (struct sched_encode){.image = image, .slot = image->slot};
        }
        for (; open && t; t = t->next) {
            enum status status = t->state == TASK_WAITING ? admit(s, t) : ST_OK;
            if (status == ST_BUSY)
                open = false;
            else if (status != ST_OK)
                return status;
        }
    }
    return ST_OK;
}

enum status scheduler_plan(struct scheduler *s, const struct plan **out)
{
    struct plan *p = &s->plan;
    p->n_encode = p->n_admitted = p->n_rows = p->n_prefill = p->n_decode = 0;
    p->n_spans = p->n_page_entries = p->n_sampled = 0;
    /* What was admitted before memory ran out goes on with the step; the rest is tried again. */
    enum status status = admit_waiting(s);
    if (status != ST_OK && p->n_admitted == 0 && p->n_encode == 0)
        return status;
    scheduler_build_rows(s);
    for (struct sched_image *image = s->images; image; image = image->next)
        free_idle_image_slot(s, image);
    *out = p;
    return ST_OK;
}

int scheduler_pages_used(const struct scheduler *s)
{
    return s->kv.n_pages - s->kv.n_free;
}

int scheduler_sequences(const struct scheduler *s)
{
    return s->o.max_sequences - s->slots.n;
}

int64_t scheduler_page_waits(const struct scheduler *s)
{
    return s->page_waits;
}
