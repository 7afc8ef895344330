#include "protocol/guarded_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum status failed(const char *path, struct diag *why)
{
    return diag_set(why, errno == ENOENT ? ST_MISSING : ST_IO, "%s: %s", path, strerror(errno));
}

/* root reads and replaces everything: whose the file is says nothing then. */
static enum status check_owner(const char *path, const struct stat *st, enum guard guard, struct diag *why)
{
    bool of_root = st->st_uid == 0 && geteuid() != 0;
    mode_t others = guard == GUARD_TRUST ? S_IWGRP | S_IWOTH
                    : of_root            ? S_IWGRP | S_IXGRP | S_IRWXO
                                         : S_IRWXG | S_IRWXO;
    if (!S_ISREG(st->st_mode))
        return diag_set(why, ST_INVALID, "%s: not a file", path);
    if (geteuid() != 0 && st->st_uid != geteuid() && st->st_uid != 0)
        return diag_set(why, ST_REFUSED, "%s: belongs to user %u, not to this one or root", path, st->st_uid);
    if (st->st_mode & others)
        return diag_set(why, ST_REFUSED, "%s: others can %s it (mode %04o): chmod %s %s", path,
                        guard == GUARD_TRUST ? "write" : "read", (unsigned)(st->st_mode & 07777),
                        guard == GUARD_TRUST ? "go-w" : "600", path);
    return ST_OK;
}

static enum status read_all(int fd, const char *path, size_t max, char **text, size_t *len, struct diag *why)
{
    char *buffer = malloc(max + 2);
    size_t n = 0;
    if (!buffer)
        return ST_NOMEM;
    for (ssize_t got = 1; got > 0 && n <= max;) {
        got = read(fd, buffer + n, max + 1 - n);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got < 0) {
            free(buffer);
            return failed(path, why);
        } else
            n += (size_t)got;
    }
    if (n > max) {
        free(buffer);
        return diag_set(why, ST_LIMIT, "%s: over %zu bytes", path, max);
    }
    buffer[n] = '\0';
    *text = buffer;
    *len = n;
    return ST_OK;
}

enum status guarded_file_read(const char *path, enum guard guard, size_t max, char **text, size_t *len,
                              struct diag *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return failed(path, why);
    struct stat st;
    enum status s = fstat(fd, &st) == 0 ? check_owner(path, &st, guard, why) : failed(path, why);
    if (s == ST_OK)
        s = read_all(fd, path, max, text, len, why);
    close(fd);
    return s;
}

static bool write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
    return fsync(fd) == 0;
}

/* link() takes no name that is there, so that two who write at once don't overwrite each other. */
static enum status put_in_place(const char *temporary, const char *path, bool replace, struct diag *why)
{
    int rc = replace ? rename(temporary, path) : link(temporary, path);
    enum status s = rc == 0           ? ST_OK
                    : errno == EEXIST ? diag_set(why, ST_REFUSED, "%s: is there already; --yes overwrites it", path)
                                      : failed(path, why);
    if (!replace || rc != 0)
        unlink(temporary);
    return s;
}

enum status guarded_file_write(const char *path, enum guard guard, const char *text, size_t len, bool replace,
                               struct diag *why)
{
    enum { SECRET_MODE = 0600, PUBLIC_MODE = 0644 };
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary)
        return diag_set(why, ST_LIMIT, "%s: path too long", path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return failed(path, why);
    bool ok = fchmod(fd, guard == GUARD_SECRET ? SECRET_MODE : PUBLIC_MODE) == 0 && write_all(fd, text, len);
    int error = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        error = errno;
    }
    if (ok)
        return put_in_place(temporary, path, replace, why);
    unlink(temporary);
    errno = error;
    return failed(path, why);
}
