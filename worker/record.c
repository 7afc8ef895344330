#include "worker/record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "model/grounding.h"

/* Failures of jsn_put and jsn_push free what was handed in, so each builder below keeps only the sum of its statuses
 * and gives NULL, which the next one up reports in turn. */
static struct json *ints(const int *v, int n)
{
    enum status s = ST_OK;
    struct json *a = jsn_new_array();
    for (int i = 0; i < n; i++)
        jsn_append(&s, a, jsn_new_int(v[i]));
    return jsn_whole(a, s);
}

static struct json *reals(const double *v, int n)
{
    enum status s = ST_OK;
    struct json *a = jsn_new_array();
    for (int i = 0; i < n; i++)
        jsn_append(&s, a, jsn_new_real(v[i]));
    return jsn_whole(a, s);
}

static struct json *error_object(const struct task_error *e)
{
    return result_error(e->class_, e->code, e->message);
}

/* ---- entities ------------------------------------------------------------------------------------------------------
 */

/* Of several boxes the geometric mean, as of several digits; null where one is unknown. */
static struct json *entity_score(const struct entity *e)
{
    double sum = 0;
    for (int i = 0; i < e->n_boxes; i++) {
        if (!(e->boxes[i].score > 0))
            return jsn_new_null();
        sum += log(e->boxes[i].score);
    }
    return e->n_boxes ? jsn_new_real(exp(sum / e->n_boxes)) : jsn_new_null();
}

static struct json *entity_object(const struct entity *e)
{
    enum status s = ST_OK;
    int span[2] = {(int)e->start, (int)e->end};
    struct json *o = jsn_new_object(), *boxes = jsn_new_array(), *truncated = jsn_new_array(), *raw = jsn_new_array();
    for (int i = 0; i < e->n_boxes; i++) {
        jsn_append(&s, boxes, reals(e->boxes[i].box, 4));
        jsn_append(&s, truncated, ints(e->boxes[i].truncated, 4));
        jsn_append(&s, raw, ints(e->boxes[i].raw, e->boxes[i].n_raw));
    }
    jsn_add(&s, o, "phrase", jsn_new_string(e->phrase));
    jsn_add(&s, o, "span", ints(span, 2));
    jsn_add(&s, o, "boxes", boxes);
    jsn_add(&s, o, "truncated", truncated);
    jsn_add(&s, o, "raw", raw);
    jsn_add(&s, o, "score", entity_score(e));
    return jsn_whole(o, s);
}

static struct json *entities_array(const struct engine_result *r, const struct image *image,
                                   const struct tokenizer *tokenizer)
{
    struct entities entities = {0};
    bool *is_digit = calloc(r->n_tokens > 0 ? (size_t)r->n_tokens : 1, sizeof *is_digit);
    if (!is_digit)
        return NULL;
    for (int i = 0; i < r->n_tokens; i++)
        is_digit[i] = tokenizer_digit(tokenizer, r->tokens[i]) >= 0;
    enum status s = grounding_parse(r->text, image->width, image->height, r->logprob, r->token_end, is_digit,
                                    r->n_tokens, &entities);
    free(is_digit);
    if (s != ST_OK)
        return NULL;
    struct json *a = jsn_new_array();
    for (int i = 0; i < entities.n; i++)
        jsn_append(&s, a, entity_object(&entities.list[i]));
    entities_fini(&entities);
    return jsn_whole(a, s);
}

/* ---- answers -------------------------------------------------------------------------------------------------------
 */

static const char *region_kind_name(enum job_region_kind k)
{
    static const char *const names[] = {"point", "box", "polygon", "scribble", "rle"};
    return names[k];
}

static struct json *region_object(const struct task_plan *p, int index)
{
    enum status s = ST_OK;
    const struct job_region *r = &p->job->regions[index];
    struct json *o = jsn_new_object();
    jsn_add(&s, o, "index", jsn_new_int(index));
    if (r->id)
        jsn_add(&s, o, "id", jsn_new_string(r->id));
    jsn_add(&s, o, "kind", jsn_new_string(region_kind_name(r->kind)));
    if (!p->region_errors[index].code)
        jsn_add(&s, o, "box", ints(p->regions[index].bounds, 4));
    return jsn_whole(o, s);
}

static struct json *phrase_array(const struct job_task *t)
{
    enum status s = ST_OK;
    struct json *a = jsn_new_array();
    for (int i = 0; i < t->n_phrases; i++)
        jsn_append(&s, a, jsn_new_string(t->phrases[i]));
    return jsn_whole(a, s);
}

static const char *finish_word(enum finish f)
{
    return f == FINISH_LENGTH ? "length" : f == FINISH_REPETITION ? "repetition" : "stop";
}

static struct json *token_counts(const struct engine_result *r)
{
    enum status s = ST_OK;
    struct json *o = jsn_new_object();
    jsn_add(&s, o, "prompt", jsn_new_int(r->n_prompt));
    jsn_add(&s, o, "output", jsn_new_int(r->n_tokens));
    return jsn_whole(o, s);
}

static struct json *mean_logprob(const struct engine_result *r)
{
    double sum = 0;
    for (int i = 0; i < r->n_tokens; i++)
        sum += (double)r->logprob[i];
    return r->n_tokens > 0 ? jsn_new_real(sum / r->n_tokens) : jsn_new_null();
}

static struct json *entry_object(const struct task_plan *p, const struct task_entry *e, const struct image *image,
                                 const struct tokenizer *tokenizer)
{
    enum status s = ST_OK;
    const struct engine_result *r = &e->result;
    struct json *o = jsn_new_object();
    jsn_add(&s, o, "id", jsn_new_string(e->id));
    jsn_add(&s, o, "task", jsn_new_string(task_kind_name(e->task->kind)));
    if (e->region >= 0)
        jsn_add(&s, o, "region", region_object(p, e->region));
    if (e->task->n_phrases)
        jsn_add(&s, o, "phrases", phrase_array(e->task));
    jsn_add(&s, o, "question", jsn_new_string(e->question));
    if (e->error.code) {
        jsn_add(&s, o, "error", error_object(&e->error));
        return jsn_whole(o, s);
    }
    jsn_add(&s, o, "text", jsn_new_string(r->text));
    jsn_add(&s, o, "entities", entities_array(r, image, tokenizer));
    jsn_add(&s, o, "finish", jsn_new_string(finish_word(r->finish)));
    jsn_add(&s, o, "tokens", token_counts(r));
    jsn_add(&s, o, "logprob", mean_logprob(r));
    if (e->task->options.seed != p->job->tasks[0].options.seed)
        jsn_add(&s, o, "seed", jsn_new_int((int64_t)e->task->options.seed));
    return jsn_whole(o, s);
}

/* ---- the record ----------------------------------------------------------------------------------------------------
 */

static struct json *notes_array(unsigned notes)
{
    enum status s = ST_OK;
    struct json *a = jsn_new_array();
    for (int bit = 0; bit < IMAGE_N_NOTES; bit++) {
        if (notes & (1u << bit))
            jsn_append(&s, a, jsn_new_string(image_note_word((enum image_note)(1u << bit))));
    }
    return jsn_whole(a, s);
}

/* "rrggbb" where transparent pixels were composited, else NULL: the reference policy drops alpha instead. */
static const char *background_text(const struct job *j, const struct image *image, const uint8_t *rgb, char out[8])
{
    if (!image->had_alpha || strcmp(j->policy, "default") != 0)
        return NULL;
    snprintf(out, 8, "%02x%02x%02x", rgb[0], rgb[1], rgb[2]);
    return out;
}

static struct json *image_object(const struct job *j, const struct image *image, const uint8_t *background)
{
    enum status s = ST_OK;
    char colour[8];
    struct json *o = jsn_new_object();
    jsn_add(&s, o, "uri", result_text(j->image));
    jsn_add(&s, o, "sha256", jsn_new_string(image->sha256));
    jsn_add(&s, o, "format", jsn_new_string(image->format));
    jsn_add(&s, o, "width", jsn_new_int(image->width));
    jsn_add(&s, o, "height", jsn_new_int(image->height));
    jsn_add(&s, o, "stored_width", jsn_new_int(image->stored_width));
    jsn_add(&s, o, "stored_height", jsn_new_int(image->stored_height));
    jsn_add(&s, o, "orientation", jsn_new_int(image->orientation));
    jsn_add(&s, o, "had_alpha", jsn_new_bool(image->had_alpha));
    if (background_text(j, image, background, colour))
        jsn_add(&s, o, "background", jsn_new_string(colour));
    jsn_add(&s, o, "frames", jsn_new_int(image->frames));
    jsn_add(&s, o, "rows_decoded", jsn_new_real(image->rows_decoded));
    jsn_add(&s, o, "notes", notes_array(image->notes));
    return jsn_whole(o, s);
}

static struct json *model_object(const struct record_model *m)
{
    enum status s = ST_OK;
    const struct config *c = engine_config(m->engine);
    struct json *o = jsn_new_object();
    jsn_add(&s, o, "hash", jsn_new_string(engine_model_hash(m->engine)));
    jsn_add(&s, o, "dtype", jsn_new_string(m->dtype));
    jsn_add(&s, o, "device", jsn_new_string(engine_caps(m->engine)->device));
    if (c->domain)
        jsn_add(&s, o, "domain", jsn_new_string(c->domain));
    if (c->licence)
        jsn_add(&s, o, "licence", jsn_new_string(c->licence));
    return jsn_whole(o, s);
}

static struct json *engine_object(const struct record_model *m)
{
    enum status s = ST_OK;
    struct json *o = jsn_new_object();
    jsn_add(&s, o, "version", jsn_new_string(FERRETRY_VERSION));
    jsn_add(&s, o, "invariant", jsn_new_bool(engine_caps(m->engine)->invariant));
    return jsn_whole(o, s);
}

static struct json *milliseconds(int64_t us)
{
    return jsn_new_real((double)(us > 0 ? us : 0) / 1000.0);
}

/* An image's answers run side by side, so prefill and generate are those of the slowest; wait is what is left of the
 * total: time in queues. */
static struct json *times_object(const struct task_plan *p, const struct record_times *t)
{
    enum status s = ST_OK;
    int64_t prefill = 0, generate = 0;
    for (int i = 0; i < p->n_entries; i++) {
        const struct engine_result *r = &p->entries[i].result;
        prefill = r->prefill_us > prefill ? r->prefill_us : prefill;
        generate = r->decode_us > generate ? r->decode_us : generate;
    }
    struct json *o = jsn_new_object();
    jsn_add(&s, o, "fetch", milliseconds(t->fetch_us));
    jsn_add(&s, o, "decode", milliseconds(t->decode_us));
    jsn_add(&s, o, "wait", milliseconds(t->total_us - t->fetch_us - t->decode_us - prefill - generate));
    jsn_add(&s, o, "prefill", milliseconds(prefill));
    jsn_add(&s, o, "generate", milliseconds(generate));
    jsn_add(&s, o, "total", milliseconds(t->total_us));
    return jsn_whole(o, s);
}

struct json *record_build(const struct task_plan *p, const struct image *image, const struct record_model *model,
                          const struct record_times *times, struct record_outcome *outcome)
{
    enum status s = ST_OK;
    const struct job *j = p->job;
    *outcome = (struct record_outcome){0};
    struct json *answers = jsn_new_array();
    for (int i = 0; i < p->n_entries; i++) {
        const struct task_entry *e = &p->entries[i];
        outcome->n_failed += e->error.code != NULL;
        if (e->error.code && !outcome->first)
            outcome->first = &e->error;
        jsn_append(&s, answers, entry_object(p, e, image, engine_tokenizer(model->engine)));
    }
    bool all = outcome->n_failed == p->n_entries;
    struct json *o = result_start(j, outcome->n_failed == 0 ? "ok" : all ? "failed" : "partial");
    jsn_add(&s, o, "image", image_object(j, image, model->background));
    jsn_add(&s, o, "policy", jsn_new_string(j->policy));
    jsn_add(&s, o, "tasks", answers);
    if (all && outcome->first)
        jsn_add(&s, o, "error", error_object(outcome->first));
    jsn_add(&s, o, "model", model_object(model));
    jsn_add(&s, o, "engine", engine_object(model));
    jsn_add(&s, o, "seed", jsn_new_int((int64_t)j->tasks[0].options.seed));
    jsn_add(&s, o, "timings_ms", times_object(p, times));
    if (s == ST_OK)
        s = result_put_meta(o, j);
    return jsn_whole(o, s);
}
