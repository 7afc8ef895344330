#include "model/region.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tests/unit/model/scratch.h"

enum { POINTS = 512 };
static const int stage_in[2] = {512, 128};

static struct region make(const struct region_spec *s, int width, int height)
{
    struct region r;
    struct diag why = {0};
    cr_assert_eq(region_make(s, width, height, &r, &why), ST_OK, "%s", why.text);
    return r;
}

static struct region box(double x1, double y1, double x2, double y2, int width, int height)
{
    return make(&(struct region_spec){.kind = REGION_BOX, .box = {x1, y1, x2, y2}}, width, height);
}

static struct region point(double x, double y, int width, int height)
{
    return make(&(struct region_spec){.kind = REGION_POINT, .box = {x, y}}, width, height);
}

static void check_bounds(const struct region *r, int x1, int y1, int x2, int y2, int64_t n)
{
    const int *b = r->bounds;
    cr_assert(b[0] == x1 && b[1] == y1 && b[2] == x2 && b[3] == y2, "%d %d %d %d", b[0], b[1], b[2], b[3]);
    cr_assert_eq(r->n_pixels, n, "%lld pixels", (long long)r->n_pixels);
}

static void check_refused(const struct region_spec *s, int width, int height, enum status status, const char *text)
{
    struct region r = {.width = -1};
    struct diag why = {0};
    cr_assert_eq(region_make(s, width, height, &r, &why), status, "%s", why.text);
    cr_assert_not_null(strstr(why.text, text), "%s", why.text);
    cr_assert_eq(r.width, -1, "out is untouched");
}

Test(region, a_point_is_an_11_by_11_window_cut_at_the_borders)
{
    struct region r = point(100, 50, 640, 480);
    check_bounds(&r, 95, 45, 105, 55, 121);
    r = point(0, 0, 640, 480);
    check_bounds(&r, 0, 0, 5, 5, 36);
    r = point(639.9, 479, 640, 480);
    check_bounds(&r, 634, 474, 639, 479, 36);
    r = point(0, 0, 1, 1);
    check_bounds(&r, 0, 0, 0, 0, 1);
}

Test(region, a_box_is_inclusive_ordered_and_clamped)
{
    struct region r = box(60, 80, 199, 219, 640, 480);
    check_bounds(&r, 60, 80, 199, 219, 140 * 140);
    r = box(199, 219, 60, 80, 640, 480);
    check_bounds(&r, 60, 80, 199, 219, 140 * 140);
    r = box(-50, 470, 3, 1e300, 640, 480);
    check_bounds(&r, 0, 470, 3, 479, 40);
    r = box(5, 5, 5, 5, 640, 480);
    check_bounds(&r, 5, 5, 5, 5, 1);
    r = make(&(struct region_spec){.kind = REGION_BOX, .normalised = true, .box = {0, 0.5, 1, 1}}, 640, 480);
    check_bounds(&r, 0, 240, 639, 479, 640 * 240);
}

Test(region, what_has_no_pixel_inside_is_refused_with_the_size_of_the_image)
{
    const char *text = "no pixel of the 640 x 480 image is inside";
    check_refused(&(struct region_spec){.kind = REGION_POINT, .box = {640, 0}}, 640, 480, ST_INVALID, text);
    check_refused(&(struct region_spec){.kind = REGION_POINT, .box = {-0.5, 0}}, 640, 480, ST_INVALID, text);
    check_refused(&(struct region_spec){.kind = REGION_BOX, .box = {700, 0, 900, 50}}, 640, 480, ST_INVALID, text);
    check_refused(&(struct region_spec){.kind = REGION_BOX, .box = {0, -9, 9, -1}}, 640, 480, ST_INVALID, text);
    const double back_and_forth[] = {10, 10, 200, 200, 10, 10, 200, 200};
    check_refused(&(struct region_spec){.kind = REGION_POLYGON, .xy = back_and_forth, .n_points = 4}, 640, 480,
                  ST_INVALID, text);
    const double far_away[] = {1000, 1000, 2000, 1000, 2000, 2000};
    check_refused(&(struct region_spec){.kind = REGION_POLYGON, .xy = far_away, .n_points = 3}, 640, 480, ST_INVALID,
                  text);
    check_refused(&(struct region_spec){.kind = REGION_SCRIBBLE, .xy = far_away, .n_points = 3}, 640, 480, ST_INVALID,
                  text);
    const uint32_t nothing[] = {640 * 480};
    check_refused(&(struct region_spec){.kind = REGION_MASK, .rle = nothing, .n_rle = 1, .rle_size = {480, 640}}, 640,
                  480, ST_INVALID, text);
}

Test(region, numbers_that_are_none_are_refused)
{
    check_refused(&(struct region_spec){.kind = REGION_POINT, .box = {NAN, 0}}, 9, 9, ST_INVALID, "coordinate 1");
    check_refused(&(struct region_spec){.kind = REGION_BOX, .box = {0, 0, INFINITY, 5}}, 9, 9, ST_INVALID,
                  "coordinate 3");
    const double bad[][6] = {{0, 0, 5, 0, 5, NAN}, {0, 0, 5, 0, 5, -INFINITY}, {0, 0, 5, 0, 5, 1e300}};
    for (int i = 0; i < 3; i++) {
        check_refused(&(struct region_spec){.kind = REGION_POLYGON, .xy = bad[i], .n_points = 3}, 9, 9, ST_INVALID,
                      "coordinate 6");
        check_refused(&(struct region_spec){.kind = REGION_SCRIBBLE, .xy = bad[i], .n_points = 3}, 9, 9, ST_INVALID,
                      "coordinate 6");
    }
    check_refused(&(struct region_spec){.kind = REGION_SCRIBBLE, .xy = bad[0], .n_points = 2, .stroke_width = NAN}, 9,
                  9, ST_INVALID, "stroke");
    check_refused(&(struct region_spec){.kind = REGION_SCRIBBLE, .xy = bad[0], .n_points = 2, .stroke_width = 0.5}, 9,
                  9, ST_INVALID, "stroke");
    check_refused(&(struct region_spec){.kind = REGION_SCRIBBLE, .xy = bad[0], .n_points = 2, .stroke_width = 1e8}, 9,
                  9, ST_INVALID, "a stroke of 1e+08 pixels, expected 1 to 1e+07");
    check_refused(&(struct region_spec){.kind = (enum region_kind)77}, 9, 9, ST_INVALID, "kind");
    check_refused(&(struct region_spec){.kind = REGION_POINT}, 50000, 50000, ST_LIMIT, "2^31");
    check_refused(&(struct region_spec){.kind = REGION_POINT}, 0, 5, ST_INVALID, "0 x 5");
}

Test(region, polygons_over_the_limits_or_with_broken_rings_are_refused)
{
    double *xy = calloc(2 * (REGION_MAX_VERTICES + 1), sizeof *xy);
    cr_assert_not_null(xy);
    struct region_spec s = {.kind = REGION_POLYGON, .xy = xy, .n_points = REGION_MAX_VERTICES + 1};
    check_refused(&s, 9, 9, ST_LIMIT, "4096");
    s.n_points = 0;
    check_refused(&s, 9, 9, ST_INVALID, "no points");
    s.n_points = 2;
    check_refused(&s, 9, 9, ST_INVALID, "at least 3");
    const int ends[][2] = {{3, 5}, {4, 9}, {-1, 6}, {3, 2}};
    s.n_points = 8;
    s.n_rings = 2;
    for (int i = 0; i < 4; i++) {
        s.ring_ends = ends[i];
        check_refused(&s, 9, 9, ST_INVALID, "ring");
    }
    /* A comb whose teeth all cross all columns: work is bounded, not only memory. */
    for (int i = 0; i < REGION_MAX_VERTICES; i++) {
        xy[2 * i] = i % 2 ? 40000 : 0;
        xy[2 * i + 1] = i * 1e-5;
    }
    s = (struct region_spec){.kind = REGION_POLYGON, .xy = xy, .n_points = REGION_MAX_VERTICES};
    check_refused(&s, 40000, 50, ST_LIMIT, "outline");
    free(xy);
}

/* Every pixel in order, against a picture of rows ('#': inside). */
static void check_picture(const struct region *r, const char *const *rows)
{
    int64_t at = 0;
    for (int x = 0; x < r->width; x++)
        for (int y = 0; y < r->height; y++)
            if (rows[y][x] == '#') {
                int px = -1, py = -1;
                cr_assert_lt(at, r->n_pixels);
                region_pixel(r, at++, &px, &py);
                cr_assert(px == x && py == y, "pixel %lld is %d, %d, not %d, %d", (long long)at - 1, px, py, x, y);
            }
    cr_assert_eq(at, r->n_pixels);
}

Test(region, a_polygon_holds_the_pixels_whose_centre_is_inside_by_the_even_odd_rule)
{
    /* A square with a square hole, and a bow tie. */
    const double ring[] = {1, 1, 7, 1, 7, 6, 1, 6, 3, 2, 3, 4, 5, 4, 5, 2};
    const int ends[] = {4, 8};
    struct region r =
        make(&(struct region_spec){.kind = REGION_POLYGON, .xy = ring, .n_points = 8, .ring_ends = ends, .n_rings = 2},
             8, 7);
    check_picture(
        &r, (const char *const[]){"........", ".######.", ".##..##.", ".##..##.", ".######.", ".######.", "........"});
    check_bounds(&r, 1, 1, 6, 5, 26);
    region_fini(&r);
    const double bow[] = {0, 0.25, 6, 6.25, 6, 0.25, 0, 6.25};
    r = make(&(struct region_spec){.kind = REGION_POLYGON, .xy = bow, .n_points = 4}, 6, 6);
    check_picture(&r, (const char *const[]){"......", "#....#", "##..##", "######", "##..##", "#....#"});
    region_fini(&r);
    /* The same square, normalised and hanging over the border. */
    const double over[] = {0.5, -3, 9, -3, 9, 0.5, 0.5, 0.5};
    r = make(&(struct region_spec){.kind = REGION_POLYGON, .normalised = true, .xy = over, .n_points = 4}, 4, 4);
    check_picture(&r, (const char *const[]){"..##", "..##", "....", "...."});
    region_fini(&r);
}

/* By the definition, pixel by pixel. */
static bool on_stroke(const double *xy, int n, double radius, double x, double y)
{
    for (int i = 0; i + 1 < n; i++) {
        const double *a = xy + 2 * i;
        double dx = a[2] - a[0], dy = a[3] - a[1], length2 = dx * dx + dy * dy;
        double t = length2 > 0 ? ((x - a[0]) * dx + (y - a[1]) * dy) / length2 : 0;
        t = fmin(fmax(t, 0), 1);
        if (hypot(x - a[0] - t * dx, y - a[1] - t * dy) <= radius)
            return true;
    }
    return false;
}

Test(region, a_scribble_holds_the_pixels_within_half_a_stroke)
{
    const double xy[] = {3.1, 4.2, 30.3, 9.7, 12.4, 33.8, 12.4, 33.8, -6.3, 18.1};
    for (double stroke = 1.5; stroke < 12; stroke += 2.3) {
        struct region r = make(
            &(struct region_spec){.kind = REGION_SCRIBBLE, .xy = xy, .n_points = 5, .stroke_width = stroke}, 37, 31);
        int64_t at = 0;
        for (int x = 0; x < 37; x++)
            for (int y = 0; y < 31; y++)
                if (on_stroke(xy, 5, stroke / 2, x, y)) {
                    int px, py;
                    cr_assert_lt(at, r.n_pixels);
                    region_pixel(&r, at++, &px, &py);
                    cr_assert(px == x && py == y, "stroke %g: %d, %d for %d, %d", stroke, px, py, x, y);
                }
        cr_assert_eq(at, r.n_pixels);
        region_fini(&r);
    }
}

Test(region, a_scribble_of_one_point_or_the_thinnest_stroke_is_never_empty_inside_the_image)
{
    const double xy[] = {10.5, 10.5, 20.5, 10.5};
    for (int n = 1; n <= 2; n++) {
        struct region r =
            make(&(struct region_spec){.kind = REGION_SCRIBBLE, .xy = xy, .n_points = n, .stroke_width = 1}, 64, 64);
        cr_assert_geq(r.n_pixels, n == 1 ? 1 : 10);
        region_fini(&r);
    }
    struct region r = make(&(struct region_spec){.kind = REGION_SCRIBBLE, .xy = xy, .n_points = 1}, 1000, 64);
    check_bounds(&r, 6, 6, 15, 15, 80);
    region_fini(&r);
}

Test(region, a_coco_mask_is_read_down_the_columns)
{
    const uint32_t runs[] = {3, 2, 6, 4, 5};
    struct region r =
        make(&(struct region_spec){.kind = REGION_MASK, .rle = runs, .n_rle = 5, .rle_size = {5, 4}}, 4, 5);
    check_picture(&r, (const char *const[]){"....", "..#.", "..#.", "#.#.", "#.#."});
    region_fini(&r);
}

Test(region, masks_of_another_size_or_sum_are_refused)
{
    const uint32_t runs[] = {3, 2, 6, 4, 5}, more[] = {3, 2, 6, 4, 4294967295u}, less[] = {3, 2};
    struct region_spec s = {.kind = REGION_MASK, .rle = runs, .n_rle = 5, .rle_size = {4, 5}};
    check_refused(&s, 4, 5, ST_INVALID, "[H, W]");
    s.rle_size[0] = 5;
    s.rle_size[1] = 4;
    s.rle = more;
    check_refused(&s, 4, 5, ST_INVALID, "exceed");
    s.rle = less;
    s.n_rle = 2;
    check_refused(&s, 4, 5, ST_INVALID, "5 of 20");
}

Test(region, a_mask_with_too_many_runs_is_refused)
{
    size_t n = 2 * (REGION_MAX_RUNS + 100);
    uint32_t *runs = malloc(n * sizeof *runs);
    cr_assert_not_null(runs);
    for (size_t i = 0; i < n; i++)
        runs[i] = 1;
    struct region_spec s = {.kind = REGION_MASK, .rle = runs, .n_rle = n, .rle_size = {(int)(n / 4), 4}};
    check_refused(&s, 4, (int)(n / 4), ST_LIMIT, "runs");
    free(runs);
}

Test(region, coordinates_are_thousandths_cut_down)
{
    char text[64];
    struct region r = box(60, 80, 199, 219, 640, 480);
    cr_assert_eq(region_text(&r, text), 19);
    cr_assert_str_eq(text, "[93, 166, 310, 456]");
    r = point(499, 299, 500, 300);
    region_text(&r, text);
    cr_assert_str_eq(text, "[998, 996]");
    r = box(0, 0, 639, 479, 640, 480);
    region_text(&r, text);
    cr_assert_str_eq(text, "[0, 0, 998, 997]");
    r = box(103, 0, 103, 0, 206, 1); /* 1000 * 103 / 206 is 500; the published order of operations gives 499 */
    region_text(&r, text);
    cr_assert_str_eq(text, "[499, 0, 499, 0]");
}

/* Specification 4.8: 32 of a region's pixels, stages of 32 and 16. */
static void check_draws(const struct region *r, uint64_t seed, const int64_t *first, int n_first, const int *starts)
{
    static const int tiny_stages[2] = {32, 16};
    int64_t chosen[32];
    int got[2];
    cr_assert_eq(region_draw(r, seed, 32, 2, tiny_stages, chosen, got), ST_OK);
    for (int i = 0; i < n_first; i++)
        cr_assert_eq(chosen[i], first[i], "draw %d is %lld", i, (long long)chosen[i]);
    cr_assert(got[0] == starts[0] && got[1] == starts[1], "starts %d %d", got[0], got[1]);
}

Test(region, draws_equal_the_published_vectors)
{
    struct region a = box(25, 3, 34, 9, 40, 30), b = point(5, 20, 40, 30), c = box(10, 4, 11, 6, 40, 30);
    check_draws(&a, 0, (const int64_t[]){4, 28, 31, 29, 23, 9}, 6, (const int[]){4, 5});
    check_draws(&c, 0, (const int64_t[]){0, 1, 2, 3, 4, 5}, 6, (const int[]){5, 9});
    check_draws(&b, 1, (const int64_t[]){0, 60, 34, 107, 101, 6}, 6, (const int[]){24, 7});
}

Test(region, the_seed_counts_modulo_2_to_the_32)
{
    struct region a = box(25, 3, 34, 9, 40, 30);
    int64_t x[POINTS], y[POINTS];
    int s[2], t[2];
    cr_assert_eq(region_draw(&a, 5, POINTS, 2, stage_in, x, s), ST_OK);
    cr_assert_eq(region_draw(&a, (UINT64_C(7) << 32) + 5, POINTS, 2, stage_in, y, t), ST_OK);
    cr_assert_arr_eq(x, y, sizeof x);
    cr_assert_arr_eq(s, t, sizeof s);
}

Test(region, the_whole_of_a_12_megapixel_image_is_drawn_from)
{
    struct region r = box(0, 0, 3999, 2999, 4000, 3000);
    int64_t chosen[POINTS];
    int starts[2];
    cr_assert_eq(region_draw(&r, 0, POINTS, 2, stage_in, chosen, starts), ST_OK);
    cr_assert_eq(chosen[0], 5136044);
    cr_assert_eq(chosen[15], 3580691);
    cr_assert(starts[0] == 66 && starts[1] == 25);
}

Test(region, a_draw_from_nothing_is_refused)
{
    struct region r = {.width = 1, .height = 1};
    int64_t chosen[1];
    int starts[2];
    cr_assert_eq(region_draw(&r, 0, 1, 2, stage_in, chosen, starts), ST_INVALID);
}

Test(region, an_rle_string_gives_its_runs)
{
    /* 28880 140 340 140 340, as pycocotools writes it. */
    static const char counts[] = "`Vl0\\4d:00";
    static const uint32_t want[] = {28880, 140, 340, 140, 340};
    uint32_t *runs = NULL;
    size_t n = 0;
    cr_assert_eq(region_rle_decode(counts, sizeof counts - 1, &runs, &n, NULL), ST_OK);
    cr_assert_eq(n, 5);
    cr_assert_arr_eq(runs, want, sizeof want);
    free(runs);
}

Test(region, rle_strings_that_break_off_or_run_over_are_refused)
{
    uint32_t *runs;
    size_t n;
    struct diag why;
    const char *const bad[] = {"`", "0\x7f", "ooooooooo", "P0N", "0 0", "00000\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        why.text[0] = '\0';
        cr_assert_eq(region_rle_decode(bad[i], strlen(bad[i]), &runs, &n, &why), ST_FORMAT, "%zu", i);
        cr_assert_not_null(strstr(why.text, "at byte"), "%s", why.text);
    }
    cr_assert_eq(region_rle_decode("", 0, &runs, &n, NULL), ST_OK);
    cr_assert_eq(n, 0);
    free(runs);
}

/* Cases of the published code: masks as COCO counts, the pixels chosen, the starts. */
static struct json *load_cases(const char *name)
{
    char path[SCRATCH_PATH];
    struct json *cases = NULL;
    struct diag why = {0};
    fixture_path(path, name);
    cr_assert_eq(jsn_load(path, 64 << 20, &cases, &why), ST_OK, "%s", why.text);
    return cases;
}

/* Sizes of the sampler that made the cases: of the checkpoint's config, else the published ones. */
struct sizes {
    int points, stage_in[2];
};
static struct sizes load_sizes(const char *config)
{
    struct json *root = load_cases(config);
    const struct json *s = jsn_get(root, "ferret_sampler");
    struct sizes z = {.points = (int)jsn_int(jsn_get(s, "points"), POINTS)};
    z.stage_in[0] = z.points;
    z.stage_in[1] = (int)jsn_int(jsn_at(jsn_get(s, "stages"), 0), stage_in[1]);
    jsn_free(root);
    return z;
}

static void check_chosen(const struct region *r, uint64_t seed, const struct sizes *z, const struct json *want)
{
    const struct json *index = jsn_get(want, "chosen_first16"), *xy = jsn_get(want, "chosen_xy_first16");
    const struct json *start = jsn_get(want, "fps_start");
    int64_t chosen[POINTS];
    int starts[2];
    cr_assert_eq(jsn_int(jsn_get(want, "n"), -1), r->n_pixels);
    cr_assert_eq(region_draw(r, seed, z->points, 2, z->stage_in, chosen, starts), ST_OK);
    for (size_t i = 0; i < jsn_size(index); i++) {
        int x, y;
        region_pixel(r, chosen[i], &x, &y);
        cr_assert_eq(chosen[i], jsn_int(jsn_at(index, i), -1));
        cr_assert(x == jsn_int(jsn_at(jsn_at(xy, i), 0), -1) && y == jsn_int(jsn_at(jsn_at(xy, i), 1), -1));
    }
    cr_assert(starts[0] == jsn_int(jsn_at(start, 0), -1) && starts[1] == jsn_int(jsn_at(start, 1), -1));
}

/* The region as COCO counts, through the compressed string where there is one. */
static struct region mask_of(const struct json *rle, int width, int height)
{
    const struct json *counts = jsn_get(rle, "counts"), *text = jsn_get(rle, "counts_string");
    uint32_t *runs = calloc(jsn_size(counts), sizeof *runs);
    size_t n = jsn_size(counts);
    cr_assert_not_null(runs);
    for (size_t i = 0; i < n; i++)
        runs[i] = (uint32_t)jsn_int(jsn_at(counts, i), 0);
    if (text) {
        uint32_t *decoded = NULL;
        size_t n_decoded = 0;
        struct diag why = {0};
        cr_assert_eq(region_rle_decode(jsn_string(text, ""), jsn_string_len(text), &decoded, &n_decoded, &why), ST_OK,
                     "%s", why.text);
        cr_assert_eq(n_decoded, n);
        cr_assert_arr_eq(decoded, runs, n * sizeof *runs);
        free(decoded);
    }
    struct region_spec spec = {.kind = REGION_MASK, .rle = runs, .n_rle = n, .rle_size = {height, width}};
    struct region r = make(&spec, width, height);
    free(runs);
    return r;
}

/* Boxes and points have the same mask whichever way they are made. */
static void check_direct(const struct json *want, const struct region *mask)
{
    const struct json *at = jsn_get(want, "xy") ? jsn_get(want, "xy") : jsn_get(want, "box");
    struct region_spec s = {.kind = jsn_get(want, "xy") ? REGION_POINT : REGION_BOX};
    for (size_t i = 0; i < jsn_size(at); i++)
        s.box[i] = jsn_number(jsn_at(at, i), NAN);
    struct region r = make(&s, mask->width, mask->height);
    cr_assert_eq(r.n_pixels, mask->n_pixels);
    cr_assert_arr_eq(r.bounds, mask->bounds, sizeof r.bounds);
    char text[64];
    region_text(&r, text);
    bool beyond = s.box[2] >= mask->width; /* the published text then says 1000, which is no pixel */
    if (!beyond)
        cr_assert_str_eq(text, jsn_string(jsn_get(want, "text"), ""));
}

static void check_cases(const char *name, const char *config)
{
    struct sizes z = load_sizes(config);
    struct json *root = load_cases(name);
    const struct json *cases = jsn_get(root, "cases"), *only = jsn_get(root, "sampler_only");
    for (size_t i = 0; i < jsn_size(cases); i++) {
        const struct json *c = jsn_at(cases, i), *regions = jsn_get(c, "regions");
        int width = (int)jsn_int(jsn_get(c, "width"), 0), height = (int)jsn_int(jsn_get(c, "height"), 0);
        for (size_t k = 0; k < jsn_size(regions); k++) {
            const struct json *want = jsn_at(regions, k);
            const char *kind = jsn_string(jsn_get(want, "kind"), "");
            struct region r = mask_of(jsn_get(want, "rle"), width, height);
            check_chosen(&r, (uint64_t)jsn_int(jsn_get(c, "seed"), 0), &z, jsn_at(jsn_get(c, "sampler"), k));
            if (strcmp(kind, "point") == 0 || strcmp(kind, "box") == 0)
                check_direct(want, &r);
            region_fini(&r);
        }
    }
    for (size_t i = 0; i < jsn_size(only); i++) {
        const struct json *c = jsn_at(only, i), *boxes = jsn_get(c, "boxes_inclusive"), *b = jsn_at(boxes, 0);
        int width = (int)jsn_int(jsn_get(c, "width"), 0), height = (int)jsn_int(jsn_get(c, "height"), 0);
        if (jsn_size(boxes) != 1)
            continue;
        struct region r = box((double)jsn_int(jsn_at(b, 0), 0), (double)jsn_int(jsn_at(b, 1), 0),
                              (double)jsn_int(jsn_at(b, 2), 0), (double)jsn_int(jsn_at(b, 3), 0), width, height);
        check_chosen(&r, (uint64_t)jsn_int(jsn_get(c, "seed"), 0), &z, c);
    }
    jsn_free(root);
}

Test(region, masks_and_draws_equal_all_cases_of_the_first_fixture)
{
    check_cases("tiny-ferret-a-cases/cases.json", "tiny-ferret-a/config.json");
}

Test(region, masks_and_draws_equal_all_cases_of_the_second_fixture)
{
    check_cases("tiny-ferret-b-cases/cases.json", "tiny-ferret-b-delta/config.json");
}
