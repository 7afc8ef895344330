/* Bytes of a file, uncompressed as they are read. The only reader that knows libzstd, and to inflate. */
#ifndef FORMATS_READ_UNPACK_H
#define FORMATS_READ_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct unpack;
/* Takes the file descriptor, also on failure. name: for messages, borrowed. */
MUST_CHECK enum status unpack_open(int fd, const char *name, struct unpack **out, struct diag *why);
void unpack_close(struct unpack *u); /* NULL is fine */
/* Up to `room` bytes; *n = 0 at the end. ST_IO; ST_FORMAT: damaged or cut short. */
MUST_CHECK enum status unpack_read(struct unpack *u, uint8_t *out, size_t room, size_t *n, struct diag *why);

#endif
