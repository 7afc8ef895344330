#include "media/pixels.h"

#include <criterion/criterion.h>
#include <string.h>

/* Where pixel (x, y) of a W x H image goes, by the definition of each orientation (what row 0 and column 0 are). */
static void place(int orientation, int x, int y, int w, int h, int *dx, int *dy)
{
    const int at[9][2] = {{0, 0}, {x, y},         {w - 1 - x, y},         {w - 1 - x, h - 1 - y}, {x, h - 1 - y},
                          {y, x}, {h - 1 - y, x}, {h - 1 - y, w - 1 - x}, {y, w - 1 - x}};
    *dx = at[orientation][0];
    *dy = at[orientation][1];
}

Test(pixels, each_of_the_eight_turns_puts_every_pixel_where_it_belongs)
{
    enum { W = 5, H = 3 };
    uint8_t in[W * H * 3], out[W * H * 3];
    for (int i = 0; i < W * H * 3; i++)
        in[i] = (uint8_t)i;
    for (int orientation = 1; orientation <= 8; orientation++) {
        int out_width = orientation >= 5 ? H : W;
        memset(out, 255, sizeof out);
        pixels_turn(in, W, H, orientation, out);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                int dx, dy;
                place(orientation, x, y, W, H, &dx, &dy);
                cr_assert_arr_eq(out + 3 * (dy * out_width + dx), in + 3 * (y * W + x), 3, "orientation %d, %d, %d",
                                 orientation, x, y);
            }
    }
}

Test(pixels, cmyk_becomes_rgb_by_pillow_s_formula)
{
    const uint8_t row[] = {0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255, 10, 128, 200, 50, 255, 255, 255, 255};
    const uint8_t want[] = {255, 255, 255, 0, 255, 255, 0, 0, 0, 197, 102, 44, 0, 0, 0};
    uint8_t rgb[15];
    pixels_to_rgb(&(struct pixel_layout){.colour = PIXEL_CMYK, .bands = 4}, row, 5, rgb);
    for (int i = 0; i < 15; i++)
        cr_assert_eq(rgb[i], want[i], "%d: %d", i, rgb[i]);
}

Test(pixels, opaque_and_clear_are_exact_for_every_value)
{
    struct pixel_layout l = {.colour = PIXEL_RGB, .bands = 4, .has_alpha = true, .flatten = true};
    for (int v = 0; v < 256; v++)
        for (int a = 0; a < 256; a++) {
            uint8_t row[4] = {(uint8_t)v, (uint8_t)v, (uint8_t)v, (uint8_t)a}, rgb[3];
            memset(l.background, 255 - v, 3);
            pixels_to_rgb(&l, row, 1, rgb);
            double want = (v * a + (255 - v) * (255 - a)) / 255.0;
            cr_assert(rgb[0] - want <= 0.5 && want - rgb[0] <= 0.5, "%d at %d: %d", v, a, rgb[0]);
        }
}
