/* Claims of media/image.h, in this process. */
#include "media/image.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "tests/unit/media/files.h"

static void start(void)
{
    struct diag why = {0};
    cr_assert_eq(image_library_start("unit-media", &why), ST_OK, "%s", why.text);
}

TestSuite(image, .init = start, .timeout = 120);

static struct image decode(const struct file *f, const struct image_policy *policy)
{
    struct image im = {0};
    enum image_error kind = IMAGE_ERROR_COUNT_;
    struct diag why = {0};
    cr_assert_eq(image_decode(f->bytes, f->len, policy, &im, &kind, &why), ST_OK, "%s", why.text);
    cr_assert_eq(kind, IMAGE_OK);
    return im;
}

static struct image decode_as(struct file f, enum image_policy_kind kind)
{
    struct image_policy policy = image_policy_default(kind);
    struct image im = decode(&f, &policy);
    file_free(&f);
    return im;
}

static void refused_by(const struct file *f, const struct image_policy *policy, enum image_error want)
{
    struct image im = {.width = -1};
    enum image_error kind = IMAGE_ERROR_COUNT_;
    struct diag why = {0};
    enum status s = image_decode(f->bytes, f->len, policy, &im, &kind, &why);
    cr_expect_neq(s, ST_OK);
    cr_expect_str_eq(image_error_word(kind), image_error_word(want), "%s, not %s: %s", image_error_word(kind),
                     image_error_word(want), why.text);
    cr_expect(strncmp(why.text, "image: ", 7) == 0 || strstr(why.text, ": image: "), "%s", why.text);
    cr_expect_eq(im.width, -1, "out is untouched");
}

static void refused(struct file f, enum image_error want)
{
    struct image_policy policy = image_policy_default(IMAGE_POLICY_DEFAULT);
    refused_by(&f, &policy, want);
    file_free(&f);
}

static void check_pixels(struct image *im, const uint8_t *want, size_t n)
{
    cr_assert_eq((size_t)im->width * (size_t)im->height * 3, n);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(im->rgb[i], want[i], "byte %zu is %d, not %d", i, im->rgb[i], want[i]);
    image_fini(im);
}

Test(image, words_of_errors_and_notes_stay)
{
    static const char *const words[] = {"ok",        "missing",   "empty",   "not_an_image",  "unsupported_format",
                                        "too_large", "truncated", "corrupt", "decode_failed", "timeout",
                                        "crashed"};
    for (int i = 0; i < IMAGE_ERROR_COUNT_; i++)
        cr_assert_str_eq(image_error_word((enum image_error)i), words[i]);
    for (int i = 0; i < IMAGE_N_NOTES; i++)
        cr_assert_str_neq(image_note_word((enum image_note)(1 << i)), "unknown");
    cr_assert_str_eq(image_policy_word(IMAGE_POLICY_ML_FERRET), "ml-ferret");
}

Test(image, what_is_no_image_or_not_on_the_list_is_named)
{
    refused(file_text(""), IMAGE_EMPTY);
    refused(file_text("just words"), IMAGE_NOT_AN_IMAGE);
    refused(file_text("\xEF\xBB\xBF  <!DOCTYPE HTML><html>403</html>"), IMAGE_NOT_AN_IMAGE);
    refused(file_text("<?xml version=\"1.0\"?><note/>"), IMAGE_NOT_AN_IMAGE);
    refused(file_text("<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
            IMAGE_UNSUPPORTED_FORMAT);
    refused(file_text("%PDF-1.4"), IMAGE_UNSUPPORTED_FORMAT);
    refused(file_text("BM0000000000"), IMAGE_CORRUPT);
    refused(file_text("%!PS-Adobe-3.0 EPSF"), IMAGE_UNSUPPORTED_FORMAT);
    refused(file_text("P6\n1 1\n255\nabc"), IMAGE_UNSUPPORTED_FORMAT);
}

Test(image, alpha_is_composited_on_the_background_or_dropped)
{
    const uint8_t rows[] = {0, 10, 20, 30, 255, 10, 20, 30, 0, 200, 100, 0, 128};
    struct file f = file_png(3, 1, 8, 6, rows, sizeof rows, 0);
    struct image_policy policy = image_policy_default(IMAGE_POLICY_DEFAULT);
    memcpy(policy.background, ((uint8_t[]){255, 0, 100}), 3);
    struct image im = decode(&f, &policy);
    cr_assert(im.had_alpha);
    check_pixels(&im, (const uint8_t[]){10, 20, 30, 255, 0, 100, 227, 50, 50}, 9);
    im = decode_as(f, IMAGE_POLICY_ML_FERRET);
    cr_assert(im.had_alpha);
    check_pixels(&im, (const uint8_t[]){10, 20, 30, 10, 20, 30, 200, 100, 0}, 9);
}

Test(image, grey_with_alpha_goes_the_same_way)
{
    const uint8_t rows[] = {0, 40, 255, 40, 0};
    struct image im = decode_as(file_png(2, 1, 8, 4, rows, sizeof rows, 0), IMAGE_POLICY_DEFAULT);
    check_pixels(&im, (const uint8_t[]){40, 40, 40, 255, 255, 255}, 6);
    im = decode_as(file_png(2, 1, 8, 4, rows, sizeof rows, 0), IMAGE_POLICY_ML_FERRET);
    check_pixels(&im, (const uint8_t[]){40, 40, 40, 40, 40, 40}, 6);
}

Test(image, sixteen_bits_are_scaled_or_clipped_as_the_policy_says)
{
    const uint8_t grey[] = {0, 0x12, 0x34, 0x00, 0x56, 0xFF, 0xFF};
    struct image im = decode_as(file_png(3, 1, 16, 0, grey, sizeof grey, 0), IMAGE_POLICY_DEFAULT);
    cr_assert(im.notes & IMAGE_NOTE_SIXTEEN_BIT);
    check_pixels(&im, (const uint8_t[]){0x12, 0x12, 0x12, 0, 0, 0, 255, 255, 255}, 9);
    im = decode_as(file_png(3, 1, 16, 0, grey, sizeof grey, 0), IMAGE_POLICY_ML_FERRET);
    check_pixels(&im, (const uint8_t[]){255, 255, 255, 0x56, 0x56, 0x56, 255, 255, 255}, 9);
    const uint8_t rgba[] = {0, 0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC, 0x80, 0x00};
    im = decode_as(file_png(1, 1, 16, 6, rgba, sizeof rgba, 0), IMAGE_POLICY_ML_FERRET);
    check_pixels(&im, (const uint8_t[]){0x12, 0x56, 0x9A}, 3);
    im = decode_as(file_png(1, 1, 16, 6, rgba, sizeof rgba, 0), IMAGE_POLICY_DEFAULT);
    check_pixels(&im, (const uint8_t[]){136, 170, 204}, 3);
}

Test(image, one_bit_is_black_and_white)
{
    const uint8_t rows[] = {0, 0xA0};
    struct image im = decode_as(file_png(4, 1, 1, 0, rows, sizeof rows, 0), IMAGE_POLICY_DEFAULT);
    check_pixels(&im, (const uint8_t[]){255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0}, 12);
}

Test(image, frames_of_an_animated_png_are_counted)
{
    const uint8_t rows[] = {0, 1, 2, 3};
    struct image im = decode_as(file_png(1, 1, 8, 2, rows, sizeof rows, 7), IMAGE_POLICY_DEFAULT);
    cr_assert_eq(im.frames, 7);
    cr_assert(im.notes & IMAGE_NOTE_FIRST_FRAME);
    check_pixels(&im, (const uint8_t[]){1, 2, 3}, 3);
}

Test(image, the_camera_s_turn_is_applied_by_default_and_ignored_by_the_other_policy)
{
    struct image a = decode_as(file_sample("upright by EXIF.jpg"), IMAGE_POLICY_DEFAULT);
    struct image b = decode_as(file_sample("upright by EXIF.jpg"), IMAGE_POLICY_ML_FERRET);
    cr_assert(a.orientation == 6 && b.orientation == 6);
    cr_assert(a.stored_width == 400 && a.stored_height == 300 && a.width == 300 && a.height == 400);
    cr_assert(b.stored_width == 400 && b.stored_height == 300 && b.width == 400 && b.height == 300);
    cr_assert_arr_eq(a.rgb, b.rgb + 3 * 400 * 299, 3, "the lower left pixel came up");
    image_fini(&a);
    image_fini(&b);
}

Test(image, extreme_shapes_are_decoded_and_noted)
{
    const int sizes[][2] = {{1, 1}, {1, 5000}, {5000, 1}, {7, 300}};
    for (int i = 0; i < 4; i++) {
        struct image im = decode_as(file_plain_png(sizes[i][0], sizes[i][1], sizes[i][1]), IMAGE_POLICY_DEFAULT);
        cr_assert(im.width == sizes[i][0] && im.height == sizes[i][1]);
        cr_assert(im.notes & IMAGE_NOTE_DEGENERATE);
        cr_assert_eq(im.rgb[3 * (size_t)im.width * (size_t)im.height - 1], 77);
        image_fini(&im);
    }
    struct image im = decode_as(file_plain_png(8, 400, 400), IMAGE_POLICY_DEFAULT);
    cr_assert_eq(im.notes, 0);
    image_fini(&im);
}

Test(image, sizes_over_the_policy_are_refused_from_the_header_alone)
{
    int64_t from = clock_ms();
    refused(file_plain_png(30000, 30000, 1), IMAGE_TOO_LARGE);
    refused(file_plain_png(70000, 1, 1), IMAGE_TOO_LARGE);
    cr_assert_lt(clock_ms() - from, 2000);
    struct image_policy policy = image_policy_default(IMAGE_POLICY_DEFAULT);
    struct file f = file_plain_png(20, 10, 10);
    struct image im = decode(&f, &policy);
    image_fini(&im);
    policy.max_bytes = f.len - 1;
    refused_by(&f, &policy, IMAGE_TOO_LARGE);
    policy.max_bytes = f.len;
    policy.max_pixels = 199;
    refused_by(&f, &policy, IMAGE_TOO_LARGE);
    policy.max_pixels = 200;
    policy.max_side = 19;
    refused_by(&f, &policy, IMAGE_TOO_LARGE);
    policy.max_side = 20;
    im = decode(&f, &policy);
    image_fini(&im);
    file_free(&f);
}

Test(image, a_header_that_promises_more_than_the_data_hold_is_refused)
{
    refused(file_plain_png(600, 600, 20), IMAGE_CORRUPT);
}

Test(image, sides_that_no_png_has_are_named)
{
    static const struct {
        uint32_t width, height;
        enum image_error kind;
        const char *words;
    } cases[] = {
        {0, 10, IMAGE_CORRUPT, "its header says 0 x 10 pixels, expected 1 to 2147483647 a side"},
        {10, 0, IMAGE_CORRUPT, "its header says 10 x 0 pixels, expected 1 to 2147483647 a side"},
        {10, 1U << 31, IMAGE_CORRUPT, "its header says 10 x 2147483648 pixels, expected 1 to 2147483647 a side"},
        {INT32_MAX, 10, IMAGE_TOO_LARGE, "2147483647 x 10 pixels, the limits are "},
        {10, INT32_MAX, IMAGE_TOO_LARGE, "10 x 2147483647 pixels, the limits are "},
    };
    struct image_policy policy = image_policy_default(IMAGE_POLICY_DEFAULT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct file f = file_plain_png((int)cases[i].width, (int)cases[i].height, 0);
        struct image im;
        enum image_error kind = IMAGE_ERROR_COUNT_;
        struct diag why = {0};
        cr_expect_neq(image_decode(f.bytes, f.len, &policy, &im, &kind, &why), ST_OK);
        cr_expect_str_eq(image_error_word(kind), image_error_word(cases[i].kind), "%s", why.text);
        cr_expect_neq(strstr(why.text, cases[i].words), NULL, "%s", why.text);
        file_free(&f);
    }
}

Test(image, a_cut_jpeg_is_used_from_half_of_its_rows_on)
{
    struct file whole = file_sample("landscape.jpg");
    struct image full = decode_as(file_cut(&whole, whole.len), IMAGE_POLICY_DEFAULT);
    refused(file_cut(&whole, whole.len * 3 / 10), IMAGE_TRUNCATED);
    struct image im = decode_as(file_cut(&whole, whole.len * 8 / 10), IMAGE_POLICY_DEFAULT);
    cr_assert(im.rows_decoded >= 0.5 && im.rows_decoded < 1, "%g", im.rows_decoded);
    cr_assert_eq(im.notes, IMAGE_NOTE_TRUNCATED);
    size_t rows = (size_t)(im.rows_decoded * im.height + 0.5), row = 3 * (size_t)im.width;
    cr_assert_arr_eq(im.rgb, full.rgb, rows * row);
    for (size_t i = rows * row; i < (size_t)im.height * row; i++)
        cr_assert_eq(im.rgb[i], 128);
    image_fini(&im);
    struct image_policy strict = image_policy_default(IMAGE_POLICY_DEFAULT);
    strict.min_rows_fraction = 1;
    struct file cut = file_cut(&whole, whole.len * 8 / 10);
    refused_by(&cut, &strict, IMAGE_TRUNCATED);
    file_free(&cut);
    image_fini(&full);
    file_free(&whole);
}

Test(image, a_cut_progressive_jpeg_keeps_its_rows_and_loses_detail)
{
    struct file whole = file_sample("progressive.jpg");
    struct image im = decode_as(file_cut(&whole, whole.len * 8 / 10), IMAGE_POLICY_DEFAULT);
    cr_assert_eq(im.rows_decoded, 1);
    cr_assert_eq(im.notes, IMAGE_NOTE_TRUNCATED);
    image_fini(&im);
    refused(file_cut(&whole, 700), IMAGE_TRUNCATED);
    file_free(&whole);
}

/* The frame header of a JPEG: two bytes of marker, two of length, one of depth, height, width. */
static uint8_t *frame_header(const struct file *f)
{
    size_t at = 2;
    while (f->bytes[at + 1] != 0xC0 && f->bytes[at + 1] != 0xC2)
        at += 2 + ((size_t)f->bytes[at + 2] << 8 | f->bytes[at + 3]);
    return f->bytes + at;
}

static struct file lying(const char *name, unsigned width, unsigned height)
{
    struct file f = file_sample(name);
    uint8_t *h = frame_header(&f);
    h[5] = (uint8_t)(height >> 8);
    h[6] = (uint8_t)height;
    h[7] = (uint8_t)(width >> 8);
    h[8] = (uint8_t)width;
    return f;
}

/* The share of the file, and an end as if that were all of it. */
static struct file ended(const char *name, size_t percent)
{
    struct file whole = file_sample(name), f = file_cut(&whole, whole.len * percent / 100);
    memcpy(f.bytes + f.len - 2, "\xFF\xD9", 2);
    file_free(&whole);
    return f;
}

/* A version of JFIF that there is not: the decoder's one warning is about that. */
static struct file odd_version(struct file f)
{
    uint8_t *word = memmem(f.bytes, f.len, "JFIF", 5);
    cr_assert_not_null(word);
    word[5] = 7;
    return f;
}

static void check_share(struct file f, double from, double to, const struct image *whole)
{
    struct image im = decode_as(f, IMAGE_POLICY_DEFAULT);
    cr_expect(im.rows_decoded >= from && im.rows_decoded <= to, "%g", im.rows_decoded);
    cr_expect_eq(im.notes, IMAGE_NOTE_TRUNCATED);
    size_t row = 3 * (size_t)im.width, rows = (size_t)(im.rows_decoded * im.height + 0.5);
    for (size_t i = 0; whole && i < rows * row; i++)
        cr_assert_eq(im.rgb[i], whole->rgb[i], "row %zu of %zu", i / row, rows);
    for (size_t i = rows * row; i < (size_t)im.height * row; i++)
        cr_assert_eq(im.rgb[i], 128);
    image_fini(&im);
}

Test(image, a_jpeg_with_an_end_that_comes_too_early_counts_as_the_rows_in_front_of_it)
{
    struct image whole = decode_as(file_sample("landscape.jpg"), IMAGE_POLICY_DEFAULT);
    unsigned w = (unsigned)whole.stored_width, h = (unsigned)whole.stored_height;
    check_share(ended("landscape.jpg", 80), 0.5, 0.95, &whole);
    check_share(odd_version(ended("landscape.jpg", 80)), 0.5, 0.95, &whole);
    check_share(lying("landscape.jpg", w, h * 5 / 4), 0.7, 0.8, &whole);
    refused(ended("landscape.jpg", 20), IMAGE_TRUNCATED);
    refused(odd_version(ended("landscape.jpg", 20)), IMAGE_TRUNCATED);
    refused(lying("landscape.jpg", w, h * 10), IMAGE_TRUNCATED);
    refused(lying("landscape.jpg", w, 60000), IMAGE_TRUNCATED);
    refused(lying("landscape.jpg", w * 10, h), IMAGE_TRUNCATED);
    image_fini(&whole);
}

Test(image, a_jpeg_in_several_scans_counts_as_the_rows_that_they_reached)
{
    struct image whole = decode_as(file_sample("progressive.jpg"), IMAGE_POLICY_DEFAULT);
    unsigned w = (unsigned)whole.stored_width, h = (unsigned)whole.stored_height;
    check_share(ended("progressive.jpg", 80), 1, 1, NULL);
    check_share(lying("progressive.jpg", w, h * 5 / 4), 0.78, 0.85, NULL); /* smoothed edge */
    refused(lying("progressive.jpg", w, h * 10), IMAGE_TRUNCATED);
    image_fini(&whole);
}

Test(image, a_jpeg_whose_codes_break_is_noted_or_refused)
{
    struct image whole = decode_as(file_sample("landscape.jpg"), IMAGE_POLICY_DEFAULT);
    for (size_t tenth = 1; tenth <= 9; tenth += 8) { /* codes of ones alone, which stand for nothing */
        struct file f = file_sample("landscape.jpg");
        for (size_t i = 0; i < 16; i++)
            memcpy(f.bytes + f.len * tenth / 10 + 2 * i, "\xFF\0", 2);
        if (tenth == 1)
            refused(f, IMAGE_CORRUPT);
        else
            check_share(f, 0.5, 0.95, &whole);
    }
    image_fini(&whole);
}

Test(image, broken_codes_are_heard_wherever_they_are)
{
    static const char *const names[] = {"landscape.jpg", "tall.jpg"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t share = 30; share < 95; share++) {
            struct file f = file_sample(names[i]);
            for (size_t k = 0; k < 16; k++)
                memcpy(f.bytes + f.len * share / 100 + 2 * k, "\xFF\0", 2);
            struct image im = {0};
            enum image_error kind;
            struct diag why;
            struct image_policy policy = image_policy_default(IMAGE_POLICY_DEFAULT);
            enum status s = image_decode(f.bytes, f.len, &policy, &im, &kind, &why);
            cr_expect(s != ST_OK || im.notes & IMAGE_NOTE_TRUNCATED, "%s, %zu %%", names[i], share);
            image_fini(&im);
            file_free(&f);
        }
}

Test(image, warnings_that_are_not_about_the_pixels_change_nothing)
{
    struct image whole = decode_as(file_sample("landscape.jpg"), IMAGE_POLICY_DEFAULT);
    struct file plain = file_sample("landscape.jpg");
    for (int i = 0; i < 5; i++) {
        struct file f = {.bytes = calloc(1, plain.len + 40), .len = plain.len + (i < 3 ? 40 : 0)};
        size_t at = i == 0 ? plain.len - 2 : i == 1 ? plain.len : (size_t)(frame_header(&plain) - plain.bytes);
        cr_assert_not_null(f.bytes);
        memcpy(f.bytes, plain.bytes, at);
        memcpy(f.bytes + at + (i < 3 ? 40 : 0), plain.bytes + at, plain.len - at);
        uint8_t *scan = memmem(f.bytes, f.len, "\xFF\xDA\0\x0C", 4);
        if (i == 3)
            f = odd_version(f);
        else if (i == 4)
            scan[12] = 0; /* the last coefficient of the scan */
        struct image im = decode_as(f, IMAGE_POLICY_DEFAULT);
        cr_expect(im.notes == 0 && im.rows_decoded >= 1, "%d: %x, %g", i, im.notes, im.rows_decoded);
        cr_expect_arr_eq(im.rgb, whole.rgb, 3 * (size_t)im.width * (size_t)im.height);
        image_fini(&im);
    }
    file_free(&plain);
    image_fini(&whole);
}

Test(image, data_that_lack_a_few_last_bits_are_a_whole_picture)
{
    struct file f = file_sample("landscape.jpg");
    memcpy(f.bytes + f.len - 3, "\xFF\xD9", 2);
    f.len--;
    struct image im = decode_as(f, IMAGE_POLICY_DEFAULT);
    cr_expect(im.notes == 0 && im.rows_decoded >= 1, "%x, %g", im.notes, im.rows_decoded);
    image_fini(&im);
}

Test(image, a_gif_whose_frame_is_larger_than_its_data_is_noted_or_refused)
{
    static const int percent[] = {100, 130, 1000};
    for (int i = 0; i < 3; i++) {
        struct file f = file_sample("indexed.gif");
        uint8_t *frame = memchr(f.bytes + 13 + (f.bytes[10] & 0x80 ? 3 << ((f.bytes[10] & 7) + 1) : 0), 0x2C, 64);
        cr_assert_not_null(frame);
        int height = (frame[7] | frame[8] << 8) * percent[i] / 100;
        frame[7] = (uint8_t)height;
        frame[8] = (uint8_t)(height >> 8);
        if (percent[i] == 1000) {
            refused(f, IMAGE_CORRUPT);
            continue;
        }
        struct image im = decode_as(f, IMAGE_POLICY_DEFAULT);
        cr_expect_eq(im.notes, i ? IMAGE_NOTE_TRUNCATED : 0);
        cr_expect_float_eq(im.rows_decoded, 100.0 / percent[i], 0.02, "%g", im.rows_decoded);
        image_fini(&im);
    }
}

Test(image, what_breaks_off_says_how_many_rows_there_were_and_why)
{
    static const char *const names[] = {"landscape.jpg", "tiny.png", "scene.webp", "indexed.gif"};
    struct image_policy policy = image_policy_default(IMAGE_POLICY_DEFAULT);
    double most = 0;
    for (size_t i = 0; i < 4 * sizeof names / sizeof *names; i++) {
        struct file whole = file_sample(names[i / 4]), f = file_cut(&whole, whole.len * (1 + 2 * (i % 4)) / 20);
        struct image im = {.rows_decoded = -1};
        enum image_error kind = IMAGE_OK;
        struct diag why = {0};
        if (image_decode(f.bytes, f.len, &policy, &im, &kind, &why) != ST_OK) {
            cr_assert_eq(kind == IMAGE_TRUNCATED, im.rows_decoded >= 0, "%s, %zu", names[i / 4], i % 4);
            cr_assert(im.rows_decoded < 0.5 && why.text[strlen(why.text) - 1] != ' ', "%s", why.text);
            most = im.rows_decoded > most ? im.rows_decoded : most;
        }
        image_fini(&im);
        file_free(&f);
        file_free(&whole);
    }
    cr_assert_gt(most, 0.1);
}

Test(image, every_sample_cut_anywhere_or_damaged_ends_in_a_result_or_a_typed_error)
{
    static const char *const names[] = {"tiny.png", "alpha.png", "palette.png", "progressive.jpg",
                                        "tall.jpg", "scan.tiff", "indexed.gif", "scene.webp"};
    struct image_policy policy = image_policy_default(IMAGE_POLICY_DEFAULT);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct file whole = file_sample(names[i]);
        for (int k = 0; k < 60; k++) {
            struct file f = file_cut(&whole, k < 30 ? whole.len * (size_t)k / 30 : whole.len);
            if (k >= 30) /* one byte in thirty places */
                f.bytes[whole.len * (size_t)(k - 30) / 30] ^= 0x5A;
            struct image im = {0};
            enum image_error kind = IMAGE_ERROR_COUNT_;
            struct diag why = {0};
            enum status s = image_decode(f.bytes, f.len, &policy, &im, &kind, &why);
            cr_assert((s == ST_OK) == (kind == IMAGE_OK) && kind < IMAGE_TIMEOUT, "%s, %d", names[i], k);
            cr_assert(s == ST_OK || why.text[0]);
            image_fini(&im);
            file_free(&f);
        }
        file_free(&whole);
    }
}

/* Pictures and the bytes that Pillow makes of them; FERRET_GOLDEN names a folder of the official code's. */
Test(image, all_fixtures_equal_pillow_bit_for_bit)
{
    const char *golden = getenv("FERRET_GOLDEN");
    char path[1024];
    struct json *list = NULL;
    struct diag why = {0};
    snprintf(path, sizeof path, "%s/images/images.json", golden ? golden : "tests/parity/fixtures");
    cr_assert_eq(jsn_load(path, 16 << 20, &list, &why), ST_OK, "%s", why.text);
    cr_assert_geq(jsn_size(list), 1);
    for (size_t i = 0; i < jsn_size(list); i++) {
        const struct json *e = jsn_at(list, i), *upright = jsn_get(e, "exif_applied");
        const char *name = jsn_string(jsn_get(e, "file"), "");
        snprintf(path, sizeof path, "%s/images/%s", golden ? golden : "tests/parity/fixtures", name);
        for (int policy = upright ? IMAGE_POLICY_DEFAULT : IMAGE_POLICY_ML_FERRET; policy <= IMAGE_POLICY_ML_FERRET;
             policy++) {
            const struct json *want = policy == IMAGE_POLICY_DEFAULT ? upright : e;
            struct image im = decode_as(file_read(path), (enum image_policy_kind)policy);
            uint8_t digest[SHA256_BYTES];
            char hex[SHA256_HEX];
            sha256_of(im.rgb, (size_t)im.width * (size_t)im.height * 3, digest);
            sha256_hex(digest, hex);
            cr_expect_str_eq(hex, jsn_string(jsn_get(want, "rgb_sha256"), ""), "%s", name);
            cr_expect_str_eq(im.sha256, jsn_string(jsn_get(e, "file_sha256"), ""), "%s", name);
            image_fini(&im);
        }
    }
    jsn_free(list);
}
