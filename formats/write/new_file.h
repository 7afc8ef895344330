/* Files that writers make: NAME.new until it is whole. Inside of formats/write. */
#ifndef FORMATS_WRITE_NEW_FILE_H
#define FORMATS_WRITE_NEW_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"

/* Makes the folders above path, as `mkdir -p` does. */
MUST_CHECK enum status make_folders_above(const char *path, struct diag *why);
/* The same, and path itself. ST_IO: among others, it is there and no folder. */
MUST_CHECK enum status make_folders(const char *path, struct diag *why);

struct new_file {
    FILE *out; /* to write with; errors are found by new_file_close */
    char *path, *temporary;
};
/* DIR/NAME; missing folders are made. The caller ends it with new_file_close. */
MUST_CHECK enum status new_file_open(struct new_file *f, const char *dir, const char *name, struct diag *why);
/* Renames it, or removes it where keep is false or it could not be written whole (ST_IO naming it). A file that
 * was never opened is ST_OK. */
MUST_CHECK enum status new_file_close(struct new_file *f, bool keep, struct diag *why);
/* The same for one whose text is at hand. */
MUST_CHECK enum status new_file_write(const char *dir, const char *name, const char *text, size_t len,
                                      struct diag *why);

#endif
