#include "model/region.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/region_impl.h"

static const char *const kind_words[] = {
    [REGION_POINT] = "point",       [REGION_BOX] = "box",   [REGION_POLYGON] = "polygon",
    [REGION_SCRIBBLE] = "scribble", [REGION_MASK] = "mask",
};

enum status run_list_add(struct run_list *l, int x, int y0, int y1)
{
    struct run *last = l->n ? &l->runs[l->n - 1] : NULL;
    if (last && last->x == x && y0 <= last->y1 + 1) {
        if (y1 > last->y1) {
            l->n_pixels += y1 - last->y1;
            last->y1 = y1;
        }
        return ST_OK;
    }
    if (l->n == REGION_MAX_RUNS)
        return ST_LIMIT;
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 256;
        struct run *runs = realloc(l->runs, capacity * sizeof *runs);
        if (!runs)
            return ST_NOMEM;
        l->runs = runs;
        int64_t *before = realloc(l->before, capacity * sizeof *before);
        if (!before)
            return ST_NOMEM;
        l->before = before;
        l->capacity = capacity;
    }
    l->before[l->n] = l->n_pixels;
    l->runs[l->n++] = (struct run){x, y0, y1};
    l->n_pixels += y1 - y0 + 1;
    return ST_OK;
}

/* v is finite; beyond the ints, any int of that side does. */
static int whole_pixel(double v)
{
    v = floor(v);
    return v < -1e9 ? -1000000000 : v > 1e9 ? 1000000000 : (int)v;
}

static enum status outside(const struct region_spec *s, int width, int height, struct diag *why)
{
    return diag_set(why, ST_INVALID, "region: no pixel of the %d x %d image is inside the %s", width, height,
                    kind_words[s->kind]);
}

/* Corners or point in whole pixels, not clamped yet. */
static enum status whole_corners(const struct region_spec *s, int width, int height, int n, int *out, struct diag *why)
{
    for (int i = 0; i < n; i++) {
        if (!isfinite(s->box[i]))
            return diag_set(why, ST_INVALID, "region: coordinate %d of the %s is not a finite number", i + 1,
                            kind_words[s->kind]);
        int size = i % 2 ? height : width;
        out[i] = whole_pixel(s->normalised ? s->box[i] * size : s->box[i]);
        /* The far edge of a normalised image belongs to its last pixel. */
        if (s->normalised && s->box[i] == 1.0)
            out[i] = size - 1;
    }
    return ST_OK;
}

static void clamp_bounds(struct region *r)
{
    for (int i = 0; i < 4; i++) {
        int last = (i % 2 ? r->height : r->width) - 1;
        r->bounds[i] = r->bounds[i] < 0 ? 0 : r->bounds[i] > last ? last : r->bounds[i];
    }
    r->n_pixels = (int64_t)(r->bounds[2] - r->bounds[0] + 1) * (r->bounds[3] - r->bounds[1] + 1);
}

static enum status make_point(const struct region_spec *s, struct region *r, struct diag *why)
{
    enum status status = whole_corners(s, r->width, r->height, 2, r->point, why);
    if (status != ST_OK)
        return status;
    if (r->point[0] < 0 || r->point[0] >= r->width || r->point[1] < 0 || r->point[1] >= r->height)
        return outside(s, r->width, r->height, why);
    for (int i = 0; i < 4; i++)
        r->bounds[i] = r->point[i % 2] + (i < 2 ? -REGION_POINT_SPAN : REGION_POINT_SPAN);
    clamp_bounds(r);
    return ST_OK;
}

static enum status make_box(const struct region_spec *s, struct region *r, struct diag *why)
{
    enum status status = whole_corners(s, r->width, r->height, 4, r->bounds, why);
    if (status != ST_OK)
        return status;
    for (int i = 0; i < 2; i++)
        if (r->bounds[i] > r->bounds[i + 2]) {
            int swap = r->bounds[i];
            r->bounds[i] = r->bounds[i + 2];
            r->bounds[i + 2] = swap;
        }
    if (r->bounds[0] >= r->width || r->bounds[1] >= r->height || r->bounds[2] < 0 || r->bounds[3] < 0)
        return outside(s, r->width, r->height, why);
    clamp_bounds(r);
    return ST_OK;
}

static void take_runs(struct region *r, const struct run_list *l)
{
    r->runs = l->runs;
    r->n_runs = l->n;
    r->before = l->before;
    r->n_pixels = l->n_pixels;
    r->bounds[0] = l->runs[0].x;
    r->bounds[2] = l->runs[l->n - 1].x;
    r->bounds[1] = r->height;
    r->bounds[3] = -1;
    for (size_t i = 0; i < l->n; i++) {
        r->bounds[1] = l->runs[i].y0 < r->bounds[1] ? l->runs[i].y0 : r->bounds[1];
        r->bounds[3] = l->runs[i].y1 > r->bounds[3] ? l->runs[i].y1 : r->bounds[3];
    }
}

static enum status make_free_form(const struct region_spec *s, struct region *r, struct diag *why)
{
    struct run_list l = {0};
    enum status status = s->kind == REGION_POLYGON    ? region_fill_polygon(s, r->width, r->height, &l, why)
                         : s->kind == REGION_SCRIBBLE ? region_fill_scribble(s, r->width, r->height, &l, why)
                                                      : region_fill_mask(s, r->width, r->height, &l, why);
    if (status == ST_OK && l.n == 0)
        status = outside(s, r->width, r->height, why);
    if (status != ST_OK) {
        free(l.runs);
        free(l.before);
        return status;
    }
    take_runs(r, &l);
    return ST_OK;
}

enum status region_make(const struct region_spec *spec, int width, int height, struct region *out, struct diag *why)
{
    if ((unsigned)spec->kind > REGION_MASK)
        return diag_set(why, ST_INVALID, "region: unknown kind %d", (int)spec->kind);
    if (width < 1 || height < 1)
        return diag_set(why, ST_INVALID, "region: an image of %d x %d pixels", width, height);
    if ((int64_t)width * height > INT32_MAX)
        return diag_set(why, ST_LIMIT, "region: an image of %d x %d pixels, the limit is 2^31", width, height);
    struct region r = {.width = width, .height = height, .kind = spec->kind};
    enum status s = spec->kind == REGION_POINT ? make_point(spec, &r, why)
                    : spec->kind == REGION_BOX ? make_box(spec, &r, why)
                                               : make_free_form(spec, &r, why);
    if (s == ST_OK)
        *out = r;
    return s;
}

void region_fini(struct region *r)
{
    free(r->runs);
    free(r->before);
    *r = (struct region){0};
}

void region_pixel(const struct region *r, int64_t index, int *x, int *y)
{
    if (!r->runs) {
        int height = r->bounds[3] - r->bounds[1] + 1;
        *x = r->bounds[0] + (int)(index / height);
        *y = r->bounds[1] + (int)(index % height);
        return;
    }
    size_t low = 0, high = r->n_runs; /* before[low] <= index < before[high] */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (r->before[middle] <= index)
            low = middle;
        else
            high = middle;
    }
    *x = r->runs[low].x;
    *y = r->runs[low].y0 + (int)(index - r->before[low]);
}

int region_text(const struct region *r, char out[64])
{
    double across = 1000.0 / r->width, down = 1000.0 / r->height;
    if (r->kind == REGION_POINT)
        return snprintf(out, 64, "[%d, %d]", (int)(r->point[0] * across), (int)(r->point[1] * down));
    return snprintf(out, 64, "[%d, %d, %d, %d]", (int)(r->bounds[0] * across), (int)(r->bounds[1] * down),
                    (int)(r->bounds[2] * across), (int)(r->bounds[3] * down));
}
