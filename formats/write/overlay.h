/* A record -> what is drawn over its picture: boxes, phrases and scores as an SVG layer of the picture's display size.
 * Pure text; media/image.h lays it over pixels. Readable on light and dark pictures: every line and letter stands in
 * colour on a dark or light outline, never on the picture itself. */
#ifndef FORMATS_WRITE_OVERLAY_H
#define FORMATS_WRITE_OVERLAY_H

#include "base/json.h"
#include "base/status.h"

/* *svg malloc'ed, NUL-terminated. ST_FORMAT: no record of schema 1; ST_MISSING: the record has no picture (it failed
 * as a whole). scale: pixels drawn a display pixel (1 = full size); text keeps a readable size at any scale. */
MUST_CHECK enum status overlay_svg(const struct json *record, double scale, char **svg, struct diag *why);

/* A file name for the record's picture, from its key and `job` id: safe on any file system, distinct for distinct
 * jobs; "photos_a.jpg-1a2b3c4d.png" for suffix ".png". *name malloc'ed. */
MUST_CHECK enum status overlay_name(const struct json *record, const char *suffix, char **name, struct diag *why);

#endif
