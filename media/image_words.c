/* The policy that goes without saying, and the words of records for what is in image.h. */
#include "media/image.h"

struct image_policy image_policy_default(enum image_policy_kind kind)
{
    return (struct image_policy){.kind = kind,
                                 .background = {255, 255, 255},
                                 .max_bytes = (size_t)256 << 20,
                                 .max_pixels = 200 * 1000 * 1000,
                                 .max_side = 65535,
                                 .min_rows_fraction = 0.5};
}

const char *image_policy_word(enum image_policy_kind kind)
{
    return kind == IMAGE_POLICY_ML_FERRET ? "ml-ferret" : "default";
}

const char *image_error_word(enum image_error e)
{
    static const char *const words[] = {
        [IMAGE_OK] = "ok",
        [IMAGE_MISSING] = "missing",
        [IMAGE_EMPTY] = "empty",
        [IMAGE_NOT_AN_IMAGE] = "not_an_image",
        [IMAGE_UNSUPPORTED_FORMAT] = "unsupported_format",
        [IMAGE_TOO_LARGE] = "too_large",
        [IMAGE_TRUNCATED] = "truncated",
        [IMAGE_CORRUPT] = "corrupt",
        [IMAGE_DECODE_FAILED] = "decode_failed",
        [IMAGE_TIMEOUT] = "timeout",
        [IMAGE_CRASHED] = "crashed",
    };
    return (unsigned)e < IMAGE_ERROR_COUNT_ ? words[e] : "unknown";
}

const char *image_note_word(enum image_note bit)
{
    switch (bit) {
    case IMAGE_NOTE_TRUNCATED: return "truncated";
    case IMAGE_NOTE_DEGENERATE: return "degenerate_size";
    case IMAGE_NOTE_CMYK: return "cmyk";
    case IMAGE_NOTE_SIXTEEN_BIT: return "sixteen_bit";
    case IMAGE_NOTE_ICC: return "icc";
    case IMAGE_NOTE_ICC_FAILED: return "icc_failed";
    case IMAGE_NOTE_FIRST_FRAME: return "first_frame";
    case IMAGE_NOTE_BAD_ORIENTATION: return "bad_orientation";
    }
    return "unknown";
}
