/* Local file names as jobs carry them. */
#ifndef FORMATS_READ_LOCAL_PATH_H
#define FORMATS_READ_LOCAL_PATH_H

#include <stdbool.h>

#include "base/status.h"

/* "scheme:rest" or "ROOT:rest": not a local path. */
bool is_uri(const char *text);
/* path made absolute under `folder` (itself absolute or relative to the current one; NULL = the current one), without
 * "." and ".." where links allow it. *out malloc'ed. */
MUST_CHECK enum status path_absolute(const char *folder, const char *path, char **out, struct diag *why);
/* The folder of a file, "." where the path has none. Malloc'ed. */
char *path_folder(const char *path);
/* JSON and MessagePack carry UTF-8 only: an absolute path that is not UTF-8 becomes "file://" with percent signs; any
 * other is copied. *out malloc'ed. */
MUST_CHECK enum status path_as_text(const char *path, char **out);
/* A member's name as text: bytes that are no UTF-8, control characters and percent signs become %XX. *out malloc'ed. */
MUST_CHECK enum status path_as_name(const char *name, char **out);

#endif
