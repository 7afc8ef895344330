#include "media/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "media/bmp.h"
#include "media/decode.h"
#include "media/image_impl.h"

enum {
    STRIP_ROWS = 16, /* decoded at a time; what the loaders keep around anyway */
    FILL = 128,      /* behind the last row of a truncated file */
    DEGENERATE_SIDE = 8,
    DEGENERATE_RATIO = 50,
};

/* What a codec mumbles about a file goes into the record, not to the terminal. */
static void drop_message(const char *domain, GLogLevelFlags level, const char *message, void *ctx)
{
    (void)domain, (void)level, (void)message, (void)ctx;
}

enum status image_library_start(const char *program, struct diag *why)
{
    if (vips_init(program) != 0)
        return diag_set(why, ST_IO, "libvips does not start: %s", vips_error_buffer());
    g_log_set_handler("VIPS", G_LOG_LEVEL_WARNING, drop_message, NULL);
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    return ST_OK;
}

static enum status refuse(struct decode *d, enum image_error kind, enum status s, const char *text)
{
    d->kind = kind;
    return diag_set(d->why, s, "image: %s", text);
}

static enum status check_bytes(struct decode *d)
{
    bool supported = false;
    if (d->len == 0)
        return refuse(d, IMAGE_EMPTY, ST_FORMAT, "the file is empty");
    if (d->len > d->policy->max_bytes) {
        d->kind = IMAGE_TOO_LARGE;
        return diag_set(d->why, ST_LIMIT, "image: a file of %zu bytes, the limit is %zu", d->len, d->policy->max_bytes);
    }
    const char *format = image_sniff(d->bytes, d->len, &supported);
    if (!format)
        return refuse(d, IMAGE_NOT_AN_IMAGE, ST_FORMAT, "the bytes are no image");
    if (strcmp(format, "html") == 0 || strcmp(format, "xml") == 0)
        return refuse(d, IMAGE_NOT_AN_IMAGE, ST_FORMAT, "the bytes are a text with markup, no image");
    if (!supported) {
        d->kind = IMAGE_UNSUPPORTED_FORMAT;
        return diag_set(d->why, ST_UNSUPPORTED, "image: %s is not a format that is read here", format);
    }
    snprintf(d->image.format, sizeof d->image.format, "%s", format);
    d->facts = file_facts(format, d->bytes, d->len);
    return ST_OK;
}

/* Samples that are no plain numbers yet (Lab in 32 bits). */
static bool is_packed(const VipsImage *im)
{
    return vips_image_get_coding(im) != VIPS_CODING_NONE;
}

/* The header's sizes against the policy, before any pixel. */
static enum status check_sizes(struct decode *d)
{
    struct image *im = &d->image;
    if (im->stored_width > d->policy->max_side || im->stored_height > d->policy->max_side ||
        (int64_t)im->stored_width * im->stored_height > d->policy->max_pixels) {
        d->kind = IMAGE_TOO_LARGE;
        return diag_set(d->why, ST_LIMIT, "image: %d x %d pixels, the limits are %d a side and %lld in all",
                        im->stored_width, im->stored_height, d->policy->max_side, (long long)d->policy->max_pixels);
    }
    int width = im->stored_width, height = im->stored_height;
    int longer = width > height ? width : height, shorter = width > height ? height : width;
    if (shorter < DEGENERATE_SIDE || longer / DEGENERATE_RATIO > shorter)
        im->notes |= IMAGE_NOTE_DEGENERATE;
    return ST_OK;
}

/* The sides of a PNG's header, which its decoder refuses without a word where they are no sides of a PNG. */
static enum status check_sides(struct decode *d)
{
    const struct file_facts *f = &d->facts;
    if (!f->has_sides)
        return ST_OK;
    if (f->width < 1 || f->width > INT32_MAX || f->height < 1 || f->height > INT32_MAX) {
        d->kind = IMAGE_CORRUPT;
        return diag_set(d->why, ST_FORMAT,
                        "image: png is damaged: its header says %" PRIu32 " x %" PRIu32 " pixels, expected 1 to %d a "
                        "side",
                        f->width, f->height, INT32_MAX);
    }
    d->image.stored_width = (int)f->width;
    d->image.stored_height = (int)f->height;
    return check_sizes(d);
}

static enum status check_header(struct decode *d)
{
    struct image *im = &d->image;
    int orientation = vips_image_get_orientation(d->file), pages = vips_image_get_n_pages(d->file);
    im->stored_width = vips_image_get_width(d->file);
    im->stored_height = vips_image_get_height(d->file);
    enum status s = check_sizes(d);
    if (s != ST_OK)
        return s;
    if (orientation < 1 || orientation > 8)
        im->notes |= IMAGE_NOTE_BAD_ORIENTATION;
    im->orientation = orientation < 1 || orientation > 8 || loader_turns(im->format) ? 1 : orientation;
    im->frames = d->facts.frames > 0 ? d->facts.frames : pages;
    im->had_alpha = !is_packed(d->file) && vips_image_hasalpha(d->file);
    if (im->frames > 1)
        im->notes |= IMAGE_NOTE_FIRST_FRAME;
    if (vips_image_get_interpretation(d->file) == VIPS_INTERPRETATION_CMYK)
        im->notes |= IMAGE_NOTE_CMYK;
    if (vips_image_get_format(d->file) != VIPS_FORMAT_UCHAR)
        im->notes |= IMAGE_NOTE_SIXTEEN_BIT;
    return ST_OK;
}

/* Samples to 8 bits by their depth: integers lose their low bits, floats are taken for 0..1. */
static int to_bytes(VipsImage **im)
{
    VipsImage *next = NULL;
    VipsBandFormat format = vips_image_get_format(*im);
    if (format == VIPS_FORMAT_FLOAT || format == VIPS_FORMAT_DOUBLE) {
        if (vips_linear1(*im, &next, 255, 0, NULL) != 0)
            return -1;
        vips_image_step(im, next);
    }
    bool shift = format == VIPS_FORMAT_USHORT || format == VIPS_FORMAT_UINT;
    if (vips_cast(*im, &next, VIPS_FORMAT_UCHAR, "shift", shift, NULL) != 0)
        return -1;
    vips_image_step(im, next);
    return 0;
}

enum profile { PROFILE_NONE, PROFILE_SRGB, PROFILE_OTHER, PROFILE_BROKEN };

/* Most profiles say "sRGB"; going through them would only cost time and rounding. libvips takes sRGB in silence where a
 * profile is broken. */
static enum profile embedded_profile(VipsImage *im)
{
    static const char plain[] = "sRGB", wide[] = "s\0R\0G\0B", signature[] = "acsp";
    enum { SIGNATURE_AT = 36, HEADER_BYTES = 128 };
    const void *profile = NULL;
    size_t len = 0;
    if (!vips_image_get_typeof(im, VIPS_META_ICC_NAME))
        return PROFILE_NONE;
    if (vips_image_get_blob(im, VIPS_META_ICC_NAME, &profile, &len) != 0 || len < HEADER_BYTES ||
        memcmp((const char *)profile + SIGNATURE_AT, signature, sizeof signature - 1) != 0)
        return PROFILE_BROKEN;
    bool srgb = memmem(profile, len, plain, sizeof plain - 1) || memmem(profile, len, wide, sizeof wide - 1);
    return srgb ? PROFILE_SRGB : PROFILE_OTHER;
}

/* Colour samples (no alpha) to 8-bit sRGB: the embedded profile first, else by interpretation. */
static int to_srgb(struct decode *d, VipsImage **im)
{
    VipsImage *next = NULL;
    enum profile profile = embedded_profile(d->file);
    if (profile == PROFILE_OTHER &&
        vips_icc_transform(*im, &next, "srgb", "embedded", TRUE, "intent", VIPS_INTENT_RELATIVE,
                           "black_point_compensation", TRUE, NULL) == 0) {
        d->image.notes |= IMAGE_NOTE_ICC;
        vips_image_step(im, next);
        return 0;
    }
    if (profile == PROFILE_OTHER || profile == PROFILE_BROKEN)
        d->image.notes |= IMAGE_NOTE_ICC_FAILED;
    vips_error_clear();
    VipsBandFormat format = vips_image_get_format(*im);
    VipsInterpretation as = vips_image_guess_interpretation(*im);
    bool plain = as == VIPS_INTERPRETATION_B_W || as == VIPS_INTERPRETATION_sRGB || as == VIPS_INTERPRETATION_GREY16 ||
                 as == VIPS_INTERPRETATION_RGB16 || as == VIPS_INTERPRETATION_RGB ||
                 as == VIPS_INTERPRETATION_MULTIBAND;
    if (plain)
        return format == VIPS_FORMAT_UCHAR ? 0 : to_bytes(im);
    if (vips_colourspace(*im, &next, VIPS_INTERPRETATION_sRGB, NULL) != 0)
        return -1;
    vips_image_step(im, next);
    return vips_image_get_format(*im) == VIPS_FORMAT_UCHAR ? 0 : to_bytes(im);
}

/* Default policy: colour and alpha go different ways and meet again. */
static int samples_by_default(struct decode *d)
{
    int bands = vips_image_get_bands(d->file), colours = bands - (d->image.had_alpha ? 1 : 0);
    VipsImage *colour = NULL, *alpha = NULL, *both = NULL;
    int bad = is_packed(d->file)
                  ? vips_colourspace(d->file, &colour, VIPS_INTERPRETATION_sRGB, NULL) != 0
                  : vips_extract_band(d->file, &colour, 0, "n", colours, NULL) != 0 || to_srgb(d, &colour) != 0;
    if (!bad && d->image.had_alpha) {
        bad = vips_extract_band(d->file, &alpha, colours, NULL) != 0 || to_bytes(&alpha) != 0 ||
              vips_bandjoin2(colour, alpha, &both, NULL) != 0;
    }
    d->samples = bad ? NULL : d->image.had_alpha ? both : g_object_ref(colour);
    if (!bad) {
        int n = vips_image_get_bands(colour);
        d->layout = (struct pixel_layout){.colour = n < 3 ? PIXEL_GREY : PIXEL_RGB,
                                          .bands = vips_image_get_bands(d->samples),
                                          .has_alpha = d->image.had_alpha && (n == 1 || n == 3),
                                          .flatten = true};
        memcpy(d->layout.background, d->policy->background, sizeof d->layout.background);
    }
    g_clear_object(&colour);
    g_clear_object(&alpha);
    return bad ? -1 : 0;
}

/* As Pillow opens files: 16-bit grey is clipped, other 16-bit samples lose their low byte. */
static int samples_as_pillow(struct decode *d)
{
    VipsInterpretation as = vips_image_guess_interpretation(d->file);
    int bands = vips_image_get_bands(d->file);
    VipsBandFormat format = vips_image_get_format(d->file);
    bool odd = is_packed(d->file) || (format != VIPS_FORMAT_UCHAR && format != VIPS_FORMAT_USHORT);
    d->samples = g_object_ref(d->file);
    if (odd || as == VIPS_INTERPRETATION_LAB || as == VIPS_INTERPRETATION_LABS) {
        VipsImage *next = NULL;
        if (vips_colourspace(d->samples, &next, VIPS_INTERPRETATION_sRGB, NULL) != 0)
            return -1;
        vips_image_step(&d->samples, next);
        bands = vips_image_get_bands(d->samples);
        format = vips_image_get_format(d->samples);
    }
    if (format != VIPS_FORMAT_UCHAR) {
        VipsImage *next = NULL;
        bool shift = format == VIPS_FORMAT_USHORT && bands > 1;
        if (vips_cast(d->samples, &next, VIPS_FORMAT_UCHAR, "shift", shift, NULL) != 0)
            return -1;
        vips_image_step(&d->samples, next);
    }
    d->layout = (struct pixel_layout){.colour = as == VIPS_INTERPRETATION_CMYK && bands >= 4 ? PIXEL_CMYK
                                                : bands < 3                                  ? PIXEL_GREY
                                                                                             : PIXEL_RGB,
                                      .bands = bands};
    return 0;
}

int decode_read_rows(struct decode *d, uint8_t *rgb)
{
    int width = d->image.stored_width, height = d->image.stored_height, y = 0;
    VipsRegion *region = vips_region_new(d->samples);
    if (!region)
        return 0;
    vips_error_clear();
    d->heard = JPEG_NOTHING;
    while (y < height) {
        VipsRect strip = {0, y, width, height - y < STRIP_ROWS ? height - y : STRIP_ROWS};
        if (vips_region_prepare(region, &strip) != 0 || !jpeg_goes_on(d, y))
            break;
        for (int end = y + strip.height; y < end; y++)
            if (rgb)
                pixels_to_rgb(&d->layout, VIPS_REGION_ADDR(region, 0, y), width, rgb + (size_t)y * (size_t)width * 3);
    }
    g_object_unref(region);
    return y;
}

/* Of the rows that the header promises, those that the bytes hold data for. */
static double share_there(const struct decode *d)
{
    return d->facts.rows > 0 ? (double)d->facts.rows_there / d->facts.rows : 1;
}

static enum status decode_once(struct decode *d, uint8_t *rgb, int *rows)
{
    g_clear_object(&d->samples);
    if ((d->policy->kind == IMAGE_POLICY_ML_FERRET ? samples_as_pillow(d) : samples_by_default(d)) != 0)
        return loader_refuse(d);
    *rows = decode_read_rows(d, rgb);
    *rows = jpeg_sound_rows(d, rgb, *rows);
    d->image.rows_decoded = share_there(d) * *rows / d->image.stored_height;
    return ST_OK;
}

/* A JPEG in several scans has all rows once its first scan is whole; what is missing then is detail. */
static enum status decode_begun_scans(struct decode *d, uint8_t *rgb, int *rows)
{
    d->image.notes |= IMAGE_NOTE_TRUNCATED;
    enum status s = loader_open(d, VIPS_FAIL_ON_NONE);
    return s == ST_OK ? decode_once(d, rgb, rows) : s;
}

/* All rows, or as many as the policy asks for; the rest is grey. */
static enum status decode_rows(struct decode *d, uint8_t *rgb)
{
    int height = d->image.stored_height, rows = 0;
    size_t row = (size_t)d->image.stored_width * 3;
    enum status s = decode_once(d, rgb, &rows);
    if (s == ST_OK && rows == 0 && !jpeg_is_damage(d->heard) && d->facts.progressive && d->facts.scans > 1)
        s = decode_begun_scans(d, rgb, &rows);
    if (s != ST_OK || rows == height)
        return s;
    if (rows == 0 || d->image.rows_decoded < d->policy->min_rows_fraction) {
        s = loader_refuse(d);
        return s == ST_FORMAT ? diag_wrap(d->why, s, "%d of %d rows", rows, height) : s;
    }
    d->image.notes |= IMAGE_NOTE_TRUNCATED;
    memset(rgb + (size_t)rows * row, FILL, (size_t)(height - rows) * row);
    return ST_OK;
}

/* rgb as stored -> as displayed. */
static enum status turn(struct decode *d, uint8_t *rgb)
{
    struct image *im = &d->image;
    int orientation = d->policy->kind == IMAGE_POLICY_DEFAULT ? im->orientation : 1;
    im->width = orientation >= 5 ? im->stored_height : im->stored_width;
    im->height = orientation >= 5 ? im->stored_width : im->stored_height;
    im->rgb = rgb;
    if (orientation == 1)
        return ST_OK;
    uint8_t *turned = malloc((size_t)im->width * (size_t)im->height * 3);
    if (!turned) {
        im->rgb = NULL;
        free(rgb);
        return refuse(d, IMAGE_DECODE_FAILED, ST_NOMEM, "no memory for the turned picture");
    }
    pixels_turn(rgb, im->stored_width, im->stored_height, orientation, turned);
    free(rgb);
    im->rgb = turned;
    return ST_OK;
}

/* Where the bytes alone tell how many rows there are data for, before there is any pixel. */
static enum status check_promise(struct decode *d)
{
    const struct file_facts *f = &d->facts;
    if (f->rows_there >= f->rows)
        return ST_OK;
    d->image.rows_decoded = share_there(d);
    if (d->image.rows_decoded < d->policy->min_rows_fraction) {
        d->kind = f->ending == ENDING_MISSING ? IMAGE_TRUNCATED : IMAGE_CORRUPT;
        return diag_set(d->why, ST_FORMAT, "image: %s holds data for %d of the %d rows of its first frame",
                        d->image.format, f->rows_there, f->rows);
    }
    d->image.notes |= IMAGE_NOTE_TRUNCATED;
    return ST_OK;
}

static enum status decode_pixels(struct decode *d)
{
    enum status s = check_promise(d);
    if (s != ST_OK)
        return s;
    uint8_t *rgb = malloc((size_t)d->image.stored_width * (size_t)d->image.stored_height * 3);
    if (!rgb)
        return refuse(d, IMAGE_DECODE_FAILED, ST_NOMEM, "no memory for the pixels");
    s = decode_rows(d, rgb);
    if (s != ST_OK) {
        free(rgb);
        return s;
    }
    return turn(d, rgb);
}

/* ---- what libvips has no loader for ------------------------------------------------------------------------------ */

static enum status refuse_bmp(struct decode *d, enum status s, const struct diag *cause)
{
    d->kind = s == ST_UNSUPPORTED ? IMAGE_UNSUPPORTED_FORMAT : IMAGE_CORRUPT;
    return diag_set(d->why, s, "image: bmp is damaged or of another kind: %s", cause->text);
}

/* Takes rgba's pixels of b, or as many as the policy asks for. */
static enum status take_bmp(struct decode *d, struct bmp *b, uint8_t *rgba, uint8_t *rgb)
{
    size_t width = (size_t)b->width, n = width * (size_t)b->height;
    memset(rgba, FILL, 4 * n);
    int rows = bmp_read(b, rgba);
    d->image.rows_decoded = (double)rows / b->height;
    d->image.had_alpha = b->has_alpha;
    if (rows < b->height && d->image.rows_decoded < d->policy->min_rows_fraction) {
        d->kind = IMAGE_TRUNCATED;
        return diag_set(d->why, ST_FORMAT, "image: bmp breaks off: %d of %d rows", rows, b->height);
    }
    if (rows < b->height)
        d->image.notes |= IMAGE_NOTE_TRUNCATED;
    struct pixel_layout layout = {.colour = PIXEL_RGB,
                                  .bands = 4,
                                  .has_alpha = b->has_alpha && rows == b->height,
                                  .flatten = d->policy->kind == IMAGE_POLICY_DEFAULT};
    memcpy(layout.background, d->policy->background, sizeof layout.background);
    for (int y = 0; y < b->height; y++)
        pixels_to_rgb(&layout, rgba + 4 * width * (size_t)y, b->width, rgb + 3 * width * (size_t)y);
    return ST_OK;
}

static enum status decode_bmp(struct decode *d)
{
    struct bmp b;
    struct diag cause = {""};
    enum status s = bmp_open(d->bytes, d->len, &b, &cause);
    if (s != ST_OK)
        return refuse_bmp(d, s, &cause);
    d->image.stored_width = b.width;
    d->image.stored_height = b.height;
    d->image.orientation = d->image.frames = 1;
    s = check_sizes(d);
    if (s != ST_OK)
        return s;
    size_t n = (size_t)b.width * (size_t)b.height;
    uint8_t *rgba = malloc(4 * n), *rgb = malloc(3 * n);
    s = rgba && rgb ? take_bmp(d, &b, rgba, rgb) : refuse(d, IMAGE_DECODE_FAILED, ST_NOMEM, "no memory for the pixels");
    free(rgba);
    if (s == ST_OK)
        return turn(d, rgb);
    free(rgb);
    return s;
}

static enum status decode_by_libvips(struct decode *d)
{
    enum status s = check_sides(d);
    if (s == ST_OK)
        s = loader_open(d, VIPS_FAIL_ON_ERROR);
    if (s == ST_OK)
        s = check_header(d);
    return s == ST_OK ? decode_pixels(d) : s;
}

enum status image_decode_pixels(const uint8_t *bytes, size_t len, const struct image_policy *policy, struct image *out,
                                enum image_error *kind, struct diag *why)
{
    struct decode d = {.bytes = bytes, .len = len, .policy = policy, .why = why};
    enum status s = check_bytes(&d);
    if (s == ST_OK)
        s = strcmp(d.image.format, "bmp") == 0 ? decode_bmp(&d) : decode_by_libvips(&d);
    decode_close(&d);
    vips_error_clear();
    if (s == ST_OK)
        *out = d.image;
    else if (d.kind == IMAGE_TRUNCATED)
        out->rows_decoded = d.image.rows_decoded;
    if (kind)
        *kind = s == ST_OK ? IMAGE_OK : d.kind;
    return s;
}

enum status image_decode(const uint8_t *bytes, size_t len, const struct image_policy *policy, struct image *out,
                         enum image_error *kind, struct diag *why)
{
    enum status s = image_decode_pixels(bytes, len, policy, out, kind, why);
    if (s == ST_OK) {
        uint8_t digest[SHA256_BYTES];
        sha256_of(bytes, len, digest);
        sha256_hex(digest, out->sha256);
    }
    return s;
}

void image_fini(struct image *image)
{
    if (image->mapped)
        munmap(image->rgb, image->mapped);
    else
        free(image->rgb);
    *image = (struct image){0};
}
