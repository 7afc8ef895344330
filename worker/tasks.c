#include "worker/tasks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/prompt.h"

enum { MAX_MENTIONS = LIMIT_REGIONS };

static void set_error(struct task_error *e, enum error_class class_, const char *code, const char *message)
{
    e->class_ = class_;
    e->code = code;
    snprintf(e->message, sizeof e->message, "%s", message);
}

/* ---- regions -------------------------------------------------------------------------------------------------------
 */

static enum status make_region(const struct job_region *from, int width, int height, struct region *out,
                               struct diag *why)
{
    static const enum region_kind kinds[] = {
        [JOB_POINT] = REGION_POINT,       [JOB_BOX] = REGION_BOX,  [JOB_POLYGON] = REGION_POLYGON,
        [JOB_SCRIBBLE] = REGION_SCRIBBLE, [JOB_RLE] = REGION_MASK,
    };
    uint32_t *runs = NULL;
    struct region_spec spec = {
        .kind = kinds[from->kind],
        .normalised = from->normalised,
        .xy = from->xy,
        .n_points = from->n_points,
        .ring_ends = from->ring_ends,
        .n_rings = from->n_rings,
        .stroke_width = from->stroke_width,
        .rle_size = {from->rle_size[0], from->rle_size[1]},
    };
    memcpy(spec.box, from->box, sizeof spec.box);
    enum status s = ST_OK;
    if (from->kind == JOB_RLE) {
        s = region_rle_decode(from->rle_counts, strlen(from->rle_counts), &runs, &spec.n_rle, why);
        spec.rle = runs;
    }
    if (s == ST_OK)
        s = region_make(&spec, width, height, out, why);
    free(runs);
    return s;
}

/* A region that can't be made leaves a one-pixel stand-in, so that texts can be laid out around it; entries that use
 * it fail. */
static enum status make_regions(struct task_plan *p, int width, int height)
{
    const struct job *j = p->job;
    if (j->n_regions == 0)
        return ST_OK;
    p->regions = calloc((size_t)j->n_regions, sizeof *p->regions);
    p->region_errors = calloc((size_t)j->n_regions, sizeof *p->region_errors);
    if (!p->regions || !p->region_errors)
        return ST_NOMEM;
    for (int i = 0; i < j->n_regions; i++) {
        struct diag why = {""};
        enum status s = make_region(&j->regions[i], width, height, &p->regions[i], &why);
        if (s == ST_NOMEM)
            return s;
        if (s == ST_OK)
            continue;
        p->regions[i] = (struct region){.width = 1, .height = 1, .n_pixels = 1, .kind = REGION_BOX};
        diag_wrap(&why, s, "regions[%d]", i);
        set_error(&p->region_errors[i], ERROR_PERMANENT, "invalid_region", why.text);
    }
    return ST_OK;
}

/* ---- prompts -------------------------------------------------------------------------------------------------------
 */

/* The text as a person would read it: region tokens mean nothing in a record. */
static char *without_tokens(const char *text)
{
    static const char token[] = " <region_fea>";
    char *out = strdup(text), *hit;
    while (out && (hit = strstr(out, token)) != NULL)
        memmove(hit, hit + sizeof token - 1, strlen(hit + sizeof token - 1) + 1);
    return out;
}

/* Turns with regions in place. only: the one region that the texts may name (index in the job); NULL: all of them. */
static enum status place(struct task_plan *p, struct task_entry *e, char *const *turns, int n, const int *only,
                         char **placed, struct diag *why)
{
    const struct region *regions = only ? &p->regions[*only] : p->regions;
    int n_regions = only ? 1 : p->job->n_regions, next = 0;
    int order[MAX_MENTIONS];
    for (int i = 0; i < n; i++) {
        int n_order = 0;
        enum status s = prompt_place_regions(turns[i], regions, n_regions, &next, &placed[i], order,
                                             MAX_MENTIONS - e->n_regions, &n_order, why);
        if (s != ST_OK)
            return s;
        struct region *grown = realloc(e->regions, ((size_t)e->n_regions + (size_t)n_order + 1) * sizeof *grown);
        if (!grown)
            return ST_NOMEM;
        e->regions = grown;
        for (int k = 0; k < n_order; k++) {
            int index = only ? *only : order[k];
            if (p->region_errors[index].code && !e->error.code)
                e->error = p->region_errors[index];
            e->regions[e->n_regions++] = p->regions[index];
        }
    }
    return ST_OK;
}

/* Lays out the conversation. Errors of the texts become the entry's. */
static enum status converse(struct task_plan *p, const struct config *config, struct task_entry *e, char *const *turns,
                            int n, const int *only)
{
    struct diag why = {""};
    char **placed = calloc((size_t)n, sizeof *placed);
    if (!placed)
        return ST_NOMEM;
    enum status s = place(p, e, turns, n, only, placed, &why);
    if (s == ST_OK)
        s = prompt_render(&config->template, (const char *const *)placed, n, &e->prompt, &why);
    if (s == ST_OK && !(e->question = without_tokens(placed[n - 1])))
        s = ST_NOMEM;
    for (int i = 0; i < n; i++)
        free(placed[i]);
    free(placed);
    if (s == ST_OK || s == ST_NOMEM)
        return s;
    if (!e->error.code)
        set_error(&e->error, ERROR_PERMANENT, "invalid_job", why.text);
    if (!e->question && !(e->question = without_tokens(turns[n - 1])))
        return ST_NOMEM;
    return ST_OK;
}

static enum status write_prompt(struct task_plan *p, const struct config *config, struct task_entry *e)
{
    const struct job_task *t = e->task;
    char *question = NULL;
    enum status s = ST_OK;
    switch (t->kind) {
    case TASK_CAPTION: s = prompt_caption(&config->tasks, &question); break;
    case TASK_DESCRIBE: s = prompt_describe(&config->tasks, &question); break;
    case TASK_LOCATE:
        s = prompt_locate(&config->tasks, (const char *const *)t->phrases, t->n_phrases, &question);
        break;
    case TASK_ASK: return converse(p, config, e, t->turns, t->n_turns, NULL);
    case TASK_KIND_COUNT_: break;
    }
    if (s == ST_OK)
        s = converse(p, config, e, &question, 1, t->kind == TASK_DESCRIBE ? &e->region : NULL);
    free(question);
    return s;
}

/* ---- entries -------------------------------------------------------------------------------------------------------
 */

/* The task's own id, else its kind, numbered where several tasks of the kind have no id; describe adds the region. */
static char *entry_id(const struct job *j, int task, int region)
{
    const struct job_task *t = &j->tasks[task];
    int before = 0, all = 0;
    for (int i = 0; i < j->n_tasks; i++) {
        bool same = !j->tasks[i].id && j->tasks[i].kind == t->kind;
        all += same;
        before += same && i < task;
    }
    char number[16] = "", part[16] = "";
    if (!t->id && all > 1)
        snprintf(number, sizeof number, "-%d", before);
    if (region >= 0)
        snprintf(part, sizeof part, "-%d", region);
    char *id = NULL;
    if (asprintf(&id, "%s%s%s", t->id ? t->id : task_kind_name(t->kind), number, part) < 0)
        return NULL;
    return id;
}

/* Walks the pixels of the regions, up to a second for a large image: here, and not where the engine waits. */
static enum status draw_regions(const struct config *config, struct task_entry *e)
{
    if (e->error.code || e->n_regions == 0)
        return ST_OK;
    if (!(e->drawn = calloc((size_t)e->n_regions, sizeof *e->drawn)))
        return ST_NOMEM;
    enum status s = ST_OK;
    for (int i = 0; s == ST_OK && i < e->n_regions; i++)
        s = drawn_region_init(&e->drawn[i], &config->sampler, &e->regions[i], e->task->options.seed);
    return s;
}

static enum status add_entry(struct task_plan *p, const struct config *config, int task, int region)
{
    struct task_entry *e = &p->entries[p->n_entries++];
    e->task = &p->job->tasks[task];
    e->region = region;
    if (!(e->id = entry_id(p->job, task, region)))
        return ST_NOMEM;
    enum status s = write_prompt(p, config, e);
    return s == ST_OK ? draw_regions(config, e) : s;
}

static int answers_of(const struct job *j, const struct job_task *t)
{
    if (t->kind != TASK_DESCRIBE)
        return 1;
    return t->regions ? t->n_regions : j->n_regions;
}

static enum status add_entries(struct task_plan *p, const struct config *config)
{
    const struct job *j = p->job;
    size_t n = 0;
    for (int i = 0; i < j->n_tasks; i++)
        n += (size_t)answers_of(j, &j->tasks[i]);
    if (!(p->entries = calloc(n ? n : 1, sizeof *p->entries)))
        return ST_NOMEM;
    enum status s = ST_OK;
    for (int i = 0; i < j->n_tasks; i++) {
        const struct job_task *t = &j->tasks[i];
        for (int k = 0; s == ST_OK && k < answers_of(j, t); k++) {
            int region = t->kind != TASK_DESCRIBE ? -1 : t->regions ? t->regions[k] : k;
            s = add_entry(p, config, i, region);
        }
    }
    return s;
}

enum status tasks_plan(const struct job *job, const struct config *config, int width, int height, struct task_plan *out)
{
    struct task_plan p = {.job = job};
    enum status s = make_regions(&p, width, height);
    if (s == ST_OK)
        s = add_entries(&p, config);
    if (s != ST_OK) {
        tasks_fini(&p);
        return s;
    }
    *out = p;
    return ST_OK;
}

void tasks_fini(struct task_plan *p)
{
    for (int i = 0; i < p->n_entries; i++) {
        struct task_entry *e = &p->entries[i];
        free(e->id);
        free(e->question);
        free(e->prompt);
        for (int k = 0; e->drawn && k < e->n_regions; k++)
            drawn_region_fini(&e->drawn[k]);
        free(e->drawn);
        free(e->regions); /* a shallow copy: runs go with p->regions */
        engine_result_fini(&e->result);
    }
    for (int i = 0; p->regions && i < p->job->n_regions; i++)
        region_fini(&p->regions[i]);
    free(p->entries);
    free(p->regions);
    free(p->region_errors);
    *p = (struct task_plan){0};
}

/* ---- to and from the engine ----------------------------------------------------------------------------------------
 */

int tasks_for_engine(const struct task_plan *p, uint64_t first_id, struct engine_task *tasks)
{
    int n = 0;
    for (int i = 0; i < p->n_entries; i++) {
        const struct task_entry *e = &p->entries[i];
        const struct job_options *o = &e->task->options;
        if (e->error.code)
            continue;
        tasks[n++] = (struct engine_task){
            .id = first_id + (uint64_t)i,
            .prompt = e->prompt,
            .regions = e->drawn,
            .n_regions = e->n_regions,
            .max_tokens = o->max_tokens,
            .temperature = (float)o->temperature,
            .top_p = (float)o->top_p,
            .seed = o->seed,
            .stop_texts = (const char *const *)o->stop,
            .n_stops = o->n_stop,
            .repetition_stop = o->repetition_stop,
        };
    }
    return n;
}

void tasks_take_result(struct task_entry *e, struct engine_result *r)
{
    switch (r->outcome) {
    case OUTCOME_OK: break;
    case OUTCOME_TOO_LONG: set_error(&e->error, ERROR_PERMANENT, "too_long", r->why); break;
    case OUTCOME_INVALID: set_error(&e->error, ERROR_PERMANENT, "invalid_job", r->why); break;
    case OUTCOME_CANCELLED: set_error(&e->error, ERROR_PERMANENT, "cancelled", r->why); break;
    case OUTCOME_NO_MEMORY: set_error(&e->error, ERROR_ENVIRONMENT, "out_of_memory", r->why); break;
    case OUTCOME_NON_FINITE: set_error(&e->error, ERROR_PERMANENT, "non_finite", r->why); break;
    case OUTCOME_DEVICE: set_error(&e->error, ERROR_ENVIRONMENT, "device", r->why); break;
    }
    e->answered = true;
    e->result = *r;
    *r = (struct engine_result){0};
}
