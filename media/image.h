/* Bytes of an image file -> display pixels: 8-bit RGB, turned as the camera says, with what was found on the way.
 *
 * By content, never by extension. Only the loaders of an allow-list are reached (JPEG, PNG, WebP, GIF, TIFF, HEIF and
 * AVIF, JPEG XL, BMP); SVG, PDF and the like are refused by name. Sizes come from the header and are held against the
 * policy before a pixel is decoded. Thread-safe; one decode uses one thread.
 *
 * Bytes from outside should go through media/decoder.h, which calls this in a child process. */
#ifndef MEDIA_IMAGE_H
#define MEDIA_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"
#include "base/status.h"

enum image_policy_kind {
    IMAGE_POLICY_DEFAULT,   /* EXIF turn applied, alpha composited, 16 bit scaled, ICC and CMYK to sRGB */
    IMAGE_POLICY_ML_FERRET, /* as Pillow's convert("RGB"): EXIF ignored, alpha dropped, 16-bit grey clipped to 255, CMYK
                               by the plain formula, no ICC */
};

struct image_policy {
    enum image_policy_kind kind;
    uint8_t background[3];    /* behind alpha, default policy */
    size_t max_bytes;         /* of the file */
    int64_t max_pixels;       /* of a frame */
    int max_side;             /* pixels */
    double min_rows_fraction; /* a truncated file is used from this share of its rows on, else refused */
};
/* White, 256 MiB, 200 megapixels, 65,535 pixels a side, half of the rows. */
struct image_policy image_policy_default(enum image_policy_kind kind);
const char *image_policy_word(enum image_policy_kind kind); /* "default", "ml-ferret" */

/* Why an image gives no pixels. Permanent, but `timeout`, `crashed` and `decode_failed` (memory), which a caller may
 * try once more. */
enum image_error {
    IMAGE_OK,
    IMAGE_MISSING,            /* no such file: for callers that read it themselves */
    IMAGE_EMPTY,              /* no bytes */
    IMAGE_NOT_AN_IMAGE,       /* HTML, text, noise */
    IMAGE_UNSUPPORTED_FORMAT, /* an image or document that is not on the allow-list, or its codec is absent */
    IMAGE_TOO_LARGE,          /* bytes, pixels or side over the policy */
    IMAGE_TRUNCATED,          /* the data end too early, with or without an end mark, for most of the rows */
    IMAGE_CORRUPT,            /* header or data contradict themselves */
    IMAGE_DECODE_FAILED,      /* anything else the codec said */
    IMAGE_TIMEOUT,
    IMAGE_CRASHED, /* the decoder's process died over it */
    IMAGE_ERROR_COUNT_
};
const char *image_error_word(enum image_error e); /* "not_an_image"; "ok" for IMAGE_OK. Static storage. */

/* What a record should say about the picture; bits of image.notes. */
enum image_note {
    IMAGE_NOTE_TRUNCATED = 1 << 0,       /* rows_decoded < 1, the rest is filled by the codec, or scans are missing */
    IMAGE_NOTE_DEGENERATE = 1 << 1,      /* a side under 8 pixels, or sides beyond 1 : 50 */
    IMAGE_NOTE_CMYK = 1 << 2,            /* converted from CMYK */
    IMAGE_NOTE_SIXTEEN_BIT = 1 << 3,     /* more than 8 bits a sample, reduced */
    IMAGE_NOTE_ICC = 1 << 4,             /* an embedded profile was applied */
    IMAGE_NOTE_ICC_FAILED = 1 << 5,      /* an embedded profile could not be applied and was ignored */
    IMAGE_NOTE_FIRST_FRAME = 1 << 6,     /* of several */
    IMAGE_NOTE_BAD_ORIENTATION = 1 << 7, /* outside 1..8, taken as 1 */
};
enum { IMAGE_N_NOTES = 8 };
const char *image_note_word(enum image_note bit); /* "truncated", "degenerate_size", ... Static storage. */

struct image {
    uint8_t *rgb;                    /* [height][width][3] */
    size_t mapped;                   /* length of the mapping behind rgb; 0: rgb is malloc'ed */
    int width, height;               /* display: after the turn */
    int stored_width, stored_height; /* as in the file */
    int orientation;                 /* 1..8 as the file says (1 where it says nothing); applied under the default
                                        policy only */
    bool had_alpha;
    int frames;              /* frames or pages of the file; the first is decoded */
    double rows_decoded;     /* share of the rows in front of the first damage: 1 unless truncated. JPEG in several
                                scans: rows that any scan reached, 1 with the note where only detail is missing. GIF
                                with lines out of order: as many as there are, wherever they lie */
    unsigned notes;          /* bits of enum image_note */
    char format[16];         /* "jpeg", "png", "webp", "gif", "tiff", "heif", "avif", "jxl", "bmp" */
    char sha256[SHA256_HEX]; /* of the file's bytes */
};

/* The caller owns *out: image_fini. On failure *kind (may be NULL) tells what a record should say, and the status is
 * ST_FORMAT, ST_LIMIT, ST_UNSUPPORTED or ST_NOMEM; *out stays as it was, but for IMAGE_TRUNCATED, which leaves the
 * share of rows that were there in out->rows_decoded. `image_library_start` must have succeeded in this process. */
MUST_CHECK enum status image_decode(const uint8_t *bytes, size_t len, const struct image_policy *policy,
                                    struct image *out, enum image_error *kind, struct diag *why);
void image_fini(struct image *image); /* zeroed or filled; leaves it zeroed */

/* Starts libvips in this process: no cache, one thread a decode. Once, before the first image_decode; costs some ten
 * milliseconds. `program`: argv[0] or any name. */
MUST_CHECK enum status image_library_start(const char *program, struct diag *why);

/* Where the format can be told from the first bytes: "jpeg", "svg", "pdf", "html", ... or NULL. supported (may be
 * NULL): whether image_decode takes it. */
const char *image_sniff(const uint8_t *bytes, size_t len, bool *supported);

#endif
