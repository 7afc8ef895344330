/* Display pixels -> a picture file, with a layer of SVG over them where one is given. For what people look at; the SVG
 * is our own (formats/write/overlay.h), never one from outside. `image_library_start` must have succeeded. */
#ifndef MEDIA_PICTURE_H
#define MEDIA_PICTURE_H

#include "base/status.h"
#include "media/image.h"

/* scale: picture pixels a display pixel, above 0. svg: NUL-terminated, drawn at the scaled size; NULL: none. path ends
 * in .png or .jpg; the file appears whole, by rename. ST_UNSUPPORTED: libvips was built without SVG. */
MUST_CHECK enum status picture_write(const struct image *image, const char *svg, double scale, const char *path,
                                     struct diag *why);

#endif
