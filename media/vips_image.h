/* libvips for the files of this room that know it (those that share decode.h read, picture.c writes), included here and
 * nowhere else. */
#ifndef MEDIA_VIPS_IMAGE_H
#define MEDIA_VIPS_IMAGE_H

#include <vips/vips.h>

/* Takes `next` as the image from here on and drops the one before. */
static inline void vips_image_step(VipsImage **image, VipsImage *next)
{
    g_object_unref(*image);
    *image = next;
}

#endif
