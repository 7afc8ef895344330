#include <stdio.h>
#include <string.h>

#include "media/decode.h"

enum status loader_refuse(struct decode *d)
{
    char *said = vips_error_buffer_copy();
    for (char *p = said; *p; p++)
        if (*p == '\n')
            *p = p[1] ? ';' : '\0';
    const char *reason = said + strspn(said, " ");
    bool cut = d->facts.ending == ENDING_MISSING || d->heard == JPEG_BREAKS_OFF;
    bool memory = strstr(said, "out of memory") != NULL;
    bool no_codec = strstr(said, "Unsupported codec") || strstr(said, "No decoding plugin");
    if (no_codec) {
        g_free(said);
        d->kind = IMAGE_UNSUPPORTED_FORMAT;
        return diag_set(d->why, ST_UNSUPPORTED,
                        "image: libheif has no decoder for this %s here; its packages are called libheif-plugin-...",
                        d->image.format);
    }
    d->kind = memory ? IMAGE_DECODE_FAILED : cut ? IMAGE_TRUNCATED : IMAGE_CORRUPT;
    enum status s = diag_set(d->why, memory ? ST_NOMEM : ST_FORMAT, "image: %s %s: %s", d->image.format,
                             memory ? "not decoded"
                             : cut  ? "breaks off"
                                    : "is damaged",
                             *reason ? reason : "the decoder does not say where");
    g_free(said);
    return s;
}

/* ---- a JPEG in bites ------------------------------------------------------------------------------------------- */

enum { BITE_BYTES = 511 };

/* libjpeg-turbo decodes a block without looking for codes that stand for nothing while it has 512 bytes of data for
 * each block of an MCU at hand (jdhuff.c, BUFSIZE), so it never gets as many. */
static gint64 bite(VipsSourceCustom *source, void *to, gint64 most, gpointer ctx)
{
    struct feed *feed = ctx;
    size_t left = feed->len - feed->at, n = left < BITE_BYTES ? left : BITE_BYTES;
    (void)source;
    n = most < (gint64)n ? (size_t)most : n;
    memcpy(to, feed->bytes + feed->at, n);
    feed->at += n;
    return (gint64)n;
}

static gint64 seek_to(VipsSourceCustom *source, gint64 offset, int whence, gpointer ctx)
{
    struct feed *feed = ctx;
    gint64 from = whence == SEEK_SET ? 0 : (gint64)(whence == SEEK_CUR ? feed->at : feed->len), at = from + offset;
    (void)source;
    if (at < 0 || at > (gint64)feed->len)
        return -1;
    feed->at = (size_t)at;
    return at;
}

static int load_jpeg(struct decode *d, VipsFailOn fail_on)
{
    VipsSourceCustom *source = vips_source_custom_new();
    if (!source)
        return -1;
    d->feed = (struct feed){.bytes = d->bytes, .len = d->len};
    g_signal_connect(source, "read", G_CALLBACK(bite), &d->feed);
    g_signal_connect(source, "seek", G_CALLBACK(seek_to), &d->feed);
    int failed =
        vips_jpegload_source(VIPS_SOURCE(source), &d->file, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", fail_on, NULL);
    g_object_unref(source);
    return failed;
}

/* ---- all formats ------------------------------------------------------------------------------------------------ */

typedef int (*loader_fn)(void *buf, size_t len, VipsImage **out, ...);
struct loader {
    const char *format, *nickname;
    loader_fn load;    /* NULL: load_jpeg */
    bool turns_itself; /* the decoder has already applied the file's orientation */
};
static const struct loader loaders[] = {
    {"jpeg", "jpegload_source", NULL, false},
    {"png", "pngload_buffer", vips_pngload_buffer, false},
    {"webp", "webpload_buffer", vips_webpload_buffer, false},
    {"gif", "gifload_buffer", vips_gifload_buffer, false},
    {"tiff", "tiffload_buffer", vips_tiffload_buffer, false},
    {"heif", "heifload_buffer", vips_heifload_buffer, true},
    {"avif", "heifload_buffer", vips_heifload_buffer, true},
    {"jxl", "jxlload_buffer", vips_jxlload_buffer, true},
};

static const struct loader *find_loader(const char *format)
{
    for (size_t i = 0; i < sizeof loaders / sizeof *loaders; i++)
        if (strcmp(loaders[i].format, format) == 0)
            return vips_type_find("VipsOperation", loaders[i].nickname) ? &loaders[i] : NULL;
    return NULL;
}

enum status loader_open(struct decode *d, VipsFailOn fail_on)
{
    const struct loader *l = find_loader(d->image.format);
    if (!l) {
        d->kind = IMAGE_UNSUPPORTED_FORMAT;
        return diag_set(d->why, ST_UNSUPPORTED, "image: no decoder for %s here: this libvips has no such module",
                        d->image.format);
    }
    g_clear_object(&d->file);
    vips_error_clear();
    void *bytes = (void *)(uintptr_t)d->bytes; /* only read; the loaders' parameter lacks a const */
    int failed = l->load ? l->load(bytes, d->len, &d->file, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", fail_on, NULL)
                         : load_jpeg(d, fail_on);
    return failed ? loader_refuse(d) : ST_OK;
}

bool loader_turns(const char *format)
{
    const struct loader *l = find_loader(format);
    return l && l->turns_itself;
}

void decode_close(struct decode *d)
{
    g_clear_object(&d->samples);
    g_clear_object(&d->file);
}
