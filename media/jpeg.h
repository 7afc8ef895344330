/* What a JPEG decoder's warnings mean for the picture. libjpeg goes on after damage and makes up what is missing, and
 * says so once: the first warning of a file is told, later ones are only counted. Inside of media. */
#ifndef MEDIA_JPEG_H
#define MEDIA_JPEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum jpeg_word {
    JPEG_NOTHING,    /* said so far */
    JPEG_HARMLESS,   /* an odd header, bytes between two segments: every row is as its encoder left it */
    JPEG_BREAKS_OFF, /* the data end before the rows do */
    JPEG_DAMAGED,    /* a code that none stands for, a restart out of its turn */
};
/* said: lines of what the decoder said, libjpeg's words in each. */
enum jpeg_word jpeg_heard(const char *said);
static inline bool jpeg_is_damage(enum jpeg_word word)
{
    return word == JPEG_BREAKS_OFF || word == JPEG_DAMAGED;
}
/* Whether n RGB pixels are what libjpeg leaves where it has no data, in files without a profile and other than CMYK. */
bool jpeg_made_up(const uint8_t *rgb, size_t n);

/* The same picture without what harmless warnings are about: other segments than the pixels' are left out, bytes
 * between segments too, the header of a sequential scan is made regular. Colours may differ. malloc'ed; NULL: no
 * memory, or no scan. */
uint8_t *jpeg_plain(const uint8_t *bytes, size_t len, size_t *n);

#endif
