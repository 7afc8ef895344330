/* A finished case as JSON, in the format of the expectations. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/grounding.h"
#include "model/parity_case.h"

enum { FIRST = 16, TOP = 10 };

/* Values are handed over at once, so a failure anywhere only has to be remembered. */
struct writer {
    bool failed;
};

static void put(struct writer *w, struct json *object, const char *key, struct json *value)
{
    if (!object)
        jsn_free(value);
    if (!object || jsn_put(object, key, value) != ST_OK)
        w->failed = true;
}

static void push(struct writer *w, struct json *array, struct json *value)
{
    if (!array)
        jsn_free(value);
    if (!array || jsn_push(array, value) != ST_OK)
        w->failed = true;
}

static struct json *ints(struct writer *w, const int32_t *values, size_t n)
{
    struct json *a = jsn_new_array();
    for (size_t i = 0; i < n; i++)
        push(w, a, jsn_new_int(values[i]));
    return a;
}

static void put_choices(struct writer *w, struct json *o, const struct parity_case *c,
                        const struct parity_store *tensors, int index, int n_stages)
{
    char name[2 * PARITY_NAME_BYTES];
    const struct region *r = &c->regions[index];
    struct json *starts = jsn_new_array();
    put(w, o, "n", jsn_new_int(r->n_pixels));
    put(w, o, "mask_equal", jsn_new_bool(c->same_mask[index]));
    snprintf(name, sizeof name, c->sampler_only ? "%s.chosen" : "%s.chosen.%d", c->id, index);
    const struct parity_tensor *chosen = parity_store_find(tensors, name);
    size_t n = chosen ? (chosen->n < FIRST ? chosen->n : FIRST) : 0;
    const int32_t *values = chosen ? chosen->values : NULL;
    struct json *xy = jsn_new_array();
    for (size_t i = 0; i < n; i++) {
        int32_t point[2];
        region_pixel(r, values[i], &point[0], &point[1]);
        push(w, xy, ints(w, point, 2));
    }
    put(w, o, "chosen_first16", ints(w, values, n));
    put(w, o, "chosen_xy_first16", xy);
    for (int stage = 0; stage < n_stages; stage++) {
        snprintf(name, sizeof name, c->sampler_only ? "%s.fps%d" : "%s.fps%d.%d", c->id, stage, index);
        const struct parity_tensor *fps = parity_store_find(tensors, name);
        n = fps ? (fps->n < FIRST ? fps->n : FIRST) : 0;
        push(w, starts, n > 0 ? jsn_new_int(((const int32_t *)fps->values)[0]) : jsn_new_null());
        snprintf(name, sizeof name, "fps%d_first16", stage);
        put(w, o, name, ints(w, fps ? fps->values : NULL, n));
    }
    put(w, o, "fps_start", starts);
}

static struct json *logits_summary(struct writer *w, const float *v, int n, const struct json *fixed)
{
    struct json *o = jsn_new_object(), *ids = jsn_new_array(), *top = jsn_new_array(), *at = jsn_new_object();
    int best[TOP];
    for (int k = 0; k < TOP && k < n; k++) {
        best[k] = -1;
        for (int i = 0; i < n; i++) {
            bool taken = false;
            for (int j = 0; j < k; j++)
                taken |= best[j] == i;
            if (!taken && (best[k] < 0 || v[i] > v[best[k]]))
                best[k] = i;
        }
        push(w, ids, jsn_new_int(best[k]));
        push(w, top, jsn_new_real(v[best[k]]));
    }
    for (size_t i = 0; i < jsn_size(fixed); i++) {
        int64_t index = jsn_int(jsn_at(fixed, i), -1);
        char key[24];
        snprintf(key, sizeof key, "%lld", (long long)index);
        if (index >= 0 && index < n)
            put(w, at, key, jsn_new_real(v[index]));
    }
    double sum = 0, square = 0;
    for (int i = 0; i < n; i++)
        sum += v[i];
    for (int i = 0; i < n; i++)
        square += (v[i] - sum / n) * (v[i] - sum / n);
    put(w, o, "top10_ids", ids);
    put(w, o, "top10", top);
    put(w, o, "at", at);
    put(w, o, "mean", jsn_new_real(sum / n));
    put(w, o, "var", jsn_new_real(square / n));
    return o;
}

/* Where the clean-up of texts changed something, the text without it. */
static void put_text(struct writer *w, struct json *o, const struct engine_result *r, const struct tokenizer *t)
{
    char *plain = NULL;
    const char *text = r->text ? r->text : "";
    put(w, o, "text", jsn_new_string(text));
    if (tokenizer_decode(t, r->tokens, r->n_tokens, false, &plain, NULL, NULL) != ST_OK)
        w->failed = true;
    else if (strcmp(plain, text) != 0)
        put(w, o, "text_without_cleanup", jsn_new_string(plain));
    free(plain);
}

static struct json *greedy(struct writer *w, const struct parity_case *c, const struct tokenizer *t)
{
    const struct engine_result *r = &c->result;
    struct json *o = jsn_new_object(), *steps = jsn_new_array();
    double least = INFINITY;
    for (int i = 0; i < r->n_tokens; i++) {
        struct json *step = jsn_new_object();
        put(w, step, "logit", jsn_new_real(r->top[i]));
        put(w, step, "margin", jsn_new_real(r->margin[i]));
        put(w, step, "logprob", jsn_new_real(r->logprob[i]));
        push(w, steps, step);
        least = r->margin[i] < least ? r->margin[i] : least;
    }
    put(w, o, "max_new_tokens", jsn_new_int(c->max_tokens));
    put(w, o, "ids", ints(w, r->tokens, (size_t)r->n_tokens));
    put(w, o, "finished", jsn_new_bool(r->finish == FINISH_STOP));
    put_text(w, o, r, t);
    put(w, o, "steps", steps);
    put(w, o, "min_margin", jsn_new_real(least));
    return o;
}

static struct json *official(struct writer *w, enum status s, const struct official_boxes *b)
{
    if (s != ST_OK) {
        w->failed = true;
        return NULL;
    }
    if (b->error) {
        struct json *o = jsn_new_object();
        put(w, o, "error", jsn_new_string(b->error));
        return o;
    }
    struct json *list = jsn_new_array();
    for (int i = 0; i < b->n; i++) {
        struct json *o = jsn_new_object(), *box = jsn_new_array();
        for (int k = 0; k < 4; k++)
            push(w, box, jsn_new_int(b->list[i].box[k]));
        put(w, o, "phrase", jsn_new_string(b->list[i].phrase));
        put(w, o, "box", box);
        push(w, list, o);
    }
    return list;
}

static void put_boxes(struct writer *w, struct json *o, const struct parity_case *c)
{
    const char *text = c->result.text ? c->result.text : "";
    struct official_boxes boxes = {0};
    enum status s = grounding_scan_official(text, c->width, c->height, &boxes);
    put(w, o, "boxes_eval", official(w, s, &boxes));
    official_boxes_fini(&boxes);
    boxes = (struct official_boxes){0};
    s = grounding_regex_official(text, c->width, c->height, &boxes);
    put(w, o, "boxes_regex", official(w, s, &boxes));
    official_boxes_fini(&boxes);
}

static void put_answer(struct writer *w, struct json *o, const struct parity_case *c, const struct tokenizer *t,
                       const struct parity_store *tensors, const struct json *fixed)
{
    int32_t *ids = NULL;
    int n = 0;
    if (tokenizer_encode_prompt(t, c->prompt, strlen(c->prompt), &ids, &n, NULL) != ST_OK)
        w->failed = true;
    put(w, o, "prompt", jsn_new_string(c->prompt));
    put(w, o, "input_ids", ints(w, ids, (size_t)n));
    put(w, o, "positions", jsn_new_int(c->result.n_prompt));
    free(ids);
    struct json *vision = jsn_new_object();
    put(w, vision, "sum", jsn_new_real(c->vision_sum));
    put(w, vision, "sumsq", jsn_new_real(c->vision_sumsq));
    put(w, o, "vision", vision);
    char name[2 * PARITY_NAME_BYTES];
    snprintf(name, sizeof name, "%s.logits", c->id);
    const struct parity_tensor *logits = parity_store_find(tensors, name);
    if (logits)
        put(w, o, "logits", logits_summary(w, logits->values, (int)logits->n, fixed));
    put(w, o, "greedy", greedy(w, c, t));
    put_boxes(w, o, c);
}

static void put_all_choices(struct writer *w, struct json *o, const struct parity_case *c,
                            const struct parity_store *tensors, int n_stages)
{
    struct json *list = jsn_new_array();
    for (int i = 0; i < c->n_regions; i++) {
        struct json *one = jsn_new_object();
        put_choices(w, one, c, tensors, i, n_stages);
        push(w, list, one);
    }
    put(w, o, "sampler", list);
}

struct json *parity_case_record(const struct parity_case *c, const struct config *config, const struct tokenizer *t,
                                const struct parity_store *tensors, const struct json *fixed)
{
    static const char *const copied[] = {"id",    "seed", "image",   "width",          "height",
                                         "turns", "note", "regions", "boxes_inclusive"};
    struct writer w = {false};
    struct json *o = jsn_new_object();
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
        const struct json *value = jsn_get(c->expected, copied[i]);
        if (value)
            put(&w, o, copied[i], jsn_copy(value));
    }
    if (c->sampler_only) {
        put_choices(&w, o, c, tensors, 0, config->sampler.n_stages);
    } else {
        put_answer(&w, o, c, t, tensors, fixed);
        put_all_choices(&w, o, c, tensors, config->sampler.n_stages);
    }
    if (!w.failed)
        return o;
    jsn_free(o);
    return NULL;
}
