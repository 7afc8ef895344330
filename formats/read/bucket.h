/* What lies under s3://bucket/prefix/ as inputs, shards among it opened; sorted by name as the server lists it. Memory:
 * one page of names. Inside of formats/read. */
#ifndef FORMATS_READ_BUCKET_H
#define FORMATS_READ_BUCKET_H

#include <stdbool.h>

#include "formats/read/source.h"

/* "s3://bucket", "s3://bucket/" or "s3://bucket/prefix/". */
bool is_bucket_folder(const char *uri);
/* o: borrowed. */
MUST_CHECK enum status bucket_open(const struct inputs_options *o, const char *uri, struct source **out);

#endif
