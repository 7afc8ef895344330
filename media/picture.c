#include "media/picture.h"
#include "media/vips_image.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { JPEG_QUALITY = 88, PATH_BYTES = 4096 };

static int open_pixels(const struct image *image, VipsImage **out)
{
    VipsImage *raw = vips_image_new_from_memory(image->rgb, (size_t)image->width * (size_t)image->height * 3,
                                                image->width, image->height, 3, VIPS_FORMAT_UCHAR);
    if (!raw)
        return -1;
    int failed = vips_copy(raw, out, "interpretation", VIPS_INTERPRETATION_sRGB, NULL);
    g_object_unref(raw);
    return failed;
}

/* The layer has the size that the SVG says, which may be a rounded pixel off. */
static int lay_over(VipsImage **picture, const char *svg)
{
    VipsImage *layer = NULL, *both = NULL, *flat = NULL;
    int failed = vips_svgload_buffer((void *)(uintptr_t)svg, strlen(svg), &layer, NULL) ||
                 vips_composite2(*picture, layer, &both, VIPS_BLEND_MODE_OVER, NULL) || vips_flatten(both, &flat, NULL);
    if (layer)
        g_object_unref(layer);
    if (both)
        g_object_unref(both);
    if (!failed)
        vips_image_step(picture, flat);
    return failed;
}

static int save(VipsImage *picture, const char *path, bool jpeg)
{
    return jpeg ? vips_jpegsave(picture, path, "Q", JPEG_QUALITY, "strip", TRUE, NULL)
                : vips_pngsave(picture, path, "strip", TRUE, NULL);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static enum status failure(const char *path, struct diag *why)
{
    enum status s = diag_set(why, ST_IO, "%s: %.300s", path, vips_error_buffer());
    vips_error_clear();
    return s;
}

enum status picture_write(const struct image *image, const char *svg, double scale, const char *path, struct diag *why)
{
    char temporary[PATH_BYTES];
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= PATH_BYTES)
        return diag_set(why, ST_LIMIT, "%.200s...: path too long", path);
    if (svg && !vips_type_find("VipsOperation", "svgload_buffer"))
        return diag_set(why, ST_UNSUPPORTED, "libvips was built without SVG, which drawings need");
    VipsImage *picture = NULL;
    if (open_pixels(image, &picture) != 0)
        return failure(path, why);
    VipsImage *scaled = NULL;
    int failed = 0;
    if (scale != 1) {
        failed = vips_resize(picture, &scaled, scale, NULL);
        if (!failed)
            vips_image_step(&picture, scaled);
    }
    if (!failed && svg)
        failed = lay_over(&picture, svg);
    if (!failed)
        failed = save(picture, temporary, ends_with(path, ".jpg"));
    g_object_unref(picture);
    if (failed)
        return failure(path, why);
    if (rename(temporary, path) != 0) {
        int said = errno;
        unlink(temporary);
        return diag_set(why, ST_IO, "%s: %s", path, strerror(said));
    }
    return ST_OK;
}
