#include "formats/write/new_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum status make_folders_above(const char *path, struct diag *why)
{
    char *copy = strdup(path);
    enum status s = copy ? ST_OK : ST_NOMEM;
    for (char *slash = copy ? strchr(copy + 1, '/') : NULL; slash && s == ST_OK; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            s = diag_set(why, ST_IO, "%s: the folder can't be made: %s", copy, strerror(errno));
        *slash = '/';
    }
    free(copy);
    return s;
}
