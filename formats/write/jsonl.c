#include "formats/write/jsonl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "formats/write/new_file.h"

struct jsonl {
    int fd;
    char *name;
};

/* Cuts off what stands behind the last newline: half a line of a writer that was killed. */
static enum status drop_half_line(int fd, const char *path, struct diag *why)
{
    enum { BLOCK = 64 << 10 };
    char block[BLOCK];
    off_t end = lseek(fd, 0, SEEK_END), keep = 0;
    for (off_t at = end; at > 0 && keep == 0;) {
        size_t n = at < BLOCK ? (size_t)at : BLOCK;
        at -= (off_t)n;
        if (pread(fd, block, n, at) != (ssize_t)n)
            return diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
        const char *newline = memrchr(block, '\n', n);
        if (newline)
            keep = at + (newline - block) + 1;
    }
    if (end > 0 && keep < end && ftruncate(fd, keep) != 0)
        return diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
    return lseek(fd, keep > 0 ? keep : 0, SEEK_SET) < 0 ? diag_set(why, ST_IO, "%s: %s", path, strerror(errno)) : ST_OK;
}

static enum status open_file(struct jsonl *f, const char *path, bool append, struct diag *why)
{
    enum status s = make_folders_above(path, why);
    if (s != ST_OK)
        return s;
    f->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (append ? 0 : O_TRUNC), 0666);
    if (f->fd < 0 && (errno == EACCES || errno == ENXIO)) /* something that can only be written, such as a pipe */
        f->fd = open(path, O_WRONLY | O_CLOEXEC);
    if (f->fd < 0)
        return diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
    bool seekable = lseek(f->fd, 0, SEEK_CUR) >= 0;
    return append && seekable ? drop_half_line(f->fd, path, why) : ST_OK;
}

enum status jsonl_open(const char *path, bool append, struct jsonl **out, struct diag *why)
{
    bool standard = strcmp(path, "-") == 0;
    struct jsonl *f = calloc(1, sizeof *f);
    if (!f)
        return ST_NOMEM;
    f->fd = STDOUT_FILENO;
    f->name = strdup(standard ? "stdout" : path);
    enum status s = !f->name ? ST_NOMEM : standard ? ST_OK : open_file(f, path, append, why);
    if (s != ST_OK) {
        jsonl_close(f);
        return s;
    }
    *out = f;
    return ST_OK;
}

/* The beginning of a line whose rest found no room. */
static void take_back(const struct jsonl *f, off_t written)
{
    struct stat st;
    off_t at = lseek(f->fd, 0, SEEK_CUR);
    if (written > 0 && fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode) && at == st.st_size &&
        ftruncate(f->fd, at - written) == 0)
        (void)lseek(f->fd, at - written, SEEK_SET);
}

enum status jsonl_put(struct jsonl *f, const char *text, size_t len, struct diag *why)
{
    char newline = '\n';
    struct iovec parts[] = {{(void *)(uintptr_t)text, len}, {&newline, 1}};
    int first = 0;
    off_t written = 0;
    while (first < 2) {
        ssize_t n = writev(f->fd, parts + first, 2 - first);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EPIPE)
            return ST_CANCELLED;
        if (n < 0) {
            enum status s = diag_set(why, ST_IO, "%s: %s", f->name, strerror(errno));
            take_back(f, written);
            return s;
        }
        written += n;
        for (size_t left = (size_t)n; first < 2;) {
            if (left < parts[first].iov_len) {
                parts[first].iov_base = (char *)parts[first].iov_base + left;
                parts[first].iov_len -= left;
                break;
            }
            left -= parts[first++].iov_len;
        }
    }
    return ST_OK;
}

enum status jsonl_sync(struct jsonl *f, struct diag *why)
{
    /* EINVAL, EROFS: a terminal or a pipe, which has nothing to sync */
    if (fdatasync(f->fd) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
        return diag_set(why, ST_IO, "%s: %s", f->name, strerror(errno));
    return ST_OK;
}

void jsonl_close(struct jsonl *f)
{
    if (!f)
        return;
    if (f->fd > STDERR_FILENO)
        close(f->fd);
    free(f->name);
    free(f);
}
