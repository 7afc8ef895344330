/* Plans are played against a model of the cache: every place remembers whose token was written there, and every row
 * must find exactly its own sequence, position by position, through its spans. */
#include "model/scheduler.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/random.h"

enum { IMAGE_ROWS = 300, REGION = 999, MAX_PAGES = 512, N_IMAGES = 9, N_TASKS = 5, MAX_OWN = 200 };

/* A token of a sequence: which prefix, image or task, and where. */
struct written {
    const void *owner;
    int position;
};

struct sim_task {
    struct sched_task sched; /* first */
    int32_t own[MAX_OWN];
    int32_t region_row[4];
    int n_seen; /* samples planned, as counted here */
    bool ended;
};
struct sim_image {
    struct sched_image sched; /* first */
    struct sim_task tasks[N_TASKS];
    bool removed;
};
struct sim {
    struct sched_options o;
    struct scheduler *s;
    struct sched_prefix prefixes[2];
    int32_t prefix_ids[2][150];
    struct sim_image images[N_IMAGES];
    struct written cache[MAX_PAGES][KV_PAGE];
    int image_slots[N_IMAGES]; /* whose rows stand in a slot: image number + 1 */
    uint64_t draws;
};

static int draw(struct sim *m, int n)
{
    return (int)(random_bits(5, m->draws++) % (uint64_t)n);
}

static void sim_init(struct sim *m, int n_pages, int max_sequences, int max_rows)
{
    memset(m, 0, sizeof *m);
    m->o = (struct sched_options){.max_sequences = max_sequences,
                                  .max_rows = max_rows,
                                  .image_slots = 3,
                                  .encode_batch = 2,
                                  .image_rows = IMAGE_ROWS,
                                  .n_pages = n_pages,
                                  .n_region_rows = 16,
                                  .region_id = REGION};
    cr_assert_eq(scheduler_new(&m->o, &m->s), ST_OK);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 150; k++)
            m->prefix_ids[i][k] = 1000 * (i + 1) + k;
        m->prefixes[i].ids = m->prefix_ids[i];
        m->prefixes[i].n = i ? 140 : 98;
        scheduler_add_prefix(m->s, &m->prefixes[i]);
    }
}

static void add_image(struct sim *m, int index, int n_tasks)
{
    struct sim_image *image = &m->images[index];
    for (int i = n_tasks - 1; i >= 0; i--) {
        struct sim_task *t = &image->tasks[i];
        struct sched_task *s = &t->sched;
        s->prefix = &m->prefixes[draw(m, 4) == 0];
        s->own = t->own;
        s->n_own = 1 + draw(m, MAX_OWN);
        s->max_tokens = 1 + draw(m, 40);
        s->region_row = t->region_row;
        for (int k = 0; k < s->n_own; k++) {
            bool region = s->n_regions < 4 && draw(m, 40) == 0;
            t->own[k] = region ? REGION : k + 1;
            s->n_regions += region;
        }
        s->next = image->sched.tasks;
        image->sched.tasks = s;
    }
    scheduler_add(m->s, &image->sched);
}

static const void *owner_at(const struct sched_task *t, int position)
{
    int behind = position - t->prefix->n;
    return behind < 0 ? (const void *)t->prefix : behind < IMAGE_ROWS ? (const void *)t->image : (const void *)t;
}

/* Level of the task's segment that the row is written to, or -1. */
static int level_of_row(const struct sched_task *t, const struct plan *p, int row)
{
    const struct segment *segments[] = {t->prefix_segment, t->image_segment, t->own_segment};
    for (int level = 0; level < 3; level++) {
        const struct segment *s = segments[level];
        int place = s ? p->position[row] - s->base : -1;
        if (place >= 0 && place < s->size && s->pages[place / KV_PAGE] == p->kv_page[row] &&
            place % KV_PAGE == p->kv_at[row])
            return level;
    }
    return -1;
}

/* A task whose sequence the row belongs to: of a shared row any that shares it. */
static const struct sched_task *sequence_of(const struct sim *m, const struct plan *p, int row)
{
    for (int i = 0; i < N_IMAGES; i++) {
        for (const struct sched_task *t = m->images[i].sched.tasks; t; t = t->next) {
            if (level_of_row(t, p, row) >= 0)
                return t;
        }
    }
    cr_assert_fail("row %d belongs to no task", row);
    return NULL;
}

static void write_row(struct sim *m, const struct plan *p, int row)
{
    cr_assert(p->kv_page[row] >= 0 && p->kv_page[row] < m->o.n_pages);
    const struct sched_task *t = sequence_of(m, p, row);
    const void *owners[] = {t->prefix, t->image, t};
    m->cache[p->kv_page[row]][p->kv_at[row]] = (struct written){owners[level_of_row(t, p, row)], p->position[row]};
}

static void check_source(const struct sim *m, const struct plan *p, int row, const struct sched_task *t)
{
    int place = p->position[row] - t->prefix->n - IMAGE_ROWS, kind = p->source_kind[row], index = p->source_index[row];
    if (place >= t->n_own) {
        cr_assert(kind == SOURCE_SLOT && index == t->slot);
    } else if (place >= 0 && t->own[place] == REGION) {
        int k = 0;
        for (int i = 0; i < place; i++)
            k += t->own[i] == REGION;
        cr_assert(kind == SOURCE_REGION && index == t->region_row[k]);
    } else if (place >= 0) {
        cr_assert(kind == SOURCE_TOKEN && index == t->own[place]);
    } else if (place >= -IMAGE_ROWS) {
        int slot = index / IMAGE_ROWS;
        cr_assert(kind == SOURCE_IMAGE && index % IMAGE_ROWS == place + IMAGE_ROWS);
        cr_assert_eq(&m->images[m->image_slots[slot] - 1].sched, t->image, "rows of another image");
    } else {
        cr_assert(kind == SOURCE_TOKEN && index == t->prefix->ids[p->position[row]]);
    }
}

/* The row sees its sequence from 0 to itself, in order, and nothing else. */
static void check_row(const struct sim *m, const struct plan *p, int row)
{
    const struct sched_task *t = sequence_of(m, p, row);
    cr_assert_not_null(t);
    check_source(m, p, row, t);
    int seen = 0;
    for (int i = 0; i < p->n_spans; i++) {
        const struct span *s = &p->spans[i];
        if (row < s->row || row >= s->row + s->n)
            continue;
        for (int k = 0; k < s->length && s->base + k <= p->position[row]; k++) {
            const struct written *w = &m->cache[p->pages[s->page0 + k / KV_PAGE]][k % KV_PAGE];
            cr_assert_eq(s->base + k, seen, "row %d skips to %d", row, s->base + k);
            cr_assert(w->position == seen && w->owner == owner_at(t, seen), "row %d reads a stranger at %d", row, seen);
            seen++;
        }
    }
    cr_assert_eq(seen, p->position[row] + 1);
}

static void check_plan(struct sim *m, const struct plan *p)
{
    cr_assert_leq(p->n_rows, m->o.max_rows);
    cr_assert_eq(p->n_rows, p->n_prefill + p->n_decode);
    for (int i = 0; i < p->n_encode; i++)
        m->image_slots[p->encode[i].slot] = (int)((struct sim_image *)p->encode[i].image - m->images) + 1;
    for (int row = 0; row < p->n_rows; row++)
        write_row(m, p, row);
    for (int row = 0; row < p->n_rows; row++)
        check_row(m, p, row);
    for (int i = 0; i < p->n_spans; i++)
        cr_assert(i == 0 || p->spans[i].pass >= p->spans[i - 1].pass);
    for (int i = 0; i < p->n_sampled; i++) {
        struct sim_task *t = (struct sim_task *)p->sampled[i].task;
        int row = p->sampled[i].row;
        cr_assert(i == 0 || row > p->sampled[i - 1].row);
        cr_assert_eq(p->position[row], t->sched.prefix->n + IMAGE_ROWS + t->sched.n_own - 1 + t->n_seen);
        cr_assert_leq(++t->n_seen, t->sched.max_tokens);
    }
}

static void end_task(struct sim *m, struct sim_task *t)
{
    struct sim_image *image = (struct sim_image *)t->sched.image;
    t->ended = true;
    scheduler_end(m->s, &t->sched);
    if (!image->sched.tasks) {
        scheduler_remove(m->s, &image->sched);
        image->removed = true;
    }
}

/* Ends tasks that have all their tokens, some earlier, and now and then one in whatever state. */
static bool end_some(struct sim *m, bool cancel)
{
    bool left = false;
    for (int i = 0; i < N_IMAGES; i++) {
        for (int k = 0; k < N_TASKS; k++) {
            struct sim_task *t = &m->images[i].tasks[k];
            if (t->ended || !t->sched.image)
                continue;
            bool full = t->n_seen == t->sched.max_tokens, stop = t->n_seen > 0 && draw(m, 30) == 0;
            if (full || stop || (cancel && draw(m, 60) == 0))
                end_task(m, t);
            else
                left = true;
        }
    }
    return left;
}

static void play(int n_pages, int max_sequences, int max_rows, bool cancel)
{
    static struct sim m;
    sim_init(&m, n_pages, max_sequences, max_rows);
    int added = 0;
    bool left = true;
    for (int step = 0; left || added < N_IMAGES; step++) {
        cr_assert_lt(step, 20000, "no progress");
        if (added < N_IMAGES && draw(&m, 3) == 0)
            add_image(&m, added++, 1 + draw(&m, N_TASKS));
        const struct plan *p;
        cr_assert_eq(scheduler_plan(m.s, &p), ST_OK);
        check_plan(&m, p);
        left = end_some(&m, cancel);
    }
    cr_assert_eq(scheduler_sequences(m.s), 0);
    for (int i = 0; i < 2; i++)
        scheduler_forget_prefix(m.s, &m.prefixes[i]);
    cr_assert_eq(scheduler_pages_used(m.s), 0);
    scheduler_free(m.s);
}

Test(scheduler, every_row_reads_its_own_sequence, .timeout = 60)
{
    play(MAX_PAGES, 8, 400, false);
}

Test(scheduler, the_smallest_steps_still_make_progress, .timeout = 60)
{
    play(MAX_PAGES, 3, 3 + ATTN_BLOCK, false);
}

Test(scheduler, cancellation_in_any_state_leaves_the_others_alone, .timeout = 60)
{
    play(MAX_PAGES, 8, 300, true);
}

Test(scheduler, short_of_pages_tasks_wait_and_all_finish, .timeout = 60)
{
    /* 5 of the longest prefix, 10 of the image, 8 of the longest own segment. */
    play(5 + 10 + 8, 8, 400, false);
    play(40, 8, 400, true);
}

Test(scheduler, tasks_of_an_image_share_prefix_and_image)
{
    static struct sim m;
    sim_init(&m, MAX_PAGES, 8, 2048);
    add_image(&m, 0, N_TASKS);
    int own = 0;
    for (int i = 0; i < N_TASKS; i++) {
        m.images[0].tasks[i].sched.prefix = &m.prefixes[0];
        own += m.images[0].tasks[i].sched.n_own;
    }
    const struct plan *p;
    cr_assert_eq(scheduler_plan(m.s, &p), ST_OK);
    cr_assert_eq(p->n_prefill, m.prefixes[0].n + IMAGE_ROWS + own);
    cr_assert_eq(p->n_sampled, N_TASKS);
    /* One span for the prefix, one for the image, one a task; the prefix serves all rows. */
    cr_assert_eq(p->n_spans, 2 + N_TASKS);
    cr_assert_eq(p->spans[0].n, p->n_rows);
    cr_assert_eq(p->spans[1].n, p->n_rows - m.prefixes[0].n);
    scheduler_free(m.s);
}

Test(scheduler, prefill_chunks_end_on_attention_borders)
{
    static struct sim m;
    sim_init(&m, MAX_PAGES, 4, 4 + ATTN_BLOCK);
    add_image(&m, 0, 1);
    m.images[0].tasks[0].sched.prefix = &m.prefixes[0];
    const struct plan *p;
    /* 98 of the prefix; 132 - 98 are too few for a block of the image, which then runs as 128 + 128 + 44. */
    const int rows[] = {98, ATTN_BLOCK, ATTN_BLOCK};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(scheduler_plan(m.s, &p), ST_OK);
        cr_assert_eq(p->n_prefill, rows[i], "step %d: %d rows", i, p->n_prefill);
    }
    scheduler_free(m.s);
}
