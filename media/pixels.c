#include "media/pixels.h"

#include <stddef.h>
#include <string.h>

/* round(a * b / 255) for bytes, as Pillow computes it. */
static int scaled(int a, int b)
{
    int t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

static void cmyk_to_rgb(const uint8_t *p, uint8_t *rgb)
{
    int light = 255 - p[3];
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)(light - scaled(p[c], light));
}

void pixels_to_rgb(const struct pixel_layout *l, const uint8_t *row, int width, uint8_t *rgb)
{
    int colours = l->colour == PIXEL_GREY ? 1 : l->colour == PIXEL_RGB ? 3 : 4;
    if (l->colour == PIXEL_RGB && l->bands == 3) {
        memcpy(rgb, row, (size_t)width * 3);
        return;
    }
    for (int x = 0; x < width; x++, row += l->bands, rgb += 3) {
        if (l->colour == PIXEL_CMYK)
            cmyk_to_rgb(row, rgb);
        else if (l->colour == PIXEL_GREY)
            rgb[0] = rgb[1] = rgb[2] = row[0];
        else
            memcpy(rgb, row, 3);
        if (!l->has_alpha || !l->flatten)
            continue;
        int alpha = row[colours];
        for (int c = 0; c < 3; c++) /* one rounding of the whole sum: opaque and clear are exact */
            rgb[c] = (uint8_t)((rgb[c] * alpha + l->background[c] * (255 - alpha) + 127) / 255);
    }
}

void pixels_turn(const uint8_t *in, int width, int height, int orientation, uint8_t *out)
{
    ptrdiff_t w = width, h = height, across = 3, down = 3 * w, start = 0;
    switch (orientation) { /* where the upper left pixel comes from, and which way is right and down in `in` */
    case 2: start = 3 * (w - 1), across = -3; break;
    case 3: start = 3 * (w * h - 1), across = -3, down = -3 * w; break;
    case 4: start = 3 * w * (h - 1), down = -3 * w; break;
    case 5: across = 3 * w, down = 3; break;
    case 6: start = 3 * w * (h - 1), across = -3 * w, down = 3; break;
    case 7: start = 3 * (w * h - 1), across = -3 * w, down = -3; break;
    case 8: start = 3 * (w - 1), across = 3 * w, down = -3; break;
    default: break;
    }
    ptrdiff_t out_width = orientation >= 5 ? h : w, out_height = orientation >= 5 ? w : h;
    for (ptrdiff_t y = 0; y < out_height; y++)
        for (ptrdiff_t x = 0; x < out_width; x++, out += 3)
            memcpy(out, in + start + y * down + x * across, 3);
}
