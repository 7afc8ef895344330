#include "model/parity_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/prompt.h"

enum { DEFAULT_TOKENS = 72 }; /* where a case does not say how long its answer may get */

static uint64_t seed_of(const struct json *expected)
{
    return (uint64_t)jsn_int(jsn_get(expected, "seed"), 0);
}

static enum status bad(const struct parity_case *c, const char *what, struct diag *why)
{
    return diag_set(why, ST_FORMAT, "case %s: %s", c->id, what);
}

static enum status render(struct parity_case *c, const struct template_config *t, const struct json *turns,
                          struct diag *why)
{
    size_t n = jsn_size(turns);
    const char **list = calloc(n > 0 ? n : 1, sizeof *list);
    if (!list)
        return ST_NOMEM;
    for (size_t i = 0; i < n; i++)
        list[i] = jsn_string(jsn_at(turns, i), "");
    enum status s = prompt_render(t, list, (int)n, &c->prompt, why);
    free(list);
    return s;
}

static enum status make_mask(struct region *out, const uint32_t *runs, size_t n, int width, int height,
                             struct diag *why)
{
    struct region_spec spec = {.kind = REGION_MASK, .rle = runs, .n_rle = n, .rle_size = {height, width}};
    return region_make(&spec, width, height, out, why);
}

/* Runs of a mask: as numbers, or as COCO's compressed string. */
static enum status read_runs(const struct json *rle, uint32_t **runs, size_t *n, struct diag *why)
{
    const struct json *counts = jsn_get(rle, "counts"), *text = jsn_get(rle, "counts_string");
    if (!counts && text)
        return region_rle_decode(jsn_string(text, ""), jsn_string_len(text), runs, n, why);
    *n = jsn_size(counts);
    if (!(*runs = calloc(*n > 0 ? *n : 1, sizeof **runs)))
        return ST_NOMEM;
    for (size_t i = 0; i < *n; i++)
        (*runs)[i] = (uint32_t)jsn_int(jsn_at(counts, i), 0);
    return ST_OK;
}

static enum status read_mask(const struct parity_case *c, const struct json *rle, struct region *out, struct diag *why)
{
    const struct json *size = jsn_get(rle, "size");
    uint32_t *runs = NULL;
    size_t n = 0;
    if (jsn_int(jsn_at(size, 0), -1) != c->height || jsn_int(jsn_at(size, 1), -1) != c->width)
        return bad(c, "the mask's size is not the image's", why);
    enum status s = read_runs(rle, &runs, &n, why);
    if (s == ST_OK)
        s = make_mask(out, runs, n, c->width, c->height, why);
    free(runs);
    return s;
}

static bool same_extent(const struct region *a, const struct region *b)
{
    return a->n_pixels == b->n_pixels && memcmp(a->bounds, b->bounds, sizeof a->bounds) == 0;
}

static bool has_geometry(const struct json *r)
{
    const char *kind = jsn_string(jsn_get(r, "kind"), "");
    return strcmp(kind, "point") == 0 || strcmp(kind, "box") == 0;
}

/* A point or box from its coordinates. */
static enum status make_own(const struct parity_case *c, const struct json *r, struct region *out, struct diag *why)
{
    bool point = strcmp(jsn_string(jsn_get(r, "kind"), ""), "point") == 0;
    const struct json *numbers = jsn_get(r, point ? "xy" : "box");
    struct region_spec spec = {.kind = point ? REGION_POINT : REGION_BOX};
    if (jsn_size(numbers) != (point ? 2 : 4))
        return bad(c, "a point has an xy of two numbers, a box a box of four", why);
    for (size_t i = 0; i < jsn_size(numbers); i++)
        spec.box[i] = jsn_number(jsn_at(numbers, i), 0);
    return region_make(&spec, c->width, c->height, out, why);
}

/* The recorded mask; points and boxes do without one. Where there are both, *same says whether the coordinates give
 * the mask's pixels: both are full rectangles, so bounds and number of pixels decide. */
static enum status read_region(const struct parity_case *c, const struct json *r, struct region *out, bool *same,
                               struct diag *why)
{
    const struct json *rle = jsn_get(r, "rle");
    struct region own;
    *same = true;
    if (!rle)
        return has_geometry(r) ? make_own(c, r, out, why) : bad(c, "a region of this kind needs its rle", why);
    if (!has_geometry(r))
        return read_mask(c, rle, out, why);
    enum status s = make_own(c, r, &own, why);
    if (s != ST_OK)
        return s;
    s = read_mask(c, rle, out, why);
    if (s == ST_OK)
        *same = same_extent(&own, out);
    region_fini(&own);
    return s;
}

static enum status alloc_regions(struct parity_case *c, size_t n)
{
    c->regions = calloc(n > 0 ? n : 1, sizeof *c->regions);
    c->drawn = calloc(n > 0 ? n : 1, sizeof *c->drawn);
    c->same_mask = calloc(n > 0 ? n : 1, sizeof *c->same_mask);
    return c->regions && c->drawn && c->same_mask ? ST_OK : ST_NOMEM;
}

enum status parity_case_init(struct parity_case *c, const struct json *expected, const struct template_config *t,
                             struct diag *why)
{
    *c = (struct parity_case){.expected = expected};
    snprintf(c->id, sizeof c->id, "%s", jsn_string(jsn_get(expected, "id"), "?"));
    c->width = (int)jsn_int(jsn_get(expected, "width"), 0);
    c->height = (int)jsn_int(jsn_get(expected, "height"), 0);
    c->seed = seed_of(expected);
    c->max_tokens = (int)jsn_int(jsn_get(jsn_get(expected, "greedy"), "max_new_tokens"), DEFAULT_TOKENS);
    if (c->width < 1 || c->height < 1 || c->max_tokens < 1)
        return bad(c, "width and height are needed, and a greedy.max_new_tokens of at least 1", why);
    const struct json *regions = jsn_get(expected, "regions");
    size_t n = jsn_size(regions);
    enum status s = render(c, t, jsn_get(expected, "turns"), why);
    if (s == ST_OK)
        s = alloc_regions(c, n);
    for (size_t i = 0; s == ST_OK && i < n; i++) {
        s = read_region(c, jsn_at(regions, i), &c->regions[i], &c->same_mask[i], why);
        c->n_regions += s == ST_OK;
    }
    return s == ST_OK ? s : diag_wrap(why, s, "case %s", c->id);
}

/* Runs down the columns of a mask filled with inclusive boxes. */
static enum status box_runs(const struct json *boxes, int width, int height, uint32_t **out, size_t *n)
{
    size_t n_boxes = jsn_size(boxes), capacity = (2 * n_boxes + 1) * (size_t)width + 1;
    uint32_t *runs = malloc(capacity * sizeof *runs);
    bool *column = calloc((size_t)height, sizeof *column);
    size_t used = 0;
    bool inside = false;
    if (!runs || !column) {
        free(runs);
        free(column);
        return ST_NOMEM;
    }
    runs[0] = 0;
    for (int x = 0; x < width; x++) {
        memset(column, 0, (size_t)height * sizeof *column);
        for (size_t b = 0; b < n_boxes; b++) {
            const struct json *box = jsn_at(boxes, b);
            if (x < jsn_int(jsn_at(box, 0), 0) || x > jsn_int(jsn_at(box, 2), -1))
                continue;
            for (int64_t y = jsn_int(jsn_at(box, 1), 0); y <= jsn_int(jsn_at(box, 3), -1) && y < height; y++)
                column[y] = true;
        }
        for (int y = 0; y < height; y++) {
            if (column[y] != inside) {
                inside = column[y];
                runs[++used] = 0;
            }
            runs[used]++;
        }
    }
    free(column);
    *out = runs;
    *n = used + 1;
    return ST_OK;
}

enum status parity_sampler_init(struct parity_case *c, const struct json *expected, const struct template_config *t,
                                struct diag *why)
{
    *c = (struct parity_case){.expected = expected, .sampler_only = true, .max_tokens = 1};
    snprintf(c->id, sizeof c->id, "sampler.%s", jsn_string(jsn_get(expected, "id"), "?"));
    c->width = (int)jsn_int(jsn_get(expected, "width"), 0);
    c->height = (int)jsn_int(jsn_get(expected, "height"), 0);
    c->seed = seed_of(expected);
    if (c->width < 1 || c->height < 1)
        return bad(c, "width or height is missing", why);
    const char *turn = "<region_fea>";
    uint32_t *runs = NULL;
    size_t n = 0;
    enum status s = prompt_render(t, &turn, 1, &c->prompt, why);
    if (s == ST_OK)
        s = alloc_regions(c, 1);
    if (s == ST_OK)
        s = box_runs(jsn_get(expected, "boxes_inclusive"), c->width, c->height, &runs, &n);
    if (s == ST_OK)
        s = make_mask(&c->regions[0], runs, n, c->width, c->height, why);
    if (s == ST_OK) {
        c->n_regions = 1;
        c->same_mask[0] = true;
    }
    free(runs);
    return s == ST_OK ? s : diag_wrap(why, s, "case %s", c->id);
}

void parity_case_fini(struct parity_case *c)
{
    for (int i = 0; i < c->n_regions; i++) {
        region_fini(&c->regions[i]);
        drawn_region_fini(&c->drawn[i]);
    }
    free(c->regions);
    free(c->drawn);
    free(c->same_mask);
    free(c->prompt);
    engine_result_fini(&c->result);
    *c = (struct parity_case){.n_regions = 0};
}
