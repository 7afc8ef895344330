#include "formats/read/tar.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 512,
    NAME_BYTES = 4096,
    HEADER_DATA_BYTES = 64 << 10, /* of a long name or a pax header; more is no honest archive */
    SMALLEST_WINDOW = 4 << 10,
    FIRST_WINDOW = 64 << 10,
    LARGEST_WINDOW = 256 << 10,
};

/* Places in a header (POSIX ustar; GNU's is the same up to the prefix). */
enum {
    AT_NAME = 0,
    AT_SIZE = 124,
    AT_CHECKSUM = 148,
    AT_TYPE = 156,
    AT_MAGIC = 257,
    AT_PREFIX = 345,
    LEN_NAME = 100,
    LEN_NUMBER = 12,
    LEN_CHECKSUM = 8,
    LEN_PREFIX = 155,
};

struct tar {
    tar_read_fn read;
    void *ctx;
    uint64_t next; /* of the next header */
    bool any;      /* a header was read */
    uint8_t window[LARGEST_WINDOW];
    uint64_t window_at;
    size_t window_len, window_want;
    int served; /* headers from this window */
    char name[NAME_BYTES];
    /* what extended headers say about the next member */
    bool has_name, has_size, name_too_long, is_sparse;
    uint64_t size;
};

enum status tar_open(tar_read_fn read, void *ctx, struct tar **out)
{
    struct tar *t = calloc(1, sizeof *t);
    if (!t)
        return ST_NOMEM;
    t->read = read;
    t->ctx = ctx;
    t->window_want = FIRST_WINDOW;
    *out = t;
    return ST_OK;
}

void tar_close(struct tar *t)
{
    free(t);
}

/* ---- places --------------------------------------------------------------------------------------------------------
 */

/* Large members: a window serves one header, so it shrinks; small ones: it grows. */
static void choose_window(struct tar *t, size_t want)
{
    if (t->window_len > 0 && t->served <= 1)
        t->window_want = t->window_want / 4 > SMALLEST_WINDOW ? t->window_want / 4 : SMALLEST_WINDOW;
    else if (t->served > 1)
        t->window_want = t->window_want * 2 < LARGEST_WINDOW ? t->window_want * 2 : LARGEST_WINDOW;
    if (t->window_want < want)
        t->window_want = want;
    t->served = 0;
}

/* want bytes at offset, borrowed from the window; *got fewer at the archive's end. */
static enum status look(struct tar *t, uint64_t offset, size_t want, const uint8_t **out, size_t *got, struct diag *why)
{
    bool inside = offset >= t->window_at && offset + want <= t->window_at + t->window_len;
    if (!inside) {
        choose_window(t, want);
        t->window_len = 0;
        size_t n = 0;
        enum status s = t->read(t->ctx, offset, t->window_want, t->window, &n, why);
        if (s != ST_OK)
            return s;
        t->window_at = offset;
        t->window_len = n;
    }
    t->served++;
    size_t there = (size_t)(t->window_at + t->window_len - offset);
    *out = t->window + (offset - t->window_at);
    *got = there < want ? there : want;
    return ST_OK;
}

/* ---- one header ----------------------------------------------------------------------------------------------------
 */

/* Octal digits, or GNU's base 256 where the first bit is set. */
static bool read_number(const uint8_t *field, size_t len, uint64_t *out)
{
    uint64_t value = 0;
    size_t i = 0;
    if (field[0] & 0x80) {
        for (value = field[0] & 0x7F, i = 1; i < len; i++) {
            if (value >> 55)
                return false;
            value = value << 8 | field[i];
        }
        *out = value;
        return true;
    }
    while (i < len && field[i] == ' ')
        i++;
    for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(field[i] - '0');
    if (i < len && field[i] != ' ' && field[i] != '\0')
        return false;
    *out = value;
    return true;
}

static bool checksum_holds(const uint8_t *h)
{
    uint64_t said = 0;
    uint32_t sum = 0;
    int32_t signed_sum = 0; /* some old programs */
    for (size_t i = 0; i < BLOCK; i++) {
        uint8_t byte = i >= AT_CHECKSUM && i < AT_CHECKSUM + LEN_CHECKSUM ? ' ' : h[i];
        sum += byte;
        signed_sum += (int8_t)byte;
    }
    return read_number(h + AT_CHECKSUM, LEN_CHECKSUM, &said) && (said == sum || (int64_t)said == signed_sum);
}

static bool is_zero(const uint8_t *h)
{
    for (size_t i = 0; i < BLOCK; i++)
        if (h[i])
            return false;
    return true;
}

static void set_name(struct tar *t, const uint8_t *text, size_t len)
{
    len = strnlen((const char *)text, len);
    t->name_too_long = len >= NAME_BYTES;
    len = len < NAME_BYTES ? len : NAME_BYTES - 1;
    memcpy(t->name, text, len);
    t->name[len] = '\0';
}

static void name_of_header(struct tar *t, const uint8_t *h)
{
    size_t prefix = 0;
    if (memcmp(h + AT_MAGIC, "ustar\0", 6) == 0 && h[AT_PREFIX]) { /* GNU has other things there */
        set_name(t, h + AT_PREFIX, LEN_PREFIX);
        prefix = strlen(t->name);
        t->name[prefix++] = '/';
    }
    size_t n = strnlen((const char *)h + AT_NAME, LEN_NAME);
    memcpy(t->name + prefix, h + AT_NAME, n);
    t->name[prefix + n] = '\0';
}

/* One record of a pax header: "LENGTH NAME=VALUE\n". Its length; 0: none. */
static size_t pax_record(struct tar *t, const uint8_t *data, size_t len)
{
    size_t length = 0, at = 0;
    for (; at < len && at < 8 && data[at] >= '0' && data[at] <= '9'; at++)
        length = length * 10 + (size_t)(data[at] - '0');
    if (at == 0 || at >= len || data[at] != ' ' || length > len || length < at + 4 || data[length - 1] != '\n')
        return 0;
    const uint8_t *name = data + at + 1, *equals = memchr(name, '=', length - at - 1);
    if (!equals)
        return 0;
    size_t n = (size_t)(equals - name), m = length - (size_t)(equals + 1 - data) - 1;
    if (n == 4 && memcmp(name, "path", 4) == 0) {
        set_name(t, equals + 1, m);
        t->has_name = true;
    } else if (n == 4 && memcmp(name, "size", 4) == 0) {
        t->size = 0;
        t->has_size = m > 0 && m < 19;
        for (size_t i = 0; i < m && t->has_size; i++)
            t->size = t->size * 10 + (uint64_t)(equals[1 + i] - '0');
    } else if (n > 11 && memcmp(name, "GNU.sparse.", 11) == 0) {
        t->is_sparse = true;
    }
    return length;
}

static enum status read_pax(struct tar *t, const uint8_t *data, size_t len, struct diag *why)
{
    while (len > 0 && data[0]) {
        size_t n = pax_record(t, data, len);
        if (n == 0)
            return diag_set(why, ST_FORMAT, "damaged: a pax header that can't be read");
        data += n;
        len -= n;
    }
    return ST_OK;
}

/* A header about the member behind it. */
static enum status read_extension(struct tar *t, char type, uint64_t at, uint64_t size, struct diag *why)
{
    const uint8_t *data;
    size_t got;
    if (type != 'L' && type != 'x') /* long link names, what holds for all members, labels */
        return ST_OK;
    if (size > HEADER_DATA_BYTES)
        return diag_set(why, ST_FORMAT, "damaged: a header of %llu bytes", (unsigned long long)size);
    enum status s = look(t, at, (size_t)size, &data, &got, why);
    if (s != ST_OK)
        return s;
    if (got < size)
        return diag_set(why, ST_FORMAT, "breaks off");
    if (type == 'x')
        return read_pax(t, data, got, why);
    set_name(t, data, got);
    t->has_name = true;
    return ST_OK;
}

static const char *compression(const uint8_t *h)
{
    if (h[0] == 0x1F && h[1] == 0x8B)
        return "gzip";
    if (memcmp(h, "\x28\xB5\x2F\xFD", 4) == 0)
        return "zstd";
    if (memcmp(h, "BZh", 3) == 0)
        return "bzip2";
    return memcmp(h,
                  "\xFD"
                  "7zXZ",
                  5) == 0
               ? "xz"
               : NULL;
}

/* The next header, ST_CLOSED where the archive ends. */
static enum status read_header(struct tar *t, const uint8_t **h, struct diag *why)
{
    size_t got;
    enum status s = look(t, t->next, BLOCK, h, &got, why);
    if (s != ST_OK)
        return s;
    if (got == 0 && t->any)
        return ST_CLOSED;
    if (got < BLOCK)
        return diag_set(why, ST_FORMAT, t->any ? "breaks off" : "no tar archive: too short");
    if (is_zero(*h))
        return ST_CLOSED;
    if (!checksum_holds(*h)) {
        const char *packed = t->any ? NULL : compression(*h);
        if (packed)
            return diag_set(why, ST_FORMAT, "compressed (%s): its members have no places of their own; unpack it",
                            packed);
        return diag_set(why, ST_FORMAT, t->any ? "damaged: no header at byte %llu" : "no tar archive",
                        (unsigned long long)t->next);
    }
    t->any = true;
    return ST_OK;
}

static enum status finish(struct tar *t, uint64_t size, struct tar_member *out, struct diag *why)
{
    const char *name = t->name;
    while (strncmp(name, "./", 2) == 0)
        name += 2;
    *out = (struct tar_member){.name = name, .offset = t->next, .size = size};
    if (t->is_sparse)
        return diag_set(why, ST_UNSUPPORTED, "%.200s: a sparse member", name);
    return t->name_too_long ? diag_set(why, ST_LIMIT, "%.200s...: a name over %d bytes", name, NAME_BYTES - 1) : ST_OK;
}

enum status tar_next(struct tar *t, struct tar_member *out, struct diag *why)
{
    t->has_name = t->has_size = t->name_too_long = t->is_sparse = false;
    for (;;) {
        const uint8_t *h;
        uint64_t size;
        enum status s = read_header(t, &h, why);
        if (s != ST_OK)
            return s;
        char type = (char)h[AT_TYPE];
        bool file = type == '0' || type == '\0' || type == '7' || type == 'S';
        bool about_next = type == 'x' || type == 'L' || type == 'K' || type == 'g';
        if (!read_number(h + AT_SIZE, LEN_NUMBER, &size))
            return diag_set(why, ST_FORMAT, "damaged: a size that is no number at byte %llu",
                            (unsigned long long)t->next);
        if (!about_next && t->has_size)
            size = t->size;
        if (!about_next && !t->has_name)
            name_of_header(t, h);
        t->is_sparse |= type == 'S';
        t->next += BLOCK;
        if (size > INT64_MAX - BLOCK || t->next > INT64_MAX - size - BLOCK)
            return diag_set(why, ST_FORMAT, "damaged: a member of %llu bytes", (unsigned long long)size);
        s = file ? finish(t, size, out, why) : read_extension(t, type, t->next, size, why);
        t->next += (size + BLOCK - 1) / BLOCK * BLOCK;
        if (s != ST_OK || file)
            return s;
        if (!about_next)
            t->has_name = t->has_size = t->name_too_long = t->is_sparse = false;
    }
}
