/* Regions of a job as JSON. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/job_fields.h"
#include "protocol/job_parts.h"

/* ---- COCO masks ----------------------------------------------------------------------------------------------------
 */

/* COCO's compressed run string: each count, from the third on as the difference to the one two before it, in groups of
 * five bits, low first, 32 marking "more follows", 48 added to each. */
static size_t put_run(int64_t value, char *out)
{
    size_t n = 0;
    for (bool more = true; more;) {
        int c = (int)(value & 31);
        value >>= 5;
        more = (c & 16) ? value != -1 : value != 0;
        out[n++] = (char)((more ? c | 32 : c) + 48);
    }
    return n;
}

static enum status compress_runs(struct reader *r, const struct json *v, char **slot)
{
    enum { BYTES_A_RUN = 8 }; /* a difference of two 32-bit counts has 34 bits */
    size_t n = jsn_size(v), at = 0;
    char *text = malloc(n * BYTES_A_RUN + 1);
    if (!text)
        return ST_NOMEM;
    for (size_t i = 0; i < n; i++) {
        int64_t count = jsn_int(jsn_at(v, i), -1);
        if (count < 0 || count > UINT32_MAX) {
            free(text);
            return diag_set(r->why, ST_FORMAT, "counts[%zu]: expected a whole number from 0 to 2^32 - 1", i);
        }
        at += put_run(i > 2 ? count - jsn_int(jsn_at(v, i - 2), 0) : count, text + at);
    }
    text[at] = '\0';
    free(*slot);
    *slot = text;
    return ST_OK;
}

static enum status rle_size(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job_region *region = target;
    if (jsn_kind(v) != JSON_KIND_ARRAY || jsn_size(v) != 2)
        return diag_set(r->why, ST_FORMAT, "%s: expected [height, width]", name);
    enum status s = field_int(r, jsn_at(v, 0), name, &region->rle_size[0]);
    return s == ST_OK ? field_int(r, jsn_at(v, 1), name, &region->rle_size[1]) : s;
}

static enum status rle_counts(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job_region *region = target;
    if (jsn_kind(v) == JSON_KIND_ARRAY)
        return compress_runs(r, v, &region->rle_counts);
    return field_text(r, v, name, &region->rle_counts);
}

static const struct field rle_fields[] = {{"size", 0, rle_size}, {"counts", 1, rle_counts}};

/* ---- shapes --------------------------------------------------------------------------------------------------------
 */

static enum status numbers(struct reader *r, const struct json *v, const char *name, size_t n, double *out)
{
    if (jsn_kind(v) != JSON_KIND_ARRAY || jsn_size(v) != n)
        return diag_set(r->why, ST_FORMAT, "%s: expected a list of %zu numbers", name, n);
    for (size_t i = 0; i < n; i++) {
        enum status s = field_number(r, jsn_at(v, i), name, &out[i]);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static enum status shape_point(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job_region *region = target;
    region->kind = JOB_POINT;
    return numbers(r, v, name, 2, region->box);
}

static enum status shape_box(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job_region *region = target;
    region->kind = JOB_BOX;
    return numbers(r, v, name, 4, region->box);
}

/* Appends the pairs of the flat list v. */
static enum status append_pairs(struct reader *r, const struct json *v, const char *name, struct job_region *region)
{
    size_t n = jsn_size(v);
    if (jsn_kind(v) != JSON_KIND_ARRAY || n < 2 || n % 2 != 0)
        return diag_set(r->why, ST_FORMAT, "%s: expected a flat list of pairs x, y", name);
    if (region->n_points + (int64_t)(n / 2) > JOB_MAX_POINTS)
        return diag_set(r->why, ST_INVALID, "%s: over %d points", name, JOB_MAX_POINTS);
    double *xy = realloc(region->xy, (2 * (size_t)region->n_points + n) * sizeof *xy);
    if (!xy)
        return ST_NOMEM;
    region->xy = xy;
    enum status s = numbers(r, v, name, n, xy + 2 * region->n_points);
    if (s == ST_OK)
        region->n_points += (int)(n / 2);
    return s;
}

static enum status shape_polygon(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job_region *region = target;
    region->kind = JOB_POLYGON;
    /* one ring may stand there without the list of rings around it */
    bool flat = jsn_kind(jsn_at(v, 0)) == JSON_KIND_INT || jsn_kind(jsn_at(v, 0)) == JSON_KIND_REAL;
    size_t n = flat ? 1 : jsn_size(v);
    if (jsn_kind(v) != JSON_KIND_ARRAY || n == 0)
        return diag_set(r->why, ST_FORMAT, "%s: expected a list of rings, each a flat list of pairs x, y", name);
    if (n > JOB_MAX_POINTS / 3)
        return diag_set(r->why, ST_INVALID, "%s: %zu rings; at most %d", name, n, JOB_MAX_POINTS / 3);
    if (!(region->ring_ends = calloc(n, sizeof *region->ring_ends)))
        return ST_NOMEM;
    region->n_rings = (int)n;
    for (size_t i = 0; i < n; i++) {
        enum status s = append_pairs(r, flat ? v : jsn_at(v, i), name, region);
        if (s != ST_OK)
            return s;
        region->ring_ends[i] = region->n_points;
    }
    return ST_OK;
}

static enum status shape_scribble(struct reader *r, const struct json *v, const char *name, void *target)
{
    ((struct job_region *)target)->kind = JOB_SCRIBBLE;
    return append_pairs(r, v, name, target);
}

static enum status shape_rle(struct reader *r, const struct json *v, const char *name, void *target)
{
    ((struct job_region *)target)->kind = JOB_RLE;
    return field_object(r, v, name, rle_fields, sizeof rle_fields / sizeof *rle_fields, target);
}

static enum status region_id(struct reader *r, const struct json *v, const char *name, void *target)
{
    return field_text(r, v, name, &((struct job_region *)target)->id);
}

static enum status region_normalised(struct reader *r, const struct json *v, const char *name, void *target)
{
    return field_bool(r, v, name, &((struct job_region *)target)->normalised);
}

static enum status region_stroke(struct reader *r, const struct json *v, const char *name, void *target)
{
    struct job_region *region = target;
    enum status s = field_number(r, v, name, &region->stroke_width);
    if (s == ST_OK && !(region->stroke_width > 0))
        s = diag_set(r->why, ST_INVALID, "%s: %g is not above 0", name, region->stroke_width);
    if (s == ST_OK && region->kind != JOB_SCRIBBLE)
        s = diag_set(r->why, ST_FORMAT, "%s: belongs to a scribble", name);
    return s;
}

enum { SLOT_SHAPE = 1 };
static const struct field region_fields[] = {
    {"id", 0, region_id},
    {"point", SLOT_SHAPE, shape_point},
    {"box", SLOT_SHAPE, shape_box},
    {"polygon", SLOT_SHAPE, shape_polygon},
    {"scribble", SLOT_SHAPE, shape_scribble},
    {"rle", SLOT_SHAPE, shape_rle},
    {"normalised", 2, region_normalised},
    {"stroke_width", 3, region_stroke},
};

static int shapes_in(const struct json *v)
{
    int n = 0;
    for (size_t i = 0; i < sizeof region_fields / sizeof *region_fields; i++)
        n += region_fields[i].slot == SLOT_SHAPE && jsn_get(v, region_fields[i].name) != NULL;
    return n;
}

enum status field_region(struct reader *r, const struct json *v, const char *path, struct job_region *out)
{
    if (jsn_kind(v) == JSON_KIND_OBJECT && shapes_in(v) > 1)
        return diag_set(r->why, ST_FORMAT, "%s: several shapes; a region has one of point, box, polygon, scribble, rle",
                        path);
    enum status s = field_object(r, v, path, region_fields, sizeof region_fields / sizeof *region_fields, out);
    if (s == ST_OK && shapes_in(v) == 0)
        s = diag_set(r->why, ST_FORMAT, "%s: no shape; expected one of point, box, polygon, scribble, rle", path);
    return s;
}
