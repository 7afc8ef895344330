/* Text that grows, and text as XML and HTML need it. Inside of formats/write. */
#ifndef FORMATS_WRITE_MARKUP_H
#define FORMATS_WRITE_MARKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/json.h"

/* Writes text with & < > " ' replaced and control characters left out, at most `most` characters (then "..."). */
void markup_text(FILE *out, const char *text, size_t most);
/* How wide text is in ems at a sans-serif font, roughly: wide scripts count double. */
double markup_width(const char *text, size_t most);

/* Numbers of a list into out[0..n); false where it is no list of n numbers. */
bool markup_numbers(const struct json *list, double *out, size_t n);

#endif
