#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/engine_impl.h"

enum status engine_hold_prefix(struct engine *e, const int32_t *ids, int n, struct engine_prefix **out)
{
    for (struct engine_prefix *p = e->prefixes; p; p = p->next) {
        if (p->sched.n == n && memcmp(p->ids, ids, (size_t)n * sizeof *ids) == 0) {
            p->refs++;
            *out = p;
            return ST_OK;
        }
    }
    struct engine_prefix *p = calloc(1, sizeof *p);
    int32_t *copy = malloc((size_t)(n > 0 ? n : 1) * sizeof *copy);
    if (!p || !copy) {
        free(p);
        free(copy);
        return ST_NOMEM;
    }
    memcpy(copy, ids, (size_t)n * sizeof *copy);
    p->ids = copy;
    p->refs = 1;
    p->sched.ids = copy;
    p->sched.n = n;
    p->next = e->prefixes;
    e->prefixes = p;
    scheduler_add_prefix(e->scheduler, &p->sched);
    *out = p;
    return ST_OK;
}

void engine_release_prefix(struct engine *e, struct engine_prefix *prefix)
{
    if (!prefix || --prefix->refs > 0)
        return;
    for (struct engine_prefix **p = &e->prefixes; *p; p = &(*p)->next) {
        if (*p == prefix) {
            *p = prefix->next;
            break;
        }
    }
    scheduler_forget_prefix(e->scheduler, &prefix->sched);
    free(prefix->ids);
    free(prefix);
}

static enum status copy_stops(struct task_job *t, const struct engine_task *task)
{
    if (task->n_stops == 0)
        return ST_OK;
    t->stops = calloc((size_t)task->n_stops, sizeof *t->stops);
    if (!t->stops)
        return ST_NOMEM;
    for (int i = 0; i < task->n_stops; i++) {
        if (task->stop_texts[i][0] == '\0')
            continue;
        if (!(t->stops[t->n_stops] = strdup(task->stop_texts[i])))
            return ST_NOMEM;
        t->n_stops++;
    }
    return ST_OK;
}

static enum engine_outcome refuse(struct task_job *t, enum engine_outcome outcome, const char *why)
{
    struct diag text;
    diag_set(&text, ST_INVALID, "%s", why);
    memcpy(t->result->result.why, text.text, sizeof text.text);
    return outcome;
}

/* Splits the prompt at the image: ids in front are the prefix, ids behind are the task's own. */
static enum engine_outcome split_prompt(struct engine *e, struct task_job *t, int n, int *n_prefix)
{
    int images = 0, regions = 0, early = 0;
    for (int i = 0; i < n; i++) {
        if (t->ids[i] == TOKEN_IMAGE && images++ == 0)
            *n_prefix = i;
        if (t->ids[i] == e->config->region_id)
            *(images > 0 ? &regions : &early) += 1;
    }
    struct sched_task *s = &t->sched;
    if (images != 1)
        return refuse(t, OUTCOME_INVALID, "the prompt must hold exactly one <image>");
    if (early > 0)
        return refuse(t, OUTCOME_INVALID, "a region stands in front of the image");
    if (regions != s->n_regions)
        return refuse(t, OUTCOME_INVALID, "the prompt's region tokens and the task's regions differ in number");
    s->own = t->ids + *n_prefix + 1;
    s->n_own = n - *n_prefix - 1;
    if (*n_prefix < 1 || s->n_own < 1)
        return refuse(t, OUTCOME_INVALID, "text must stand in front of and behind the image");
    t->n_prompt = n - 1 + e->vision.n_patches;
    int room = e->config->decoder.max_positions - t->n_prompt;
    if (room < 1) {
        struct diag text;
        diag_set(&text, ST_LIMIT, "the prompt takes %d positions of %d: no room for an answer", t->n_prompt,
                 e->config->decoder.max_positions);
        return refuse(t, OUTCOME_TOO_LONG, text.text);
    }
    if (s->max_tokens > room)
        s->max_tokens = room;
    return OUTCOME_OK;
}

static enum status copy_regions(struct engine *e, struct task_job *t, const struct engine_task *task)
{
    size_t n = (size_t)task->n_regions;
    if (n == 0)
        return ST_OK;
    t->sched.region_row = calloc(n, sizeof *t->sched.region_row);
    t->regions = calloc(n, sizeof *t->regions);
    if (!t->sched.region_row || !t->regions)
        return ST_NOMEM;
    enum status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < n; i++)
        s = drawn_region_copy(&t->regions[i], &e->config->sampler, &task->regions[i]);
    return s;
}

/* Makes the job of a task. *outcome says whether it can run; why not stands in its result. */
static enum status make_task(struct engine *e, struct image_job *image, const struct engine_task *task,
                             struct task_job *t, enum engine_outcome *outcome)
{
    t->id = task->id;
    t->image = image;
    t->temperature = task->temperature;
    t->top_p = task->top_p;
    t->seed = task->seed;
    t->repetition_stop = task->repetition_stop;
    t->well_formed_boxes = task->well_formed_boxes;
    t->submitted_us = clock_us();
    t->sched.max_tokens = task->max_tokens;
    t->sched.n_regions = task->n_regions;
    t->result->result.image_id = image->id;
    t->result->result.task_id = task->id;
    *outcome = OUTCOME_INVALID;
    if (task->max_tokens < 1 || task->n_regions < 0 || !(task->temperature >= 0) || !(task->top_p > 0)) {
        refuse(t, OUTCOME_INVALID, "max_tokens below 1, temperature below 0 or top_p not above 0");
        return ST_OK;
    }
    if (task->well_formed_boxes && !e->box_classes) {
        refuse(t, OUTCOME_INVALID, e->boxes_why.text);
        return ST_OK;
    }
    struct diag why = {0};
    int n = 0, n_prefix = 0;
    enum status s = tokenizer_encode_prompt(e->tokenizer, task->prompt, strlen(task->prompt), &t->ids, &n, &why);
    if (s != ST_OK && s != ST_NOMEM) {
        refuse(t, OUTCOME_INVALID, why.text);
        return ST_OK;
    }
    if (s == ST_OK && (*outcome = split_prompt(e, t, n, &n_prefix)) != OUTCOME_OK)
        return ST_OK;
    if (s == ST_OK)
        s = copy_regions(e, t, task);
    if (s == ST_OK)
        s = copy_stops(t, task);
    if (s == ST_OK && t->n_stops > 0)
        s = detokenizer_new(e->tokenizer, &t->detokenizer);
    if (s == ST_OK)
        s = engine_hold_prefix(e, t->ids, n_prefix, &t->prefix);
    if (s != ST_OK)
        return s;
    t->sched.prefix = &t->prefix->sched;
    if (scheduler_pages_needed(e->scheduler, &t->sched) > e->n_pages) {
        *outcome = refuse(t, OUTCOME_NO_MEMORY, "the KV cache is smaller than this task alone");
        return ST_OK;
    }
    return engine_room_for_tokens(t);
}

static enum status new_task(struct task_job **out)
{
    struct task_job *t = calloc(1, sizeof *t);
    struct result_node *node = calloc(1, sizeof *node);
    if (!t || !node) {
        free(t);
        free(node);
        return ST_NOMEM;
    }
    t->result = node;
    *out = t;
    return ST_OK;
}

/* Links the tasks that can run into *image, results of the others into *refused; both in order. */
static enum status make_tasks(struct engine *e, const struct engine_image *in, struct image_job *image,
                              struct result_node **refused)
{
    struct task_job **end = &image->tasks;
    for (int i = 0; i < in->n_tasks; i++) {
        struct task_job *t = NULL;
        enum engine_outcome outcome = OUTCOME_OK;
        enum status s = new_task(&t);
        if (s != ST_OK)
            return s;
        s = make_task(e, image, &in->tasks[i], t, &outcome);
        if (s == ST_OK && outcome == OUTCOME_OK) {
            *end = t;
            end = &t->next;
            continue;
        }
        if (s == ST_OK) {
            t->result->result.outcome = outcome;
            *refused = t->result;
            refused = &t->result->next;
            t->result = NULL;
        }
        task_job_free(e, t);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static void discard(struct engine *e, struct image_job *image, struct result_node *refused)
{
    while (image && image->tasks) {
        struct task_job *t = image->tasks;
        image->tasks = t->next;
        task_job_free(e, t);
    }
    while (refused) {
        struct result_node *node = refused;
        refused = node->next;
        free(node);
    }
    if (image) {
        free(image->pixels);
        free(image->features);
    }
    free(image);
}

static float *copy_floats(const float *from, size_t n)
{
    float *to = malloc(n * sizeof *to);
    if (to)
        memcpy(to, from, n * sizeof *to);
    return to;
}

/* What the image is encoded from. */
static enum status copy_source(const struct engine *e, const struct engine_image *image, struct image_job *job)
{
    size_t side = (size_t)e->config->vision.image_size;
    if (image->features)
        job->features = copy_floats(image->features, engine_feature_count(e));
    else
        job->pixels = copy_floats(image->pixels, 3 * side * side);
    return job->features || job->pixels ? ST_OK : ST_NOMEM;
}

static void take_in(struct engine *e, struct image_job *image)
{
    struct sched_task **link = &image->sched.tasks;
    for (struct task_job *t = image->tasks; t; t = t->next) {
        *link = &t->sched;
        link = &t->sched.next;
    }
    struct image_job **end = &e->images;
    while (*end)
        end = &(*end)->next;
    *end = image;
    e->n_images++;
    scheduler_add(e->scheduler, &image->sched);
}

enum status engine_submit(struct engine *e, const struct engine_image *image, struct diag *why)
{
    if (e->lost)
        return diag_set(why, ST_DEVICE, "%s", e->lost_why.text);
    if (e->n_images >= e->max_waiting_images)
        return diag_set(why, ST_BUSY, "%d images are waiting", e->n_images);
    struct result_node *refused = NULL;
    struct image_job *job = calloc(1, sizeof *job);
    enum status s = job ? copy_source(e, image, job) : ST_NOMEM;
    if (s == ST_OK) {
        job->id = image->id;
        s = make_tasks(e, image, job, &refused);
    }
    if (s != ST_OK) {
        discard(e, job, refused);
        return diag_set(why, s, "image could not be taken in: %s", status_word(s));
    }
    while (refused) {
        struct result_node *node = refused;
        refused = node->next;
        node->next = NULL;
        engine_queue_result(e, node);
    }
    if (job->tasks)
        take_in(e, job);
    else
        discard(e, job, NULL);
    return ST_OK;
}

void engine_cancel_task(struct engine *e, uint64_t task_id)
{
    for (struct image_job *image = e->images; image; image = image->next) {
        for (struct task_job *t = image->tasks; t; t = t->next) {
            if (t->id == task_id) {
                engine_end_task(e, t, OUTCOME_CANCELLED, FINISH_NONE, "cancelled");
                return;
            }
        }
    }
}

void engine_cancel_image(struct engine *e, uint64_t image_id)
{
    for (struct image_job *image = e->images; image; image = image->next) {
        if (image->id != image_id)
            continue;
        /* The image goes with its last task. */
        for (struct task_job *t = image->tasks, *next; t; t = next) {
            next = t->next;
            engine_end_task(e, t, OUTCOME_CANCELLED, FINISH_NONE, "cancelled");
        }
        return;
    }
}
