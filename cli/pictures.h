/* Pictures of records: fetched from where their URI says, decoded as the worker did, drawn and written. One thread. */
#ifndef CLI_PICTURES_H
#define CLI_PICTURES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"
#include "base/settings.h"
#include "base/status.h"

struct fetch_flags; /* borrowed while the pictures are open */
struct link_flags;
struct pictures;
/* Forks the decoders' children: before anything starts a thread. max_side: of written pictures. The caller owns *out.
 */
MUST_CHECK enum status pictures_open(const struct link_flags *link, const struct setting_list *roots, int max_side,
                                     const struct fetch_flags *fetch, struct pictures **out, struct diag *why);
void pictures_close(struct pictures *p); /* NULL is fine */

/* Writes DIR/NAME; NAME is made from the record and goes to `name`. with_boxes: boxes, phrases and scores are drawn in.
 * ST_MISSING without words in *why: the record has no picture, since the image failed as a whole. */
MUST_CHECK enum status pictures_draw(struct pictures *p, const struct json *record, const char *dir, const char *suffix,
                                     bool with_boxes, char *name, size_t name_size, struct diag *why);

/* The path of the record's own file, where it is on this machine and browsers show its format. */
bool pictures_link(const struct pictures *p, const struct json *record, char *path, size_t size);

#endif
