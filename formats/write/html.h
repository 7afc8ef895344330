/* A gallery of records: one static page, no script, no request to anywhere but the pictures beside it; light and dark
 * by the reader's setting. Records are written as they come, so memory stays flat. One thread. */
#ifndef FORMATS_WRITE_HTML_H
#define FORMATS_WRITE_HTML_H

#include <stdbool.h>

#include "base/json.h"
#include "base/status.h"

struct html;
/* path: of the page. Missing folders above are made. The caller owns *out. */
MUST_CHECK enum status html_open(const char *path, const char *title, struct html **out, struct diag *why);
/* picture: path of the record's picture, relative to the page (raw, not escaped); NULL: none, the record's texts or
 * error alone. Boxes are laid over it as SVG, so the picture itself is shown without them. */
MUST_CHECK enum status html_put(struct html *h, const struct json *record, const char *picture, struct diag *why);
/* Ends the page, which appears under its name here: whole, or not at all where keep is false or the disk is full. Frees
 * h, also on failure. */
MUST_CHECK enum status html_close(struct html *h, bool keep, struct diag *why);

#endif
