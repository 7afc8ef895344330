/* Claims of media/bmp.h, and of image.h about bitmaps; the files are made here by hand. */
#include "media/bmp.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/image.h"

enum { ROOM = 4096 };

static void start(void)
{
    cr_assert_eq(image_library_start("test", NULL), ST_OK);
}

TestSuite(bmp, .init = start, .timeout = 60);

struct file {
    uint8_t bytes[ROOM];
    size_t len;
};

static void put(struct file *f, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        f->bytes[f->len++] = (uint8_t)(value >> (8 * i));
}

/* File and BITMAPINFOHEADER; pixels begin `extra` bytes behind it. */
static struct file begin(int width, int height, int bits, int compression, int extra)
{
    struct file f = {.len = 0};
    put(&f, 'B' | 'M' << 8, 2);
    put(&f, 0, 8);
    put(&f, (uint32_t)(54 + extra), 4);
    put(&f, 40, 4);
    put(&f, (uint32_t)width, 4);
    put(&f, (uint32_t)height, 4);
    put(&f, 1, 2);
    put(&f, (uint32_t)bits, 2);
    put(&f, (uint32_t)compression, 4);
    for (int i = 0; i < 5; i++)
        put(&f, 0, 4);
    return f;
}

/* The pixels as "RRGGBB" or, where alpha is not 255, "RRGGBBAA", a space between. */
static const char *show(const struct file *f, int *rows)
{
    static char out[ROOM];
    struct bmp b;
    struct diag why = {""};
    uint8_t rgba[ROOM] = {0};
    size_t n = 0;
    cr_assert_eq(bmp_open(f->bytes, f->len, &b, &why), ST_OK, "%s", why.text);
    *rows = bmp_read(&b, rgba);
    for (int i = 0; i < b.width * b.height; i++) {
        const uint8_t *p = rgba + 4 * i;
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%02x%02x%02x", i ? " " : "", p[0], p[1], p[2]);
        if (p[3] != 255)
            n += (size_t)snprintf(out + n, sizeof out - n, "%02x", p[3]);
    }
    return out;
}

static void palette(struct file *f)
{
    put(f, 0x000000, 4);
    put(f, 0xFF0000, 4);
    put(f, 0x00FF00, 4);
    put(f, 0x0000FF, 4);
}

Test(bmp, each_depth_gives_its_colours_the_last_row_first)
{
    int rows;
    struct file f = begin(2, 2, 24, 0, 0);
    put(&f, 0x030201, 3), put(&f, 0x060504, 3), put(&f, 0, 2);
    put(&f, 0x0C0B0A, 3), put(&f, 0x0F0E0D, 3), put(&f, 0, 2);
    cr_expect_str_eq(show(&f, &rows), "0c0b0a 0f0e0d 030201 060504");
    f = begin(2, -2, 24, 0, 0);
    put(&f, 0x030201, 3), put(&f, 0x060504, 3), put(&f, 0, 2);
    put(&f, 0x0C0B0A, 3), put(&f, 0x0F0E0D, 3); /* without the last padding */
    cr_expect_str_eq(show(&f, &rows), "030201 060504 0c0b0a 0f0e0d");
    cr_expect_eq(rows, 2);
    f = begin(3, 1, 8, 0, 16);
    palette(&f);
    put(&f, 0x070301, 4); /* 7 is behind the palette that fits before the pixels */
    cr_expect_str_eq(show(&f, &rows), "ff0000 0000ff 000000");
    f = begin(3, 1, 4, 0, 16);
    palette(&f);
    put(&f, 0x2012, 4);
    cr_expect_str_eq(show(&f, &rows), "ff0000 00ff00 00ff00");
    f = begin(9, 1, 1, 0, 8);
    put(&f, 0, 4), put(&f, 0xFFFFFF, 4);
    put(&f, 0x80 << 8 | 0xA0, 4);
    cr_expect_str_eq(show(&f, &rows), "ffffff 000000 ffffff 000000 000000 000000 000000 000000 ffffff");
    f = begin(2, 1, 16, 0, 0);
    put(&f, 0x7C00, 2), put(&f, 0x03FF, 2);
    cr_expect_str_eq(show(&f, &rows), "ff0000 00ffff");
    f = begin(1, 1, 32, 0, 0);
    put(&f, 0x11223344, 4);
    cr_expect_str_eq(show(&f, &rows), "223344", "the fourth byte is no alpha: %s", show(&f, &rows));
}

Test(bmp, bit_fields_say_where_colours_and_alpha_lie)
{
    int rows;
    struct file f = begin(1, 1, 16, 3, 12);
    put(&f, 0xF800, 4), put(&f, 0x07E0, 4), put(&f, 0x001F, 4), put(&f, 0xF81F, 2);
    cr_expect_str_eq(show(&f, &rows), "ff00ff");
    f = begin(2, 1, 32, 6, 16);
    put(&f, 0xFF, 4), put(&f, 0xFF00, 4), put(&f, 0xFF0000, 4), put(&f, 0xFF000000, 4);
    put(&f, 0x80030201, 4), put(&f, 0xFF060504, 4);
    cr_expect_str_eq(show(&f, &rows), "01020380 040506");
    f = begin(1, 1, 32, 6, 16);
    put(&f, 0xFF, 4), put(&f, 0xFF00, 4), put(&f, 0xFF0000, 4), put(&f, 0xFF000000, 4);
    put(&f, 0x00030201, 4);
    cr_expect_str_eq(show(&f, &rows), "010203", "alpha that is 0 everywhere was never written");
}

Test(bmp, run_lengths_are_unrolled_and_never_leave_the_picture)
{
    int rows;
    struct file f = begin(4, 2, 8, 1, 16);
    palette(&f);
    static const uint8_t runs[] = {3, 1, 1, 2, 0, 0, 0, 3, 1, 2, 3, 0, 0, 1};
    memcpy(f.bytes + f.len, runs, sizeof runs);
    f.len += sizeof runs;
    cr_expect_str_eq(show(&f, &rows), "ff0000 00ff00 0000ff 000000 ff0000 ff0000 ff0000 00ff00");
    cr_expect_eq(rows, 2);
    f = begin(4, 1, 4, 2, 16);
    palette(&f);
    put(&f, 0x1203, 2), put(&f, 0x0100, 2);
    cr_expect_str_eq(show(&f, &rows), "ff0000 00ff00 ff0000 000000");
    f = begin(2, 1, 8, 1, 16);
    palette(&f);
    for (int i = 0; i < 20; i++)
        put(&f, 0x01FF, 2), put(&f, 0xFFFF0200, 4), put(&f, 0x00000101, 4);
    show(&f, &rows);
}

Test(bmp, every_cut_and_every_changed_byte_ends_in_pixels_or_an_error)
{
    struct file whole = begin(4, 4, 8, 1, 16);
    palette(&whole);
    for (int i = 0; i < 4; i++)
        put(&whole, 0x0104, 2), put(&whole, 0x0000, 2);
    put(&whole, 0x0100, 2);
    struct image_policy policy = image_policy_default(IMAGE_POLICY_DEFAULT);
    policy.max_pixels = 100000;
    for (size_t at = 0; at <= whole.len; at++) {
        for (int change = 0; change < 3; change++) {
            struct image im = {0};
            enum image_error kind = IMAGE_OK;
            struct diag why = {""};
            struct file f = whole;
            f.len = change == 0 ? at : f.len;
            if (change > 0 && at < f.len)
                f.bytes[at] = change == 1 ? 0xFF : (uint8_t)(f.bytes[at] ^ 0x80);
            uint8_t *copy = malloc(f.len + 1); /* so that the sanitizer sees the end */
            cr_assert(copy);
            memcpy(copy, f.bytes, f.len);
            enum status s = image_decode(copy, f.len, &policy, &im, &kind, &why);
            cr_expect((s == ST_OK) == (kind == IMAGE_OK) && (s == ST_OK || why.text[0]));
            image_fini(&im);
            free(copy);
        }
    }
}

Test(bmp, a_bitmap_is_an_image_like_any_other)
{
    struct image im = {0};
    enum image_error kind;
    struct diag why = {""};
    struct image_policy policy = image_policy_default(IMAGE_POLICY_DEFAULT);
    struct file f = begin(16, 10, 24, 0, 0);
    for (int i = 0; i < 16 * 10; i++)
        put(&f, 0x102030, 3);
    cr_assert_eq(image_decode(f.bytes, f.len, &policy, &im, &kind, &why), ST_OK, "%s", why.text);
    cr_expect(im.width == 16 && im.height == 10 && im.frames == 1 && im.orientation == 1 && im.rows_decoded >= 1);
    cr_expect_str_eq(im.format, "bmp");
    cr_expect(im.rgb[0] == 0x10 && im.rgb[1] == 0x20 && im.rgb[2] == 0x30);
    image_fini(&im);
    cr_assert_eq(image_decode(f.bytes, f.len - 48 * 4, &policy, &im, &kind, &why), ST_OK, "%s", why.text);
    cr_expect(im.notes & IMAGE_NOTE_TRUNCATED && im.rows_decoded > 0.59 && im.rows_decoded < 0.61);
    image_fini(&im);
    cr_expect_neq(image_decode(f.bytes, f.len - 48 * 8, &policy, &im, &kind, &why), ST_OK);
    cr_expect_eq(kind, IMAGE_TRUNCATED);
    f = begin(30000, 30000, 8, 1, 0);
    put(&f, 0x0100, 2);
    cr_expect_neq(image_decode(f.bytes, f.len, &policy, &im, &kind, &why), ST_OK);
    cr_expect_eq(kind, IMAGE_TOO_LARGE);
}
