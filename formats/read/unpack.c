#include "formats/read/unpack.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { PACKED_BYTES = 64 << 10, GZIP_WINDOW = 15 + 16 };
enum packing { PLAIN, GZIP, ZSTD };

struct unpack {
    int fd;
    const char *name;
    enum packing packing;
    uint8_t packed[PACKED_BYTES]; /* packed[at .. n): read and not used */
    size_t at, n;
    bool file_ended;
    bool between; /* no member of the file is open: here it may end */
    z_stream gzip;
    bool has_gzip;
    ZSTD_DStream *zstd;
};

static enum status refill(struct unpack *u, struct diag *why)
{
    if (u->at < u->n || u->file_ended)
        return ST_OK;
    ssize_t n;
    do
        n = read(u->fd, u->packed, sizeof u->packed);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return diag_set(why, ST_IO, "%s: %s", u->name, strerror(errno));
    u->at = 0;
    u->n = (size_t)n;
    u->file_ended = n == 0;
    return ST_OK;
}

static enum status choose(struct unpack *u, struct diag *why)
{
    static const uint8_t gzip_magic[] = {0x1F, 0x8B}, zstd_magic[] = {0x28, 0xB5, 0x2F, 0xFD};
    enum status s = refill(u, why);
    if (s != ST_OK)
        return s;
    u->between = true;
    if (u->n >= sizeof gzip_magic && memcmp(u->packed, gzip_magic, sizeof gzip_magic) == 0) {
        u->packing = GZIP;
        u->has_gzip = inflateInit2(&u->gzip, GZIP_WINDOW) == Z_OK;
        return u->has_gzip ? ST_OK : ST_NOMEM;
    }
    if (u->n >= sizeof zstd_magic && memcmp(u->packed, zstd_magic, sizeof zstd_magic) == 0) {
        u->packing = ZSTD;
        u->zstd = ZSTD_createDStream();
        return u->zstd ? ST_OK : ST_NOMEM;
    }
    return ST_OK;
}

enum status unpack_open(int fd, const char *name, struct unpack **out, struct diag *why)
{
    struct unpack *u = calloc(1, sizeof *u);
    if (!u) {
        close(fd);
        return ST_NOMEM;
    }
    u->fd = fd;
    u->name = name;
    enum status s = choose(u, why);
    if (s != ST_OK) {
        unpack_close(u);
        return s;
    }
    *out = u;
    return ST_OK;
}

void unpack_close(struct unpack *u)
{
    if (!u)
        return;
    if (u->has_gzip)
        inflateEnd(&u->gzip);
    ZSTD_freeDStream(u->zstd);
    if (u->fd > STDERR_FILENO)
        close(u->fd);
    free(u);
}

/* One call of the decompressor; *n may stay 0 while it only takes input. A file may hold several members in a row. */
static enum status inflate_some(struct unpack *u, uint8_t *out, size_t room, size_t *n, struct diag *why)
{
    if (u->between) {
        inflateReset(&u->gzip);
        u->between = false;
    }
    u->gzip.next_in = u->packed + u->at;
    u->gzip.avail_in = (uInt)(u->n - u->at);
    u->gzip.next_out = out;
    u->gzip.avail_out = (uInt)room;
    int code = inflate(&u->gzip, Z_NO_FLUSH);
    u->at = u->n - u->gzip.avail_in;
    *n = room - u->gzip.avail_out;
    if (code == Z_MEM_ERROR)
        return ST_NOMEM;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return diag_set(why, ST_FORMAT, "%s: damaged gzip data", u->name);
    u->between = code == Z_STREAM_END;
    return ST_OK;
}

static enum status zstd_some(struct unpack *u, uint8_t *out, size_t room, size_t *n, struct diag *why)
{
    ZSTD_inBuffer from = {u->packed, u->n, u->at};
    ZSTD_outBuffer to = {out, room, 0};
    size_t code = ZSTD_decompressStream(u->zstd, &to, &from);
    if (ZSTD_isError(code))
        return diag_set(why, ST_FORMAT, "%s: damaged zstd data: %s", u->name, ZSTD_getErrorName(code));
    u->at = from.pos;
    *n = to.pos;
    u->between = code == 0;
    return ST_OK;
}

static enum status plain_some(struct unpack *u, uint8_t *out, size_t room, size_t *n)
{
    size_t take = u->n - u->at < room ? u->n - u->at : room;
    memcpy(out, u->packed + u->at, take);
    u->at += take;
    *n = take;
    return ST_OK;
}

enum status unpack_read(struct unpack *u, uint8_t *out, size_t room, size_t *n, struct diag *why)
{
    enum { ONE_CALL = 1 << 20 }; /* zlib counts in unsigned int */
    size_t got = 0, most = room < ONE_CALL ? room : ONE_CALL;
    while (got == 0) {
        enum status s = refill(u, why);
        if (s != ST_OK)
            return s;
        bool dry = u->at == u->n;
        if (dry && u->between)
            break;
        if (u->packing == PLAIN)
            s = plain_some(u, out, most, &got);
        else if (u->packing == GZIP)
            s = inflate_some(u, out, most, &got, why);
        else
            s = zstd_some(u, out, most, &got, why);
        if (s != ST_OK)
            return s;
        if (dry && got == 0)
            return diag_set(why, ST_FORMAT, "%s: the compressed data is cut short", u->name);
    }
    *n = got;
    return ST_OK;
}
