#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "model/parity.h"
#include "model/parity_store.h"

enum { MAX_CASES_BYTES = 256 << 20, MAX_COMPLAINTS = 40, LINE_BYTES = 512 };

struct parity_limits parity_limits_f32(void)
{
    return (struct parity_limits){
        .vision = 3e-5, .projected = 3e-5, .region = 1e-5, .hidden = 5e-5, .logits = 2e-4, .margin_factor = 0};
}

struct comparison {
    const struct parity_limits *limits;
    struct parity_report *report;
    struct parity_store expected, actual;
    struct json *expected_json, *actual_json;
    FILE *text; /* a memory stream behind report->text */
};

static void complain(struct comparison *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void complain(struct comparison *c, const char *fmt, ...)
{
    if (c->report->n_failures++ >= MAX_COMPLAINTS)
        return;
    char line[LINE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    fprintf(c->text, "  differs: %s\n", line);
}

static void compare_ints(struct comparison *c, const struct parity_tensor *e, const struct parity_tensor *a)
{
    const int32_t *x = e->values, *y = a->values;
    for (size_t i = 0; i < e->n; i++) {
        if (x[i] != y[i]) {
            complain(c, "%s[%zu]: expected %d, found %d", e->name, i, x[i], y[i]);
            return;
        }
    }
}

static double largest_difference(const float *x, const float *y, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)x[i] - (double)y[i]);
        worst = isfinite(d) ? fmax(worst, d) : INFINITY;
    }
    return worst;
}

/* The largest difference of any region, as a share of that region's largest value. */
static double region_difference(const struct parity_tensor *e, const struct parity_tensor *a)
{
    size_t cols = (size_t)e->dims[e->n_dims - 1];
    double worst = 0;
    for (size_t at = 0; at < e->n; at += cols) {
        const float *x = (const float *)e->values + at, *y = (const float *)a->values + at;
        double largest = 0;
        for (size_t i = 0; i < cols; i++)
            largest = fmax(largest, fabs((double)x[i]));
        worst = fmax(worst, largest_difference(x, y, cols) / (largest > 0 ? largest : 1));
    }
    return worst;
}

/* Which limit a tensor is held to, by what stands behind the case in its name; NULL for those that are no result. */
static double *found_by_name(struct parity_limits *l, const char *name)
{
    const struct {
        const char *tail;
        double *value;
    } kinds[] = {
        {".vision", &l->vision},          {".vision_rows", &l->vision},
        {".projected", &l->projected},    {".projected_rows", &l->projected},
        {".region_features", &l->region}, {".hidden_last", &l->hidden},
        {".logits", &l->logits},
    };
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t n = strlen(kinds[i].tail);
        if (len > n && strcmp(name + len - n, kinds[i].tail) == 0)
            return kinds[i].value;
    }
    return NULL;
}

static void compare_tensor(struct comparison *c, const struct parity_tensor *e)
{
    struct parity_limits allowed = *c->limits;
    double *found = found_by_name(&c->report->found, e->name), *limit = found_by_name(&allowed, e->name);
    if (!e->is_int && !found)
        return;
    const struct parity_tensor *a = parity_store_find(&c->actual, e->name);
    if (!a || a->is_int != e->is_int || a->n_dims != e->n_dims || memcmp(a->dims, e->dims, sizeof a->dims) != 0) {
        complain(c, "%s: %s", e->name, a ? "other type or shape" : "missing");
        return;
    }
    if (e->is_int) {
        compare_ints(c, e, a);
        return;
    }
    double d =
        found == &c->report->found.region ? region_difference(e, a) : largest_difference(e->values, a->values, e->n);
    *found = fmax(*found, d);
    if (!(d <= *limit))
        complain(c, "%s: by %.3g, allowed %.3g", e->name, d, *limit);
}

/* A NUL has no place in an answer here: it prints as the replacement character. */
static bool same_text(const struct json *e, const struct json *a)
{
    const char *x = jsn_string(e, ""), *y = jsn_string(a, "");
    size_t n = jsn_string_len(e), m = jsn_string_len(a), j = 0;
    for (size_t i = 0; i < n; i++) {
        const char *want = x[i] ? &x[i] : "\xef\xbf\xbd";
        size_t len = x[i] ? 1 : 3;
        if (j + len > m || memcmp(y + j, want, len) != 0)
            return false;
        j += len;
    }
    return j == m;
}

/* Equality of what must be equal; texts by content, containers element by element, reals as printed. */
static bool same(const struct json *e, const struct json *a)
{
    if (jsn_kind(e) != jsn_kind(a) || jsn_size(e) != jsn_size(a))
        return false;
    switch (jsn_kind(e)) {
    case JSON_KIND_NULL: return true;
    case JSON_KIND_BOOL: return jsn_bool(e, false) == jsn_bool(a, false);
    case JSON_KIND_INT: return jsn_int(e, 0) == jsn_int(a, 0);
    case JSON_KIND_REAL: return fabs(jsn_number(e, 0) - jsn_number(a, 0)) == 0;
    case JSON_KIND_STRING: return same_text(e, a);
    case JSON_KIND_ARRAY:
        for (size_t i = 0; i < jsn_size(e); i++) {
            if (!same(jsn_at(e, i), jsn_at(a, i)))
                return false;
        }
        return true;
    case JSON_KIND_OBJECT: break;
    }
    static const char *const keys[] = {"phrase", "box", "error"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!same(jsn_get(e, keys[i]), jsn_get(a, keys[i])))
            return false;
    }
    return true;
}

static void demand(struct comparison *c, const char *id, const char *key, const struct json *e, const struct json *a)
{
    const struct json *want = jsn_get(e, key);
    if (want && !same(want, jsn_get(a, key)))
        complain(c, "%s: %s", id, key);
}

static void compare_choices(struct comparison *c, const char *id, const struct json *e, const struct json *a)
{
    static const char *const keys[] = {"n",         "chosen_first16", "chosen_xy_first16",
                                       "fps_start", "fps0_first16",   "fps1_first16"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        demand(c, id, keys[i], e, a);
    if (!jsn_bool(jsn_get(a, "mask_equal"), true))
        complain(c, "%s: a region's own geometry does not give the recorded mask", id);
}

static void note_logit(struct comparison *c, const char *id, double e, double a)
{
    double d = fabs(e - a);
    c->report->found.logits = isfinite(d) ? fmax(c->report->found.logits, d) : INFINITY;
    if (!(d <= c->limits->logits))
        complain(c, "%s: a logit by %.3g, allowed %.3g", id, d, c->limits->logits);
}

/* Logits at the fixed indices: they are recorded for every case. */
static void compare_logits(struct comparison *c, const char *id, const struct json *fixed, const struct json *e,
                           const struct json *a)
{
    const struct json *want = jsn_get(jsn_get(e, "logits"), "at"), *got = jsn_get(jsn_get(a, "logits"), "at");
    for (size_t i = 0; i < jsn_size(fixed); i++) {
        char key[24];
        snprintf(key, sizeof key, "%lld", (long long)jsn_int(jsn_at(fixed, i), -1));
        if (jsn_get(want, key))
            note_logit(c, id, jsn_number(jsn_get(want, key), NAN), jsn_number(jsn_get(got, key), NAN));
    }
}

/* How many of the recorded steps the actual ids are held to. */
static size_t decided_steps(const struct json *steps, double least_margin)
{
    size_t n = 0;
    while (n < jsn_size(steps) && jsn_number(jsn_get(jsn_at(steps, n), "margin"), 0) > least_margin)
        n++;
    return n;
}

static void compare_answer(struct comparison *c, const char *id, double least_margin, const struct json *e,
                           const struct json *a)
{
    const struct json *x = jsn_get(e, "greedy"), *y = jsn_get(a, "greedy");
    const struct json *want = jsn_get(x, "ids"), *got = jsn_get(y, "ids");
    const struct json *steps = jsn_get(x, "steps"), *found = jsn_get(y, "steps");
    size_t n = least_margin > 0 ? decided_steps(steps, least_margin) : jsn_size(want);
    bool whole = n == jsn_size(want);
    for (size_t i = 0; i < n; i++) {
        if (jsn_int(jsn_at(want, i), -1) != jsn_int(jsn_at(got, i), -2)) {
            complain(c, "%s: token %zu", id, i);
            return;
        }
        double p = jsn_number(jsn_get(jsn_at(steps, i), "logprob"), NAN);
        double q = jsn_number(jsn_get(jsn_at(found, i), "logprob"), NAN);
        c->report->logprob = fmax(c->report->logprob, fabs(p - q));
        if (least_margin > 0)
            continue;
        note_logit(c, id, jsn_number(jsn_get(jsn_at(steps, i), "logit"), NAN),
                   jsn_number(jsn_get(jsn_at(found, i), "logit"), NAN));
    }
    c->report->n_ids += (int)n;
    c->report->n_ids_skipped += (int)(jsn_size(want) - n);
    if (!whole)
        return;
    demand(c, id, "ids", x, y);
    demand(c, id, "finished", x, y);
    demand(c, id, "text", x, y);
    demand(c, id, "boxes_eval", e, a);
    demand(c, id, "boxes_regex", e, a);
}

static void compare_cases(struct comparison *c)
{
    const struct json *e = jsn_get(c->expected_json, "cases"), *a = jsn_get(c->actual_json, "cases");
    const struct json *fixed = jsn_get(c->expected_json, "fixed_indices");
    if (jsn_size(e) != jsn_size(a))
        complain(c, "%zu cases expected, %zu found", jsn_size(e), jsn_size(a));
    c->report->n_cases = (int)jsn_size(e);
    for (size_t i = 0; i < jsn_size(e); i++) {
        const struct json *x = jsn_at(e, i), *y = jsn_at(a, i);
        const char *id = jsn_string(jsn_get(x, "id"), "?");
        static const char *const keys[] = {"id", "prompt", "input_ids", "positions"};
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            demand(c, id, keys[k], x, y);
        const struct json *choices = jsn_get(x, "sampler");
        for (size_t k = 0; k < jsn_size(choices); k++)
            compare_choices(c, id, jsn_at(choices, k), jsn_at(jsn_get(y, "sampler"), k));
        compare_logits(c, id, fixed, x, y);
    }
    /* Every logit has been seen by now: their largest error says which steps are decided. */
    double least = c->limits->margin_factor * c->report->found.logits;
    for (size_t i = 0; i < jsn_size(e); i++)
        compare_answer(c, jsn_string(jsn_get(jsn_at(e, i), "id"), "?"), least, jsn_at(e, i), jsn_at(a, i));
    const struct json *only = jsn_get(c->expected_json, "sampler_only");
    for (size_t i = 0; i < jsn_size(only); i++) {
        const struct json *x = jsn_at(only, i), *y = jsn_at(jsn_get(c->actual_json, "sampler_only"), i);
        compare_choices(c, jsn_string(jsn_get(x, "id"), "?"), x, y);
    }
}

static enum status load(const char *path, struct json **json, struct parity_store *tensors, struct diag *why)
{
    struct parity_set set;
    enum status s = parity_set_find(path, &set, why);
    if (s == ST_OK)
        s = jsn_load(set.json, MAX_CASES_BYTES, json, why);
    return s == ST_OK ? parity_store_read(tensors, set.tensors, why) : s;
}

static void write_table(struct comparison *c)
{
    const struct parity_limits *f = &c->report->found, *l = c->limits;
    const struct {
        const char *name;
        double found, allowed;
    } rows[] = {
        {"vision", f->vision, l->vision},     {"projected", f->projected, l->projected},
        {"region/max", f->region, l->region}, {"hidden", f->hidden, l->hidden},
        {"logits", f->logits, l->logits},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        fprintf(c->text, "  %-11s %9.2e of %.0e\n", rows[i].name, rows[i].found, rows[i].allowed);
    fprintf(c->text, "  log-prob.   %9.2e; %d ids equal in %d cases, %d not decided\n", c->report->logprob,
            c->report->n_ids, c->report->n_cases, c->report->n_ids_skipped);
}

enum status parity_compare(const char *expected, const char *actual, const struct parity_limits *limits,
                           struct parity_report *out, struct diag *why)
{
    *out = (struct parity_report){0};
    struct comparison c = {.limits = limits, .report = out};
    size_t len = 0;
    enum status s = load(expected, &c.expected_json, &c.expected, why);
    if (s == ST_OK)
        s = load(actual, &c.actual_json, &c.actual, why);
    if (s == ST_OK && !(c.text = open_memstream(&out->text, &len)))
        s = ST_NOMEM;
    if (s == ST_OK) {
        for (size_t i = 0; i < c.expected.n; i++)
            compare_tensor(&c, &c.expected.items[i]);
        compare_cases(&c);
        write_table(&c);
        if (fclose(c.text) != 0)
            s = ST_NOMEM;
    }
    parity_store_fini(&c.expected);
    parity_store_fini(&c.actual);
    jsn_free(c.expected_json);
    jsn_free(c.actual_json);
    if (s != ST_OK)
        parity_report_fini(out);
    return s;
}

void parity_report_fini(struct parity_report *r)
{
    free(r->text);
    *r = (struct parity_report){0};
}
