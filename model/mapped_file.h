/* A whole file mapped read-only, and paths of files in a folder. */
#ifndef MODEL_MAPPED_FILE_H
#define MODEL_MAPPED_FILE_H

#include <stddef.h>

#include "base/status.h"

enum { MAX_PATH_BYTES = 4096 };
/* path = dir/name; ST_LIMIT where it does not fit. */
MUST_CHECK enum status path_join(char path[MAX_PATH_BYTES], const char *dir, const char *name, struct diag *why);

struct mapped_file {
    char *path;
    const void *bytes;
    size_t size; /* taken once, when mapped: readers check every range against it */
};
/* ST_MISSING, ST_IO, ST_FORMAT (empty). */
MUST_CHECK enum status file_map(const char *path, struct mapped_file *out, struct diag *why);
void file_unmap(struct mapped_file *f); /* a zeroed one is fine */

#endif
