/* Members of a tar file (ustar; long names by a pax header), as any reader takes them. Owner, time and mode are always
 * the same, so equal contents make equal files. Inside of formats/write. */
#ifndef FORMATS_WRITE_TAR_H
#define FORMATS_WRITE_TAR_H

#include <stddef.h>
#include <stdio.h>

/* Errors stay in the stream. */
void tar_put(FILE *out, const char *name, const void *bytes, size_t len);
void tar_end(FILE *out);

#endif
