/* Rows of 8-bit samples, as decoders give them, to RGB; and the eight turns of EXIF. Plain loops, exact integers. */
#ifndef MEDIA_PIXELS_H
#define MEDIA_PIXELS_H

#include <stdbool.h>
#include <stdint.h>

enum pixel_colour { PIXEL_GREY, PIXEL_RGB, PIXEL_CMYK };

struct pixel_layout {
    enum pixel_colour colour;
    int bands; /* samples a pixel: the colour's, then alpha, then others */
    bool has_alpha;
    bool flatten; /* composite on `background` where there is alpha; else alpha is dropped */
    uint8_t background[3];
};

void pixels_to_rgb(const struct pixel_layout *l, const uint8_t *row, int width, uint8_t *rgb);

/* in [height][width][3] -> out, turned so that it stands upright; orientation 1..8. From 5 on width and height of out
 * are exchanged. */
void pixels_turn(const uint8_t *in, int width, int height, int orientation, uint8_t *out);

#endif
