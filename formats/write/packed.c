#include "formats/write/packed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

enum { LEVEL = 3, BLOCK = 64 << 10 };

struct packed {
    int fd;
    char *path;
    ZSTD_CCtx *zstd;
    struct sha256 sha;
    uint64_t bytes;
    uint8_t block[BLOCK];
};

static enum status io(struct diag *why, const char *path)
{
    return diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
}

enum status packed_create(const char *path, struct packed **out, struct diag *why)
{
    struct packed *f = calloc(1, sizeof *f);
    if (!f)
        return ST_NOMEM;
    f->fd = -1;
    f->path = strdup(path);
    f->zstd = ZSTD_createCCtx();
    sha256_init(&f->sha);
    enum status s = f->path && f->zstd ? ST_OK : ST_NOMEM;
    /* No checksum: packed_seal could not state one. */
    if (s == ST_OK && ZSTD_isError(ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_compressionLevel, LEVEL)))
        s = ST_NOMEM;
    if (s == ST_OK && (f->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) < 0)
        s = io(why, path);
    if (s != ST_OK) {
        packed_close(f);
        return s;
    }
    *out = f;
    return ST_OK;
}

void packed_close(struct packed *f)
{
    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    ZSTD_freeCCtx(f->zstd);
    free(f->path);
    free(f);
}

static enum status write_all(struct packed *f, size_t n, struct diag *why)
{
    for (size_t at = 0; at < n;) {
        ssize_t wrote = write(f->fd, f->block + at, n - at);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return io(why, f->path);
        at += (size_t)wrote;
    }
    sha256_add(&f->sha, f->block, n);
    f->bytes += n;
    return ST_OK;
}

/* Feeds the text and writes what comes out, until libzstd has taken (and, where the directive says so, given) all. */
static enum status feed(struct packed *f, const char *text, size_t len, ZSTD_EndDirective directive, struct diag *why)
{
    ZSTD_inBuffer in = {text, len, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {f->block, sizeof f->block, 0};
        left = ZSTD_compressStream2(f->zstd, &out, &in, directive);
        if (ZSTD_isError(left))
            return diag_set(why, ST_NOMEM, "%s: %s", f->path, ZSTD_getErrorName(left));
        enum status s = out.pos > 0 ? write_all(f, out.pos, why) : ST_OK;
        if (s != ST_OK)
            return s;
    } while (directive == ZSTD_e_continue ? in.pos < in.size : left > 0);
    return ST_OK;
}

enum status packed_put(struct packed *f, const char *text, size_t len, struct diag *why)
{
    enum status s = feed(f, text, len, ZSTD_e_continue, why);
    return s == ST_OK ? feed(f, "\n", 1, ZSTD_e_continue, why) : s;
}

enum status packed_sync(struct packed *f, uint64_t *bytes, struct diag *why)
{
    enum status s = feed(f, NULL, 0, ZSTD_e_flush, why);
    if (s == ST_OK && fdatasync(f->fd) != 0)
        s = io(why, f->path);
    if (s == ST_OK)
        *bytes = f->bytes;
    return s;
}

enum status packed_end(struct packed *f, struct packed_state *end, struct diag *why)
{
    enum status s = feed(f, NULL, 0, ZSTD_e_end, why);
    if (s == ST_OK && fdatasync(f->fd) != 0)
        s = io(why, f->path);
    if (s != ST_OK)
        return s;
    end->bytes = f->bytes;
    sha256_end(&f->sha, end->digest);
    return ST_OK;
}

/* A sync ends a block. An empty raw block that is marked as the last one (RFC 8878, 3.1.1.2) then ends the frame. */
enum status packed_seal(const char *path, uint64_t bytes, struct packed_state *end, struct diag *why)
{
    static const uint8_t last_block[] = {0x01, 0x00, 0x00};
    struct stat st;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return diag_set(why, ST_FORMAT, "%s: should have %llu bytes: %s", path, (unsigned long long)bytes,
                        strerror(errno));
    enum status s = ST_OK;
    if ((uint64_t)st.st_size < bytes)
        s = diag_set(why, ST_FORMAT, "%s: has %lld bytes, %llu were committed", path, (long long)st.st_size,
                     (unsigned long long)bytes);
    else if (ftruncate(fd, (off_t)bytes) != 0 ||
             pwrite(fd, last_block, sizeof last_block, (off_t)bytes) != (ssize_t)sizeof last_block ||
             fdatasync(fd) != 0)
        s = io(why, path);
    close(fd);
    return s == ST_OK ? packed_look(path, end, why) : s;
}

enum status packed_look(const char *path, struct packed_state *out, struct diag *why)
{
    uint8_t block[BLOCK];
    struct sha256 sha;
    struct packed_state state = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return diag_set(why, errno == ENOENT ? ST_MISSING : ST_IO, "%s: %s", path, strerror(errno));
    sha256_init(&sha);
    ssize_t n;
    while ((n = read(fd, block, sizeof block)) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0)
            continue;
        sha256_add(&sha, block, (size_t)n);
        state.bytes += (uint64_t)n;
    }
    enum status s = n < 0 ? io(why, path) : ST_OK;
    close(fd);
    if (s != ST_OK)
        return s;
    sha256_end(&sha, state.digest);
    *out = state;
    return ST_OK;
}
