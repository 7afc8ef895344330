/* Inside of media: image_decode without the hash, which a pool computes on its own side. */
#ifndef MEDIA_IMAGE_IMPL_H
#define MEDIA_IMAGE_IMPL_H

#include "media/image.h"

MUST_CHECK enum status image_decode_pixels(const uint8_t *bytes, size_t len, const struct image_policy *policy,
                                           struct image *out, enum image_error *kind, struct diag *why);

#endif
