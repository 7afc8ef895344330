#include "media/picture.h"
#include "media/vips_image.h"

#include <errno.h>
#include <fcntl.h>
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

static int encode(VipsImage *picture, bool jpeg, void **bytes, size_t *len)
{
    return jpeg ? vips_jpegsave_buffer(picture, bytes, len, "Q", JPEG_QUALITY, "strip", TRUE, NULL)
                : vips_pngsave_buffer(picture, bytes, len, "strip", TRUE, NULL);
}

static bool write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno != EINTR)
            return false;
        bytes += n < 0 ? 0 : n;
        len -= n < 0 ? 0 : (size_t)n;
    }
    return true;
}

/* All of it under its name, or nothing. */
static enum status write_file(const char *path, const void *bytes, size_t len, struct diag *why)
{
    char temporary[PATH_BYTES];
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= PATH_BYTES)
        return diag_set(why, ST_LIMIT, "%.200s...: path too long", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return diag_set(why, ST_IO, "%s: %s", temporary, strerror(errno));
    bool written = write_all(fd, bytes, len);
    int said = errno;
    if (close(fd) != 0 && written) {
        written = false;
        said = errno;
    }
    if (written && rename(temporary, path) == 0)
        return ST_OK;
    said = written ? errno : said;
    unlink(temporary);
    return diag_set(why, ST_IO, "%s: %s", path, strerror(said));
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static enum status failure(const char *path, struct diag *why)
{
    enum status s = diag_set(why, ST_FORMAT, "%s: %.300s", path, vips_error_buffer());
    vips_error_clear();
    return s;
}

enum status picture_write(const struct image *image, const char *svg, double scale, const char *path, struct diag *why)
{
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
    void *bytes = NULL;
    size_t len = 0;
    if (!failed)
        failed = encode(picture, ends_with(path, ".jpg"), &bytes, &len);
    g_object_unref(picture);
    if (failed)
        return failure(path, why);
    enum status s = write_file(path, bytes, len, why);
    g_free(bytes);
    return s;
}
