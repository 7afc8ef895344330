/* Files that writers make. Inside of formats/write. */
#ifndef FORMATS_WRITE_NEW_FILE_H
#define FORMATS_WRITE_NEW_FILE_H

#include "base/status.h"

/* Makes the folders above path, as `mkdir -p` does. */
MUST_CHECK enum status make_folders_above(const char *path, struct diag *why);

#endif
