/* The rules of a complete job. JSON and MessagePack readers check kinds and counts as they allocate; what a value may
 * be stands here, once. */
#include <math.h>
#include <string.h>

#include "protocol/job_parts.h"

static const double COORDINATE_MAX = 1e9;

static enum status check_name(const char *name, const char *field, struct diag *why)
{
    if (!name)
        return ST_OK;
    if (!*name)
        return diag_set(why, ST_INVALID, "%s: empty", field);
    if (strlen(name) > LIMIT_NAME_BYTES)
        return diag_set(why, ST_INVALID, "%s: %zu bytes; at most %d", field, strlen(name), LIMIT_NAME_BYTES);
    return ST_OK;
}

static enum status check_text(const char *text, size_t limit, const char *field, struct diag *why)
{
    if (!text || !*text)
        return diag_set(why, ST_INVALID, "%s: empty", field);
    if (strlen(text) > limit)
        return diag_set(why, ST_LIMIT, "%s: %zu bytes; at most %zu", field, strlen(text), limit);
    return ST_OK;
}

static enum status check_int(int64_t v, int64_t low, int64_t high, const char *field, struct diag *why)
{
    if (v < low || v > high)
        return diag_set(why, ST_INVALID, "%s: %lld is outside %lld..%lld", field, (long long)v, (long long)low,
                        (long long)high);
    return ST_OK;
}

static enum status check_count(int n, int most, const char *field, struct diag *why)
{
    if (n < 0 || n > most)
        return diag_set(why, ST_INVALID, "%s: %d of them; at most %d", field, n, most);
    return ST_OK;
}

static enum status check_options(const struct job_options *o, struct diag *why)
{
    enum status s = check_int(o->max_tokens, 1, LIMIT_MAX_TOKENS, "options.max_tokens", why);
    if (s != ST_OK)
        return s;
    if (!(o->temperature >= 0 && o->temperature <= 2))
        return diag_set(why, ST_INVALID, "options.temperature: %g is outside 0..2", o->temperature);
    if (!(o->top_p > 0 && o->top_p <= 1))
        return diag_set(why, ST_INVALID, "options.top_p: %g is not above 0 and at most 1", o->top_p);
    s = check_int((int64_t)o->seed, 0, INT64_MAX, "options.seed", why);
    if (s == ST_OK)
        s = check_count(o->n_stop, LIMIT_STOPS, "options.stop", why);
    for (int i = 0; s == ST_OK && i < o->n_stop; i++)
        s = check_text(o->stop[i], LIMIT_NAME_BYTES, "options.stop", why);
    return s;
}

/* What belongs to one kind of task and what that kind can't do without. */
static enum status check_kind(const struct job *j, const struct job_task *t, struct diag *why)
{
    const char *kind = task_kind_name(t->kind);
    if (t->kind != TASK_LOCATE && t->n_phrases)
        return diag_set(why, ST_INVALID, "phrases: a task \"%s\" takes none", kind);
    if (t->kind != TASK_ASK && t->n_turns)
        return diag_set(why, ST_INVALID, "question: a task \"%s\" takes none", kind);
    if (t->kind != TASK_DESCRIBE && t->regions)
        return diag_set(why, ST_INVALID, "regions: a task \"%s\" takes none", kind);
    if (t->kind == TASK_LOCATE && !t->n_phrases)
        return diag_set(why, ST_INVALID, "phrases: missing; a task \"locate\" needs at least one");
    if (t->kind == TASK_ASK && !t->n_turns)
        return diag_set(why, ST_INVALID, "question: missing; a task \"ask\" needs one");
    if (t->kind == TASK_DESCRIBE && (t->regions ? t->n_regions : j->n_regions) == 0)
        return diag_set(why, ST_INVALID, "regions: missing; a task \"describe\" needs at least one");
    return ST_OK;
}

static enum status check_task(const struct job *j, const struct job_task *t, struct diag *why)
{
    if ((unsigned)t->kind >= TASK_KIND_COUNT_)
        return diag_set(why, ST_UNSUPPORTED, "kind: unknown task number %d", (int)t->kind);
    enum status s = check_name(t->id, "id", why);
    if (s == ST_OK)
        s = check_kind(j, t, why);
    if (s == ST_OK)
        s = check_count(t->n_phrases, LIMIT_PHRASES, "phrases", why);
    for (int i = 0; s == ST_OK && i < t->n_phrases; i++)
        s = check_text(t->phrases[i], LIMIT_TEXT_BYTES, "phrases", why);
    if (s == ST_OK)
        s = check_count(t->n_turns, LIMIT_TURNS, "turns", why);
    if (s == ST_OK && t->n_turns && t->n_turns % 2 == 0)
        s = diag_set(why, ST_INVALID, "turns: %d of them; user and assistant alternate and the user has the last word",
                     t->n_turns);
    for (int i = 0; s == ST_OK && i < t->n_turns; i++)
        s = check_text(t->turns[i], LIMIT_TEXT_BYTES, t->n_turns > 1 ? "turns" : "question", why);
    if (s == ST_OK)
        s = check_count(t->n_regions, LIMIT_REGIONS, "regions", why);
    for (int i = 0; s == ST_OK && i < t->n_regions; i++) {
        if (t->regions[i] < 0 || t->regions[i] >= j->n_regions)
            s = diag_set(why, ST_INVALID, "regions[%d]: there is no region %d; the job has %d", i, t->regions[i],
                         j->n_regions);
    }
    return s == ST_OK ? check_options(&t->options, why) : s;
}

static enum status check_numbers(const double *v, int n, const char *field, struct diag *why)
{
    for (int i = 0; i < n; i++) {
        if (!(fabs(v[i]) <= COORDINATE_MAX))
            return diag_set(why, ST_INVALID, "%s: %g is no coordinate", field, v[i]);
    }
    return ST_OK;
}

static enum status check_polygon(const struct job_region *r, struct diag *why)
{
    int start = 0;
    for (int i = 0; i < r->n_rings; i++) {
        int end = r->ring_ends ? r->ring_ends[i] : -1;
        if (end < start || end > r->n_points)
            return diag_set(why, ST_INVALID, "polygon: ring %d ends at point %d of %d", i, end, r->n_points);
        if (end - start < 3)
            return diag_set(why, ST_INVALID,
                            "polygon: ring %d has %d points; expected a list of rings [[x,y,x,y,...],...], each of at "
                            "least 3 points",
                            i, end - start);
        start = end;
    }
    if (r->n_rings < 1 || start != r->n_points)
        return diag_set(why, ST_INVALID, "polygon: its rings hold %d of its %d points", start, r->n_points);
    return ST_OK;
}

static enum status check_region(const struct job_region *r, struct diag *why)
{
    static const char *const fields[] = {"point", "box", "polygon", "scribble", "rle"};
    if ((unsigned)r->kind > JOB_RLE)
        return diag_set(why, ST_INVALID, "unknown kind of region %d", (int)r->kind);
    enum status s = check_name(r->id, "id", why);
    if (s == ST_OK)
        s = check_numbers(r->box, 4, fields[r->kind], why);
    if (s == ST_OK)
        s = check_count(r->n_points, JOB_MAX_POINTS, fields[r->kind], why);
    if (s == ST_OK)
        s = check_numbers(r->xy, 2 * r->n_points, fields[r->kind], why);
    if (s == ST_OK && !(r->stroke_width >= 0 && r->stroke_width <= COORDINATE_MAX))
        s = diag_set(why, ST_INVALID, "stroke_width: %g is not above 0", r->stroke_width);
    if (s == ST_OK && r->kind == JOB_POLYGON)
        s = check_polygon(r, why);
    if (s == ST_OK && r->kind == JOB_SCRIBBLE && r->n_points < 1)
        s = diag_set(why, ST_INVALID, "scribble: no points");
    if (s == ST_OK && r->kind == JOB_RLE) {
        if (r->rle_size[0] < 1 || r->rle_size[1] < 1)
            s = diag_set(why, ST_INVALID, "rle.size: [%d, %d] is no [height, width]", r->rle_size[0], r->rle_size[1]);
        else if (!r->rle_counts)
            s = diag_set(why, ST_INVALID, "rle.counts: missing");
        else if (r->normalised)
            s = diag_set(why, ST_INVALID, "normalised: a mask is in pixels");
    }
    return s;
}

/* Ids name answers in the record, so no two tasks and no two regions may share one. */
static enum status check_distinct(const struct job *j, struct diag *why)
{
    for (int i = 0; i < j->n_regions; i++) {
        for (int k = 0; j->regions[i].id && k < i; k++) {
            if (j->regions[k].id && strcmp(j->regions[i].id, j->regions[k].id) == 0)
                return diag_set(why, ST_INVALID, "regions[%d].id: \"%s\" is also the id of regions[%d]", i,
                                j->regions[i].id, k);
        }
    }
    for (int i = 0; i < j->n_tasks; i++) {
        for (int k = 0; j->tasks[i].id && k < i; k++) {
            if (j->tasks[k].id && strcmp(j->tasks[i].id, j->tasks[k].id) == 0)
                return diag_set(why, ST_INVALID, "tasks[%d].id: \"%s\" is also the id of tasks[%d]", i, j->tasks[i].id,
                                k);
        }
    }
    return ST_OK;
}

/* A describe task gives one answer a region, every other task one. */
static enum status check_answers(const struct job *j, struct diag *why)
{
    int n = 0;
    for (int i = 0; i < j->n_tasks; i++) {
        const struct job_task *t = &j->tasks[i];
        n += t->kind != TASK_DESCRIBE ? 1 : t->regions ? t->n_regions : j->n_regions;
    }
    if (n > JOB_MAX_ANSWERS)
        return diag_set(why, ST_INVALID, "tasks: %d answers, one a described region; at most %d", n, JOB_MAX_ANSWERS);
    return ST_OK;
}

static enum status check_frame(const struct job *j, struct diag *why)
{
    enum status s = check_text(j->key, LIMIT_URI_BYTES, "id", why);
    if (s == ST_OK)
        s = check_text(j->image, LIMIT_URI_BYTES, "image", why);
    if (s == ST_OK)
        s = check_name(j->group, "group", why);
    if (s == ST_OK)
        s = check_int(j->group_images, 0, INT32_MAX, "group_images", why);
    if (s == ST_OK && !(j->policy && (strcmp(j->policy, "default") == 0 || strcmp(j->policy, "ml-ferret") == 0)))
        s = diag_set(why, ST_INVALID, "policy: unknown policy \"%.64s\"; expected default or ml-ferret",
                     j->policy ? j->policy : "");
    if (s == ST_OK && j->meta)
        s = check_text(j->meta, LIMIT_META_BYTES, "meta", why);
    if (s == ST_OK)
        s = check_int(j->priority, 0, JOB_PRIORITIES - 1, "priority", why);
    if (s == ST_OK)
        s = check_int(j->max_retries, 0, JOB_MAX_RETRIES, "retries", why);
    if (s == ST_OK)
        s = check_int(j->deadline_ms, 0, INT64_MAX, "deadline", why);
    if (s == ST_OK)
        s = check_int(j->not_before_ms, 0, INT64_MAX, "not_before", why);
    if (s == ST_OK)
        s = check_int(j->max_runtime_ms, 0, JOB_MAX_RUNTIME_MS, "max_runtime", why);
    if (s == ST_OK)
        s = check_name(j->tenant, "tenant", why);
    if (s == ST_OK && *j->campaign)
        s = check_name(j->campaign, "campaign", why);
    return s;
}

enum status job_check(const struct job *j, struct diag *why)
{
    enum status s = check_frame(j, why);
    if (s == ST_OK)
        s = check_count(j->n_regions, LIMIT_REGIONS, "regions", why);
    for (int i = 0; s == ST_OK && i < j->n_regions; i++) {
        if ((s = check_region(&j->regions[i], why)) != ST_OK)
            job_under(why, s, "regions[%d]", i);
    }
    if (s == ST_OK && j->n_tasks == 0)
        s = diag_set(why, ST_INVALID, "tasks: missing; a job needs at least one");
    if (s == ST_OK)
        s = check_count(j->n_tasks, LIMIT_TASKS, "tasks", why);
    for (int i = 0; s == ST_OK && i < j->n_tasks; i++) {
        if ((s = check_task(j, &j->tasks[i], why)) != ST_OK)
            job_under(why, s, "tasks[%d]", i);
    }
    if (s == ST_OK)
        s = check_answers(j, why);
    return s == ST_OK ? check_distinct(j, why) : s;
}
