/* A file without a name, for what memory should not hold: it is gone with its last close, however the process ends. */
#ifndef FORMATS_READ_NAMELESS_FILE_H
#define FORMATS_READ_NAMELESS_FILE_H

#include <stdio.h>

#include "base/status.h"

/* For reading and writing, in the folder that TMPDIR names, else in /var/tmp, which unlike /tmp is on a disk. The
 * caller owns *out: fclose. ST_IO names the folder; what: the words for the file in it. */
MUST_CHECK enum status nameless_file_open(const char *what, FILE **out, struct diag *why);

#endif
