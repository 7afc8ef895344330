#include "formats/write/new_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

enum status make_folders(const char *path, struct diag *why)
{
    struct stat st;
    enum status s = make_folders_above(path, why);
    if (s != ST_OK || mkdir(path, 0777) == 0)
        return s;
    int cause = errno;
    if (cause == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return ST_OK;
    return diag_set(why, ST_IO, "%s: the folder can't be made: %s", path, strerror(cause));
}

static void forget(struct new_file *f)
{
    free(f->path);
    free(f->temporary);
    *f = (struct new_file){0};
}

enum status new_file_open(struct new_file *f, const char *dir, const char *name, struct diag *why)
{
    *f = (struct new_file){0};
    if (asprintf(&f->path, "%s/%s", dir, name) < 0)
        f->path = NULL;
    if (!f->path || asprintf(&f->temporary, "%s.new", f->path) < 0)
        f->temporary = NULL;
    enum status s = f->temporary ? make_folders_above(f->path, why) : ST_NOMEM;
    if (s == ST_OK && !(f->out = fopen(f->temporary, "w+e")))
        s = diag_set(why, ST_IO, "%s: %s", f->path, strerror(errno));
    if (s != ST_OK)
        forget(f);
    return s;
}

enum status new_file_close(struct new_file *f, bool keep, struct diag *why)
{
    if (!f->out)
        return ST_OK;
    errno = 0;
    bool bad = fflush(f->out) != 0 || ferror(f->out) != 0;
    int cause = errno;
    bad = fclose(f->out) != 0 || bad;
    enum status s = ST_OK;
    if (bad && keep)
        s = diag_set(why, ST_IO, "%s: could not be written whole: %s", f->path, strerror(cause ? cause : ENOSPC));
    else if (keep && rename(f->temporary, f->path) != 0)
        s = diag_set(why, ST_IO, "%s: %s", f->path, strerror(errno));
    if (!keep || s != ST_OK)
        unlink(f->temporary);
    forget(f);
    return s;
}

enum status new_file_write(const char *dir, const char *name, const char *text, size_t len, struct diag *why)
{
    struct new_file f;
    enum status s = new_file_open(&f, dir, name, why);
    if (s != ST_OK)
        return s;
    fwrite(text, 1, len, f.out);
    return new_file_close(&f, true, why);
}
