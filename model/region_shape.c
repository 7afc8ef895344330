/* Polygons and scribbles, one column of pixels at a time: what a column crosses is kept in a list, so that the cost
 * follows the outline and not the area. */
#include "model/region_impl.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_CROSSINGS = 1 << 26 }; /* of edges and columns, over a whole shape: a second of work */

/* An edge or a piece of stroke and the columns it may reach. */
struct item {
    double x0, x1;
    double a[2], b[2];
};
struct span {
    double y0, y1;
};
struct sweep {
    struct item *items; /* by x0 once sweep_start has run */
    int n, next;
    int *active; /* indices of items that the current column may meet */
    int n_active;
    struct span *spans; /* one an active item */
    int n_spans;
    int64_t crossings;
};

static void sweep_fini(struct sweep *w)
{
    free(w->items);
    free(w->active);
    free(w->spans);
}

static enum status sweep_init(struct sweep *w, int capacity)
{
    size_t n = (size_t)capacity;
    *w = (struct sweep){.items = calloc(n, sizeof *w->items),
                        .active = calloc(n, sizeof *w->active),
                        .spans = calloc(n, sizeof *w->spans)};
    return w->items && w->active && w->spans ? ST_OK : ST_NOMEM;
}

static void sweep_add(struct sweep *w, const double *a, const double *b, double margin)
{
    w->items[w->n++] = (struct item){
        .x0 = fmin(a[0], b[0]) - margin, .x1 = fmax(a[0], b[0]) + margin, .a = {a[0], a[1]}, .b = {b[0], b[1]}};
}

static int by_x0(const void *a, const void *b)
{
    double x = ((const struct item *)a)->x0, y = ((const struct item *)b)->x0;
    return (x > y) - (x < y);
}

static int by_y0(const void *a, const void *b)
{
    double x = ((const struct span *)a)->y0, y = ((const struct span *)b)->y0;
    return (x > y) - (x < y);
}

/* Sorts the items and tells the columns of the image that they may reach. */
static void sweep_start(struct sweep *w, int width, int *first, int *last)
{
    double x1 = -1;
    qsort(w->items, (size_t)w->n, sizeof *w->items, by_x0);
    for (int i = 0; i < w->n; i++)
        x1 = fmax(x1, w->items[i].x1);
    double x0 = w->n ? w->items[0].x0 : 0;
    *first = x0 < 1 ? 0 : x0 > width ? width : (int)x0 - 1;
    *last = x1 < 0 ? -1 : x1 >= width ? width - 1 : (int)x1;
}

/* Brings `active` up to the column at x, which only grows from call to call. */
static enum status sweep_to(struct sweep *w, double x)
{
    int kept = 0;
    for (int i = 0; i < w->n_active; i++)
        if (w->items[w->active[i]].x1 >= x)
            w->active[kept++] = w->active[i];
    for (; w->next < w->n && w->items[w->next].x0 <= x; w->next++)
        if (w->items[w->next].x1 >= x)
            w->active[kept++] = w->next;
    w->n_active = kept;
    w->n_spans = 0;
    w->crossings += kept;
    return w->crossings > MAX_CROSSINGS ? ST_LIMIT : ST_OK;
}

/* Where the edge passes x, in y. */
static double edge_at(const double *a, const double *b, double x)
{
    return a[1] + (x - a[0]) * (b[1] - a[1]) / (b[0] - a[0]);
}

/* Adds rows y0..y1, cut to the image. */
static enum status add_rows(struct run_list *out, int x, double y0, double y1, int height)
{
    y0 = fmax(y0, 0);
    y1 = fmin(y1, height - 1);
    return y0 <= y1 ? run_list_add(out, x, (int)y0, (int)y1) : ST_OK;
}

static enum status polygon_column(struct sweep *w, int x, int height, struct run_list *out)
{
    double centre = x + 0.5;
    enum status s = sweep_to(w, centre);
    for (int i = 0; s == ST_OK && i < w->n_active; i++) {
        const struct item *e = &w->items[w->active[i]];
        /* Half open, so that a column through a vertex counts one of its two edges. */
        if (e->x0 <= centre && centre < e->x1)
            w->spans[w->n_spans++].y0 = edge_at(e->a, e->b, centre);
    }
    qsort(w->spans, (size_t)w->n_spans, sizeof *w->spans, by_y0);
    for (int i = 0; s == ST_OK && i + 1 < w->n_spans; i += 2)
        s = add_rows(out, x, ceil(w->spans[i].y0 - 0.5), ceil(w->spans[i + 1].y0 - 0.5) - 1, height);
    return s;
}

static void widen(struct span *s, double y0, double y1)
{
    s->y0 = fmin(s->y0, y0);
    s->y1 = fmax(s->y1, y1);
}

/* The part of column x within `radius` of the line a-b: convex, hence one span. Empty: y0 > y1. */
static struct span stroke_at(const double *a, const double *b, double radius, double x)
{
    struct span s = {INFINITY, -INFINITY};
    const double *ends[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        double d = x - ends[i][0], rest = radius * radius - d * d;
        if (rest >= 0)
            widen(&s, ends[i][1] - sqrt(rest), ends[i][1] + sqrt(rest));
    }
    double dx = b[0] - a[0], dy = b[1] - a[1], length = sqrt(dx * dx + dy * dy);
    if (length == 0)
        return s;
    double nx = -dy / length * radius, ny = dx / length * radius;
    const double corners[5][2] = {{a[0] + nx, a[1] + ny},
                                  {b[0] + nx, b[1] + ny},
                                  {b[0] - nx, b[1] - ny},
                                  {a[0] - nx, a[1] - ny},
                                  {a[0] + nx, a[1] + ny}};
    for (int i = 0; i < 4; i++) {
        const double *p = corners[i], *q = corners[i + 1];
        if (p[0] != q[0] && fmin(p[0], q[0]) <= x && x <= fmax(p[0], q[0])) {
            double y = edge_at(p, q, x);
            widen(&s, y, y);
        }
    }
    return s;
}

static enum status scribble_column(struct sweep *w, int x, double radius, int height, struct run_list *out)
{
    enum status s = sweep_to(w, x);
    for (int i = 0; s == ST_OK && i < w->n_active; i++) {
        const struct item *e = &w->items[w->active[i]];
        struct span span = stroke_at(e->a, e->b, radius, x);
        if (span.y0 <= span.y1)
            w->spans[w->n_spans++] = span;
    }
    qsort(w->spans, (size_t)w->n_spans, sizeof *w->spans, by_y0);
    for (int i = 0; s == ST_OK && i < w->n_spans; i++)
        s = add_rows(out, x, ceil(w->spans[i].y0), floor(w->spans[i].y1), height);
    return s;
}

/* The points in pixels; `shift` is added to normalised ones. Malloc'ed. */
static enum status points_in_pixels(const struct region_spec *s, int width, int height, double shift, double **out,
                                    struct diag *why)
{
    const char *word = s->kind == REGION_POLYGON ? "polygon" : "scribble";
    if (!s->xy || s->n_points < 1)
        return diag_set(why, ST_INVALID, "region: the %s has no points", word);
    if (s->n_points > REGION_MAX_VERTICES)
        return diag_set(why, ST_LIMIT, "region: %d points in a %s, the limit is %d", s->n_points, word,
                        REGION_MAX_VERTICES);
    double *xy = malloc(2 * (size_t)s->n_points * sizeof *xy);
    if (!xy)
        return ST_NOMEM;
    for (int i = 0; i < 2 * s->n_points; i++) {
        xy[i] = s->normalised ? s->xy[i] * (i % 2 ? height : width) + shift : s->xy[i];
        if (!(fabs(xy[i]) <= REGION_MAX_COORDINATE)) {
            free(xy);
            return diag_set(why, ST_INVALID,
                            "region: coordinate %d of the %s is %g, expected at most %g to either side", i + 1, word,
                            s->xy[i], REGION_MAX_COORDINATE);
        }
    }
    *out = xy;
    return ST_OK;
}

static enum status check_rings(const struct region_spec *s, struct diag *why)
{
    int begin = 0;
    for (int r = 0; r < (s->ring_ends ? s->n_rings : 1); r++) {
        int end = s->ring_ends ? s->ring_ends[r] : s->n_points;
        if (end > s->n_points || end < begin)
            return diag_set(why, ST_INVALID, "region: ring %d of the polygon ends at %d of %d points", r + 1, end,
                            s->n_points);
        if (end - begin < 3)
            return diag_set(why, ST_INVALID, "region: ring %d of the polygon has %d points, at least 3 are needed",
                            r + 1, end - begin);
        begin = end;
    }
    if (begin != s->n_points)
        return diag_set(why, ST_INVALID, "region: the rings of the polygon hold %d of %d points", begin, s->n_points);
    return ST_OK;
}

static void add_edges(struct sweep *w, const struct region_spec *s, const double *xy)
{
    int begin = 0;
    for (int r = 0; r < (s->ring_ends ? s->n_rings : 1); r++) {
        int end = s->ring_ends ? s->ring_ends[r] : s->n_points;
        for (int i = begin; i < end; i++)
            sweep_add(w, xy + 2 * i, xy + 2 * (i + 1 < end ? i + 1 : begin), 0);
        begin = end;
    }
}

static enum status too_intricate(enum status s, struct diag *why)
{
    return s == ST_LIMIT ? diag_set(why, s, "region: an outline that crosses too many columns") : s;
}

enum status region_fill_polygon(const struct region_spec *s, int width, int height, struct run_list *out,
                                struct diag *why)
{
    double *xy = NULL;
    struct sweep w = {0};
    enum status status = points_in_pixels(s, width, height, 0, &xy, why);
    if (status == ST_OK)
        status = check_rings(s, why);
    if (status == ST_OK)
        status = sweep_init(&w, s->n_points);
    if (status == ST_OK) {
        int first, last;
        add_edges(&w, s, xy);
        sweep_start(&w, width, &first, &last);
        for (int x = first; status == ST_OK && x <= last; x++)
            status = polygon_column(&w, x, height, out);
        status = too_intricate(status, why);
    }
    sweep_fini(&w);
    free(xy);
    return status;
}

/* Half a stroke; at least 0.75, so that a line of any slope leaves no gap between pixels. */
static enum status stroke_radius(const struct region_spec *s, int width, int height, double *out, struct diag *why)
{
    double stroke = s->stroke_width;
    if (stroke == 0)
        stroke = fmax(3, 0.01 * (width > height ? width : height));
    if (!(stroke >= 1 && stroke <= REGION_MAX_COORDINATE))
        return diag_set(why, ST_INVALID, "region: a stroke of %g pixels, expected 1 to %g", s->stroke_width,
                        REGION_MAX_COORDINATE);
    *out = fmax(stroke / 2, 0.75);
    return ST_OK;
}

enum status region_fill_scribble(const struct region_spec *s, int width, int height, struct run_list *out,
                                 struct diag *why)
{
    double *xy = NULL, radius = 0;
    struct sweep w = {0};
    enum status status = points_in_pixels(s, width, height, -0.5, &xy, why);
    if (status == ST_OK)
        status = stroke_radius(s, width, height, &radius, why);
    if (status == ST_OK)
        status = sweep_init(&w, s->n_points);
    if (status == ST_OK) {
        int first, last;
        for (int i = 0; i < s->n_points - (s->n_points > 1); i++)
            sweep_add(&w, xy + 2 * i, xy + 2 * (s->n_points > 1 ? i + 1 : 0), radius);
        sweep_start(&w, width, &first, &last);
        for (int x = first; status == ST_OK && x <= last; x++)
            status = scribble_column(&w, x, radius, height, out);
        status = too_intricate(status, why);
    }
    sweep_fini(&w);
    free(xy);
    return status;
}
