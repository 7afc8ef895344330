#include "model/preprocess.h"

#include <stdlib.h>

#include "model/resize.h"

enum { WIDEST_ISA = 2 };

enum status resize_bicubic(const uint8_t *rgb, int width, int height, int size, uint8_t *out)
{
    return resize_bicubic_with(resize_ops_select(WIDEST_ISA), rgb, width, height, size, out);
}

void normalise_pixels(const uint8_t *u8, int size, const float mean[3], const float std[3], float *pixels)
{
    size_t n = (size_t)size * (size_t)size;
    for (int c = 0; c < 3; c++) {
        float value[256];
        for (int v = 0; v < 256; v++)
            value[v] = ((float)(v * (1.0 / 255)) - mean[c]) / std[c];
        for (size_t i = 0; i < n; i++)
            pixels[(size_t)c * n + i] = value[u8[3 * i + (size_t)c]];
    }
}

enum status preprocess(const uint8_t *rgb, int width, int height, const struct vision_config *v, float *pixels)
{
    uint8_t *u8 = malloc((size_t)v->image_size * (size_t)v->image_size * 3);
    if (!u8)
        return ST_NOMEM;
    enum status s = resize_bicubic(rgb, width, height, v->image_size, u8);
    if (s == ST_OK)
        normalise_pixels(u8, v->image_size, v->mean, v->std, pixels);
    free(u8);
    return s;
}
