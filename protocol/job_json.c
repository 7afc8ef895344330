/* A job as a JSON object: one line of a manifest. Strict: a member that no table below names, a value of the wrong kind
 * or a thing said twice is an error whose sentence begins with the field's path. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "protocol/job_fields.h"
#include "protocol/job_parts.h"

/* ---- options -------------------------------------------------------------------------------------------------------
 */

static enum status option_tokens(struct reader *r, const struct json *v, const char *name, void *target)
{
    return field_int(r, v, name, &((struct job_options *)target)->max_tokens);
}

static enum status option_temperature(struct reader *r, const struct json *v, const char *name, void *target)
{
    return field_number(r, v, name, &((struct job_options *)target)->temperature);
}

static enum status option_top_p(struct reader *r, const struct json *v, const char *name, void *target)
{
    return field_number(r, v, name, &((struct job_options *)target)->top_p);
}

static enum status option_seed(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job_options *o = target;
    if (jsn_kind(v) != JSON_KIND_INT)
        return diag_set(r->why, ST_FORMAT, "%s: expected a whole number from 0 on, found %s", name, field_kind(v));
    if (jsn_int(v, 0) < 0)
        return diag_set(r->why, ST_FORMAT, "%s: expected a whole number from 0 on, found %lld", name,
                        (long long)jsn_int(v, 0));
    o->seed = (uint64_t)jsn_int(v, 0);
    return ST_OK;
}

static enum status option_stop(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job_options *o = target;
    bool one = jsn_kind(v) == JSON_KIND_STRING;
    if (!one && jsn_kind(v) != JSON_KIND_ARRAY)
        return diag_set(r->why, ST_FORMAT, "%s: expected a text or a list of them, found %s", name, field_kind(v));
    size_t n = one ? 1 : jsn_size(v);
    if (n > LIMIT_STOPS)
        return diag_set(r->why, ST_INVALID, "%s: %zu of them; at most %d", name, n, LIMIT_STOPS);
    for (int i = 0; i < o->n_stop; i++)
        free(o->stop[i]);
    memset(o->stop, 0, sizeof o->stop);
    o->n_stop = 0;
    for (size_t i = 0; i < n; i++) {
        enum status s = field_text(r, one ? v : jsn_at(v, i), name, &o->stop[i]);
        if (s != ST_OK)
            return s;
        o->n_stop++;
    }
    return ST_OK;
}

static enum status option_repetition(struct reader *r, const struct json *v, const char *name, void *target)
{
    return field_bool(r, v, name, &((struct job_options *)target)->repetition_stop);
}

static const struct field option_fields[] = {
    {"max_tokens", 0, option_tokens}, {"temperature", 1, option_temperature},
    {"top_p", 2, option_top_p},       {"seed", 3, option_seed},
    {"stop", 4, option_stop},         {"repetition_stop", 5, option_repetition},
};

static enum status read_options(struct reader *r, const struct json *v, const char *name, struct job_options *o)
{
    return field_object(r, v, name, option_fields, sizeof option_fields / sizeof *option_fields, o);
}

/* ---- tasks ---------------------------------------------------------------------------------------------------------
 */

static enum status task_id(struct reader *r, const struct json *v, const char *name, void *target)
{
    return field_text(r, v, name, &((struct job_task *)target)->id);
}

static enum status task_kind(struct reader *r, const struct json *v, const char *name, void *target)
{
    enum status s =
        jsn_kind(v) == JSON_KIND_STRING
            ? task_kind_parse(jsn_string(v, ""), &((struct job_task *)target)->kind, r->why)
            : diag_set(r->why, ST_FORMAT, "expected caption, describe, locate or ask, found %s", field_kind(v));
    return s == ST_OK ? s : diag_wrap(r->why, s, "%s", name);
}

static enum status task_phrases(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job_task *t = target;
    return field_texts(r, v, name, LIMIT_PHRASES, &t->phrases, &t->n_phrases);
}

static enum status task_turns(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job_task *t = target;
    return field_texts(r, v, name, LIMIT_TURNS, &t->turns, &t->n_turns);
}

/* One region of a task: its index, or the id that the job gave it. */
static enum status region_index(struct reader *r, const struct json *v, const char *name, size_t at, int *out)
{
    if (jsn_kind(v) == JSON_KIND_INT) {
        int64_t i = jsn_int(v, -1);
        if (i < 0 || i >= r->job->n_regions)
            return diag_set(r->why, ST_INVALID, "%s[%zu]: there is no region %lld; the job has %d", name, at,
                            (long long)i, r->job->n_regions);
        *out = (int)i;
        return ST_OK;
    }
    if (jsn_kind(v) != JSON_KIND_STRING)
        return diag_set(r->why, ST_FORMAT, "%s[%zu]: expected an index or an id of a region, found %s", name, at,
                        field_kind(v));
    for (int i = 0; i < r->job->n_regions; i++) {
        if (r->job->regions[i].id && strcmp(r->job->regions[i].id, jsn_string(v, "")) == 0) {
            *out = i;
            return ST_OK;
        }
    }
    return diag_set(r->why, ST_INVALID, "%s[%zu]: no region has the id \"%.64s\"", name, at, jsn_string(v, ""));
}

static enum status task_regions(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job_task *t = target;
    size_t n = jsn_size(v);
    if (jsn_kind(v) != JSON_KIND_ARRAY)
        return diag_set(r->why, ST_FORMAT, "%s: expected a list of indices or ids, found %s", name, field_kind(v));
    if (n > LIMIT_REGIONS)
        return diag_set(r->why, ST_INVALID, "%s: %zu of them; at most %d", name, n, LIMIT_REGIONS);
    if (!(t->regions = calloc(n ? n : 1, sizeof *t->regions)))
        return ST_NOMEM;
    t->n_regions = (int)n;
    for (size_t i = 0; i < n; i++) {
        enum status s = region_index(r, jsn_at(v, i), name, i, &t->regions[i]);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static enum status task_options(struct reader *r, const struct json *v, const char *name, void *target)
{
    return read_options(r, v, name, &((struct job_task *)target)->options);
}

static const struct field task_fields[] = {
    {"id", 0, task_id},           {"kind", 1, task_kind},      {"task", 1, task_kind},
    {"phrases", 2, task_phrases}, {"phrase", 2, task_phrases}, {"regions", 3, task_regions},
    {"question", 4, task_turns},  {"turns", 4, task_turns},    {"options", 5, task_options},
    {"params", 5, task_options},
};

/* ---- the job -------------------------------------------------------------------------------------------------------
 */

static enum status job_key(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job *j = target;
    if (jsn_kind(v) == JSON_KIND_INT) { /* ids of COCO are numbers */
        char text[32];
        snprintf(text, sizeof text, "%lld", (long long)jsn_int(v, 0));
        return job_set_text(&j->key, text);
    }
    return field_text(r, v, name, &j->key);
}

static enum status image_uri(struct reader *r, const struct json *v, const char *name, void *target)
{
    return field_text(r, v, name, &((struct job *)target)->image);
}

static const struct field image_fields[] = {{"path", 0, image_uri}, {"url", 0, image_uri}, {"uri", 0, image_uri}};

static enum status job_image(struct reader *r, const struct json *v, const char *name, void *target)
{
    if (jsn_kind(v) != JSON_KIND_OBJECT)
        return image_uri(r, v, name, target);
    enum status s = field_object(r, v, name, image_fields, sizeof image_fields / sizeof *image_fields, target);
    if (s == ST_OK && !((struct job *)target)->image)
        s = diag_set(r->why, ST_FORMAT, "%s: empty; an image has a path, url or uri", name);
    return s;
}

static enum status job_policy(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job *j = target;
    enum status s = field_text(r, v, name, &j->policy);
    if (s == ST_OK && (!r->defaults || !r->defaults->policy || strcmp(r->defaults->policy, j->policy) != 0)) {
        struct job_options fresh;
        job_options_init(&fresh, j->policy);
        r->options.repetition_stop = fresh.repetition_stop;
        r->other_policy = true;
    }
    return s;
}

static enum status job_options(struct reader *r, const struct json *v, const char *name, void *target)
{
    (void)target;
    r->line_options = v;
    return read_options(r, v, name, &r->options);
}

static enum status job_regions(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job *j = target;
    size_t n = jsn_size(v);
    if (jsn_kind(v) != JSON_KIND_ARRAY)
        return diag_set(r->why, ST_FORMAT, "%s: expected a list, found %s", name, field_kind(v));
    if (n > LIMIT_REGIONS)
        return diag_set(r->why, ST_INVALID, "%s: %zu of them; at most %d", name, n, LIMIT_REGIONS);
    if (!(j->regions = calloc(n ? n : 1, sizeof *j->regions)))
        return ST_NOMEM;
    for (size_t i = 0; i < n; i++) {
        j->n_regions = (int)i + 1;
        char place[64];
        snprintf(place, sizeof place, "%s[%zu]", name, i);
        enum status s = field_region(r, jsn_at(v, i), place, &j->regions[i]);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static enum status job_task_name(struct reader *r, const struct json *v, const char *name, void *target)
{
    (void)target;
    r->named = true;
    return task_kind(r, v, name, &r->single);
}

static enum status single_phrases(struct reader *r, const struct json *v, const char *name, void *target)
{
    (void)target;
    return task_phrases(r, v, name, &r->single);
}

static enum status single_turns(struct reader *r, const struct json *v, const char *name, void *target)
{
    (void)target;
    return task_turns(r, v, name, &r->single);
}

static enum status job_tasks(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job *j = target;
    size_t n = jsn_size(v);
    if (jsn_kind(v) != JSON_KIND_ARRAY)
        return diag_set(r->why, ST_FORMAT, "%s: expected a list, found %s", name, field_kind(v));
    if (n < 1 || n > LIMIT_TASKS)
        return diag_set(r->why, ST_INVALID, "%s: %zu of them; at least 1, at most %d", name, n, LIMIT_TASKS);
    if (!(j->tasks = calloc(n, sizeof *j->tasks)))
        return ST_NOMEM;
    for (size_t i = 0; i < n; i++) {
        struct job_task *t = &j->tasks[i];
        const struct json *item = jsn_at(v, i);
        char place[64];
        snprintf(place, sizeof place, "%s[%zu]", name, i);
        j->n_tasks = (int)i + 1;
        enum status s = job_options_copy(&t->options, &r->options);
        if (s == ST_OK)
            s = field_object(r, item, place, task_fields, sizeof task_fields / sizeof *task_fields, t);
        if (s == ST_OK && !jsn_get(item, "kind") && !jsn_get(item, "task"))
            s = diag_set(r->why, ST_FORMAT, "%s.kind: missing; expected caption, describe, locate or ask", place);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static enum status job_group(struct reader *r, const struct json *v, const char *name, void *target)
{
    return field_text(r, v, name, &((struct job *)target)->group);
}

static enum status job_group_images(struct reader *r, const struct json *v, const char *name, void *target)
{
    return field_int(r, v, name, &((struct job *)target)->group_images);
}

static enum status job_priority(struct reader *r, const struct json *v, const char *name, void *target)
{
    return field_int(r, v, name, &((struct job *)target)->priority);
}

/* Durations and Unix time in seconds are told from it by their size; they are the flag's. */
static enum status read_instant(const struct reader *r, const struct json *v, const char *name, const char *flag,
                                int64_t *out)
{
    int64_t ms = jsn_int(v, 0);
    if (jsn_kind(v) != JSON_KIND_INT)
        return diag_set(r->why, ST_FORMAT,
                        "%s: expected Unix time in milliseconds, found %s; for a time from now there is --%s 2h", name,
                        field_kind(v), flag);
    if (ms > 0 && ms < JOB_FIRST_INSTANT_MS)
        return diag_set(r->why, ST_INVALID,
                        "%s: %lld is no Unix time in milliseconds, which has 13 digits; for a time from now there is "
                        "--%s 2h",
                        name, (long long)ms, flag);
    *out = ms;
    return ST_OK;
}

static enum status job_deadline(struct reader *r, const struct json *v, const char *name, void *target)
{
    return read_instant(r, v, name, "deadline", &((struct job *)target)->deadline_ms);
}

static enum status job_retries(struct reader *r, const struct json *v, const char *name, void *target)
{
    return field_int(r, v, name, &((struct job *)target)->max_retries);
}

static enum status job_start(struct reader *r, const struct json *v, const char *name, void *target)
{
    return read_instant(r, v, name, "delay", &((struct job *)target)->not_before_ms);
}

static enum status job_runtime(struct reader *r, const struct json *v, const char *name, void *target)
{
    enum { LEAST_MS = 1000 }; /* who writes less means seconds, as the flag does */
    int64_t ms = jsn_int(v, -1);
    double seconds;
    if (jsn_kind(v) == JSON_KIND_STRING && settings_parse_seconds(jsn_string(v, ""), &seconds) == ST_OK &&
        seconds * 1000 <= JOB_MAX_RUNTIME_MS)
        ms = (int64_t)(seconds * 1000);
    else if (jsn_kind(v) != JSON_KIND_INT)
        return diag_set(r->why, ST_FORMAT, "%s: expected milliseconds or a text such as \"90s\" or \"15m\", found %s",
                        name, field_kind(v));
    else if (ms > 0 && ms < LEAST_MS)
        return diag_set(r->why, ST_INVALID,
                        "%s: %lld milliseconds are less than %d; for seconds write a text such as \"90s\"", name,
                        (long long)ms, LEAST_MS);
    ((struct job *)target)->max_runtime_ms = ms;
    return ST_OK;
}

/* Deepest nesting of containers in JSON text. */
static int nesting(const char *text)
{
    int depth = 0, deepest = 0;
    bool quoted = false;
    for (; *text; text++) {
        if (quoted && *text == '\\' && text[1])
            text++;
        else if (*text == '"')
            quoted = !quoted;
        else if (!quoted && (*text == '{' || *text == '['))
            deepest = ++depth > deepest ? depth : deepest;
        else if (!quoted && (*text == '}' || *text == ']'))
            depth--;
    }
    return deepest;
}

static enum status job_meta(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job *j = target;
    free(j->meta);
    if (!(j->meta = jsn_text(v)))
        return ST_NOMEM;
    if (strlen(j->meta) > LIMIT_META_BYTES)
        return diag_set(r->why, ST_INVALID, "%s: %zu bytes; at most %d", name, strlen(j->meta), LIMIT_META_BYTES);
    if (nesting(j->meta) > LIMIT_DEPTH - 1)
        return diag_set(r->why, ST_INVALID, "%s: nested %d deep; at most %d", name, nesting(j->meta), LIMIT_DEPTH - 1);
    return ST_OK;
}

/* In the order in which they are read, whatever the order of the line: tasks inherit options and name regions. */
static const struct field job_fields[] = {
    {"id", 0, job_key},
    {"image", 1, job_image},
    {"policy", 2, job_policy},
    {"options", 3, job_options},
    {"params", 3, job_options},
    {"regions", 4, job_regions},
    {"task", 5, job_task_name},
    {"tasks", 5, job_tasks},
    {"phrases", 6, single_phrases},
    {"phrase", 6, single_phrases},
    {"question", 7, single_turns},
    {"turns", 7, single_turns},
    {"group", 8, job_group},
    {"priority", 9, job_priority},
    {"deadline", 10, job_deadline},
    {"retries", 11, job_retries},
    {"meta", 12, job_meta},
    {"not_before", 13, job_start},
    {"max_runtime", 14, job_runtime},
    {"group_images", 15, job_group_images},
};

/* ---- defaults ------------------------------------------------------------------------------------------------------
 */

/* What the line leaves open comes from the defaults, and from built-in ones behind them. */
static enum status start(struct reader *r)
{
    const struct job *d = r->defaults;
    struct job *j = r->job;
    j->priority = d ? d->priority : JOB_DEFAULT_PRIORITY;
    j->max_retries = d ? d->max_retries : JOB_DEFAULT_RETRIES;
    j->deadline_ms = d ? d->deadline_ms : 0;
    j->not_before_ms = d ? d->not_before_ms : 0;
    j->max_runtime_ms = d ? d->max_runtime_ms : 0;
    enum status s = job_set_text(&j->tenant, d && d->tenant ? d->tenant : "default");
    if (s == ST_OK)
        s = job_set_text(&j->campaign, d && d->campaign ? d->campaign : "");
    if (s == ST_OK && d && d->n_tasks)
        return job_options_copy(&r->options, &d->tasks[0].options);
    job_options_init(&r->options, d ? d->policy : NULL);
    return s;
}

static enum status take_default_regions(struct reader *r)
{
    const struct job *d = r->defaults;
    struct job *j = r->job;
    if (!d || d->n_regions == 0)
        return ST_OK;
    if (!(j->regions = calloc((size_t)d->n_regions, sizeof *j->regions)))
        return ST_NOMEM;
    for (int i = 0; i < d->n_regions; i++) {
        j->n_regions = i + 1;
        enum status s = job_region_copy(&j->regions[i], &d->regions[i]);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

/* The line named no task: all of the defaults', each under the line's own options and policy. */
static enum status take_default_tasks(struct reader *r)
{
    const struct job *d = r->defaults;
    struct job *j = r->job;
    if (!d || d->n_tasks == 0)
        return diag_set(r->why, ST_INVALID, "task: missing; expected caption, describe, locate or ask");
    if (!(j->tasks = calloc((size_t)d->n_tasks, sizeof *j->tasks)))
        return ST_NOMEM;
    for (int i = 0; i < d->n_tasks; i++) {
        j->n_tasks = i + 1;
        enum status s = job_task_copy(&j->tasks[i], &d->tasks[i]);
        if (s == ST_OK && r->other_policy)
            j->tasks[i].options.repetition_stop = strcmp(j->policy, "ml-ferret") != 0;
        if (s == ST_OK && r->line_options)
            s = read_options(r, r->line_options, "options", &j->tasks[i].options);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

/* "task": KIND, with "phrases" or "question" beside it; else those of the defaults' task of that kind. */
static enum status take_single_task(struct reader *r)
{
    struct job_task *t = &r->single;
    for (int i = 0; r->defaults && i < r->defaults->n_tasks && !t->n_phrases && !t->n_turns; i++) {
        if (r->defaults->tasks[i].kind != t->kind)
            continue;
        enum status s = job_task_copy(t, &r->defaults->tasks[i]);
        job_options_fini(&t->options);
        if (s != ST_OK)
            return s;
        break;
    }
    enum status s = job_options_copy(&t->options, &r->options);
    if (s != ST_OK)
        return s;
    if (!(r->job->tasks = calloc(1, sizeof *r->job->tasks)))
        return ST_NOMEM;
    r->job->tasks[0] = *t;
    r->job->n_tasks = 1;
    *t = (struct job_task){0};
    return ST_OK;
}

static enum status finish(struct reader *r)
{
    struct job *j = r->job;
    const struct job *d = r->defaults;
    if (!j->image)
        return diag_set(r->why, ST_FORMAT, "image: missing");
    if (!r->named && (r->single.n_phrases || r->single.n_turns))
        return diag_set(r->why, ST_FORMAT, "%s: belongs to a \"task\" beside it",
                        r->single.n_phrases ? "phrases" : "question");
    enum status s = j->key ? ST_OK : job_set_text(&j->key, j->image);
    if (s == ST_OK && !j->policy)
        s = job_set_text(&j->policy, d && d->policy ? d->policy : "default");
    if (s == ST_OK && !j->group && d)
        s = job_set_text(&j->group, d->group);
    if (s == ST_OK && !j->meta && d)
        s = job_set_text(&j->meta, d->meta);
    if (s == ST_OK && !j->n_tasks)
        s = r->named ? take_single_task(r) : take_default_tasks(r);
    return s == ST_OK ? job_check(j, r->why) : s;
}

enum status job_from_json(const struct json *v, const struct job *defaults, struct job **out, struct diag *why)
{
    struct job *j = calloc(1, sizeof *j);
    struct reader r = {.defaults = defaults, .job = j, .why = why};
    if (!j)
        return ST_NOMEM;
    enum status s = start(&r);
    /* regions of the defaults first: a task of the line may name them */
    if (s == ST_OK && !jsn_get(v, "regions"))
        s = take_default_regions(&r);
    if (s == ST_OK)
        s = field_object(&r, v, NULL, job_fields, sizeof job_fields / sizeof *job_fields, j);
    if (s == ST_OK)
        s = finish(&r);
    job_options_fini(&r.options);
    job_task_fini(&r.single);
    if (s != ST_OK) {
        job_free(j);
        return s;
    }
    *out = j;
    return ST_OK;
}
