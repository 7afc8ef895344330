#include "formats/read/nameless_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum status nameless_file_open(const char *what, FILE **out, struct diag *why)
{
    const char *folder = secure_getenv("TMPDIR");
    char name[PATH_MAX];
    if (!folder || !*folder)
        folder = "/var/tmp";
    int n = snprintf(name, sizeof name, "%s/ferret-XXXXXX", folder);
    int fd = n < (int)sizeof name ? mkostemp(name, O_CLOEXEC) : (errno = ENAMETOOLONG, -1);
    if (fd < 0)
        return diag_set(why, ST_IO, "%s: no temporary file in %s: %s", what, folder, strerror(errno));
    unlink(name);
    if ((*out = fdopen(fd, "w+")))
        return ST_OK;
    close(fd);
    return ST_NOMEM;
}
