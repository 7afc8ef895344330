/* A tar shard (WebDataset and others) as inputs: its members that are named like images, each read by its place. Inside
 * of formats/read. */
#ifndef FORMATS_READ_SHARD_H
#define FORMATS_READ_SHARD_H

#include <stdbool.h>

#include "formats/read/source.h"

/* The name ends like a shard's: ".tar". */
bool is_shard_name(const char *path);
/* path: a local one, or a URI (is_uri), which is read through the options' remote. o, path: borrowed. */
MUST_CHECK enum status shard_open(const struct inputs_options *o, const char *path, bool is_uri, struct source **out);

#endif
