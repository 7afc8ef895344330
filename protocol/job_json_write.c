/* A job -> the JSON object that job_from_json reads back as the same job. Tenant and campaign are no part of it: they
 * belong to whoever submits the line. */
#include <string.h>

#include "protocol/job_parts.h"

static struct json *texts(char *const *list, int n)
{
    struct json *a = jsn_new_array();
    for (int i = 0; i < n; i++) {
        if (jsn_push(a, jsn_new_string(list[i])) != ST_OK) {
            jsn_free(a);
            return NULL;
        }
    }
    return a;
}

static struct json *reals(const double *v, int n)
{
    struct json *a = jsn_new_array();
    for (int i = 0; i < n; i++) {
        if (jsn_push(a, jsn_new_real(v[i])) != ST_OK) {
            jsn_free(a);
            return NULL;
        }
    }
    return a;
}

static struct json *ints(const int *v, int n)
{
    struct json *a = jsn_new_array();
    for (int i = 0; i < n; i++) {
        if (jsn_push(a, jsn_new_int(v[i])) != ST_OK) {
            jsn_free(a);
            return NULL;
        }
    }
    return a;
}

static struct json *rings(const struct job_region *r)
{
    struct json *a = jsn_new_array();
    for (int i = 0, start = 0; i < r->n_rings; start = r->ring_ends[i], i++) {
        if (jsn_push(a, reals(r->xy + 2 * start, 2 * (r->ring_ends[i] - start))) != ST_OK) {
            jsn_free(a);
            return NULL;
        }
    }
    return a;
}

static struct json *rle(const struct job_region *r)
{
    struct json *o = jsn_new_object();
    if (jsn_put(o, "size", ints(r->rle_size, 2)) != ST_OK ||
        jsn_put(o, "counts", jsn_new_string(r->rle_counts)) != ST_OK) {
        jsn_free(o);
        return NULL;
    }
    return o;
}

static enum status put_shape(struct json *o, const struct job_region *r)
{
    switch (r->kind) {
    case JOB_POINT: return jsn_put(o, "point", reals(r->box, 2));
    case JOB_BOX: return jsn_put(o, "box", reals(r->box, 4));
    case JOB_POLYGON: return jsn_put(o, "polygon", rings(r));
    case JOB_RLE: return jsn_put(o, "rle", rle(r));
    case JOB_SCRIBBLE: break;
    }
    enum status s = jsn_put(o, "scribble", reals(r->xy, 2 * r->n_points));
    return s == ST_OK && r->stroke_width > 0 ? jsn_put(o, "stroke_width", jsn_new_real(r->stroke_width)) : s;
}

static struct json *region(const struct job_region *r)
{
    struct json *o = jsn_new_object();
    enum status s = r->id ? jsn_put(o, "id", jsn_new_string(r->id)) : ST_OK;
    if (s == ST_OK)
        s = put_shape(o, r);
    if (s == ST_OK && r->normalised)
        s = jsn_put(o, "normalised", jsn_new_bool(true));
    if (s == ST_OK)
        return o;
    jsn_free(o);
    return NULL;
}

static struct json *options(const struct job_options *o)
{
    struct json *v = jsn_new_object();
    if (jsn_put(v, "max_tokens", jsn_new_int(o->max_tokens)) == ST_OK &&
        jsn_put(v, "temperature", jsn_new_real(o->temperature)) == ST_OK &&
        jsn_put(v, "top_p", jsn_new_real(o->top_p)) == ST_OK &&
        jsn_put(v, "seed", jsn_new_int((int64_t)o->seed)) == ST_OK &&
        (o->n_stop == 0 || jsn_put(v, "stop", texts(o->stop, o->n_stop)) == ST_OK) &&
        jsn_put(v, "repetition_stop", jsn_new_bool(o->repetition_stop)) == ST_OK)
        return v;
    jsn_free(v);
    return NULL;
}

static struct json *task(const struct job_task *t)
{
    struct json *v = jsn_new_object();
    if ((!t->id || jsn_put(v, "id", jsn_new_string(t->id)) == ST_OK) &&
        jsn_put(v, "kind", jsn_new_string(task_kind_name(t->kind))) == ST_OK &&
        (!t->regions || jsn_put(v, "regions", ints(t->regions, t->n_regions)) == ST_OK) &&
        (!t->n_phrases || jsn_put(v, "phrases", texts(t->phrases, t->n_phrases)) == ST_OK) &&
        (!t->n_turns || jsn_put(v, "turns", texts(t->turns, t->n_turns)) == ST_OK) &&
        jsn_put(v, "options", options(&t->options)) == ST_OK)
        return v;
    jsn_free(v);
    return NULL;
}

static struct json *regions(const struct job *j)
{
    struct json *a = jsn_new_array();
    for (int i = 0; i < j->n_regions; i++) {
        if (jsn_push(a, region(&j->regions[i])) != ST_OK) {
            jsn_free(a);
            return NULL;
        }
    }
    return a;
}

static struct json *tasks(const struct job *j)
{
    struct json *a = jsn_new_array();
    for (int i = 0; i < j->n_tasks; i++) {
        if (jsn_push(a, task(&j->tasks[i])) != ST_OK) {
            jsn_free(a);
            return NULL;
        }
    }
    return a;
}

static enum status put_meta(struct json *o, const char *text)
{
    struct json *meta = NULL;
    enum status s = jsn_parse(text, strlen(text), "meta", &meta, NULL);
    return s == ST_OK ? jsn_put(o, "meta", meta) : s;
}

static enum status fill(struct json *o, const struct job *j)
{
    enum status s = jsn_put(o, "id", jsn_new_string(j->key));
    if (s == ST_OK)
        s = jsn_put(o, "image", jsn_new_string(j->image));
    if (s == ST_OK && j->group)
        s = jsn_put(o, "group", jsn_new_string(j->group));
    if (s == ST_OK && j->group_images)
        s = jsn_put(o, "group_images", jsn_new_int(j->group_images));
    if (s == ST_OK)
        s = jsn_put(o, "policy", jsn_new_string(j->policy));
    if (s == ST_OK && j->n_regions)
        s = jsn_put(o, "regions", regions(j));
    if (s == ST_OK)
        s = jsn_put(o, "tasks", tasks(j));
    if (s == ST_OK)
        s = jsn_put(o, "priority", jsn_new_int(j->priority));
    if (s == ST_OK)
        s = jsn_put(o, "retries", jsn_new_int(j->max_retries));
    if (s == ST_OK && j->deadline_ms)
        s = jsn_put(o, "deadline", jsn_new_int(j->deadline_ms));
    if (s == ST_OK && j->not_before_ms)
        s = jsn_put(o, "not_before", jsn_new_int(j->not_before_ms));
    if (s == ST_OK && j->max_runtime_ms)
        s = jsn_put(o, "max_runtime", jsn_new_int(j->max_runtime_ms));
    if (s == ST_OK && j->meta)
        s = put_meta(o, j->meta);
    return s;
}

enum status job_to_json(const struct job *j, struct json **out)
{
    struct json *o = jsn_new_object();
    enum status s = o ? fill(o, j) : ST_NOMEM;
    if (s != ST_OK) {
        jsn_free(o);
        return s;
    }
    *out = o;
    return ST_OK;
}
