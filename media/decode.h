/* One decode on its way: what the files of this room that read pictures share (image.c the policy and the samples,
 * loader.c libvips' loaders, jpeg_rows.c damage inside of JPEGs). Inside of media. */
#ifndef MEDIA_DECODE_H
#define MEDIA_DECODE_H

#include "media/image.h"
#include "media/jpeg.h"
#include "media/pixels.h"
#include "media/sniff.h"
#include "media/vips_image.h"

/* A file's bytes as its decoder asks for them. */
struct feed {
    const uint8_t *bytes;
    size_t len, at;
};

struct decode {
    const uint8_t *bytes;
    size_t len;
    const struct image_policy *policy;
    struct file_facts facts;
    struct feed feed;   /* outlives file and samples */
    VipsImage *file;    /* as the loader gives it */
    VipsImage *samples; /* 8 bits, laid out as `layout` says */
    struct pixel_layout layout;
    enum jpeg_word heard; /* from a JPEG's decoder, while rows are read */
    int damaged_at;       /* first row of the strip in which it was heard */
    struct image image;
    enum image_error kind;
    struct diag *why;
};

/* Opens d->bytes as d->image.format says into d->file; one that was open is closed. An error is typed as by
 * loader_refuse. */
MUST_CHECK enum status loader_open(struct decode *d, VipsFailOn fail_on);
bool loader_turns(const char *format); /* whether pixels come with the file's orientation applied */
/* What libvips said, in one line, and what it means given how the file ends; sets d->kind. */
MUST_CHECK enum status loader_refuse(struct decode *d);
void decode_close(struct decode *d);

/* Decodes d->samples row by row into rgb (NULL: for the decoder's words alone) until the end, the first failure or
 * damage that makes the rest worthless; returns the rows. */
int decode_read_rows(struct decode *d, uint8_t *rgb);

/* Listens to a JPEG's decoder behind the strip of row y. False: what follows is made up. Other formats go on. */
bool jpeg_goes_on(struct decode *d, int y);
/* The rows, of those read into rgb, in front of a JPEG's damage; all of them where there is none, or in other formats.
 * Notes on d->image that something is missing. */
int jpeg_sound_rows(struct decode *d, const uint8_t *rgb, int rows);

#endif
