#include "media/sniff.h"

#include <ctype.h>
#include <string.h>

#include "media/gif.h"
#include "media/image.h"

struct signature {
    const char *format;
    size_t at;
    const char *magic;
    size_t len;
    bool supported;
};
#define MAGIC(s) s, sizeof(s) - 1
static const struct signature signatures[] = {
    {"jpeg", 0, MAGIC("\xFF\xD8\xFF"), true},
    {"png", 0, MAGIC("\x89PNG\r\n\x1A\n"), true},
    {"gif", 0, MAGIC("GIF87a"), true},
    {"gif", 0, MAGIC("GIF89a"), true},
    {"webp", 8, MAGIC("WEBP"), true},
    {"tiff", 0, MAGIC("II*\0"), true},
    {"tiff", 0, MAGIC("MM\0*"), true},
    {"tiff", 0, MAGIC("II+\0"), true},
    {"tiff", 0, MAGIC("MM\0+"), true},
    {"jxl", 0, MAGIC("\xFF\x0A"), true},
    {"jxl", 0, MAGIC("\0\0\0\x0CJXL \r\n\x87\n"), true},
    {"avif", 4, MAGIC("ftypavif"), true},
    {"avif", 4, MAGIC("ftypavis"), true},
    {"heif", 4, MAGIC("ftyphei"), true},
    {"heif", 4, MAGIC("ftyphev"), true},
    {"heif", 4, MAGIC("ftypmif1"), true},
    {"heif", 4, MAGIC("ftypmsf1"), true},
    {"bmp", 0, MAGIC("BM"), true},
    {"jp2", 0, MAGIC("\0\0\0\x0CjP  \r\n\x87\n"), false},
    {"jp2", 0, MAGIC("\xFF\x4F\xFF\x51"), false},
    {"ico", 0, MAGIC("\0\0\1\0"), false},
    {"psd", 0, MAGIC("8BPS"), false},
    {"exr", 0, MAGIC("v/1\1"), false},
    {"hdr", 0, MAGIC("#?RADIANCE"), false},
    {"fits", 0, MAGIC("SIMPLE  ="), false},
    {"dds", 0, MAGIC("DDS "), false},
    {"pnm", 0, MAGIC("P4\n"), false},
    {"pnm", 0, MAGIC("P5\n"), false},
    {"pnm", 0, MAGIC("P6\n"), false},
    {"mp4", 4, MAGIC("ftyp"), false},
    {"pdf", 0, MAGIC("%PDF-"), false},
    {"postscript", 0, MAGIC("%!PS"), false},
    {"gzip", 0, MAGIC("\x1F\x8B"), false},
    {"zip", 0, MAGIC("PK\3\4"), false},
    {"zstd", 0, MAGIC("\x28\xB5\x2F\xFD"), false},
};

/* Whether the word stands in the text, in any case of letters. */
static bool mentions(const uint8_t *bytes, size_t len, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= len; i++) {
        size_t k = 0;
        while (k < n && tolower(bytes[i + k]) == word[k])
            k++;
        if (k == n)
            return true;
    }
    return false;
}

/* Markup and scripts begin with text, maybe behind a byte order mark. */
static const char *sniff_text(const uint8_t *bytes, size_t len)
{
    if (len > 1024)
        len = 1024;
    if (len >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
        bytes += 3;
        len -= 3;
    }
    while (len > 0 && isspace(*bytes)) {
        bytes++;
        len--;
    }
    if (len == 0 || *bytes != '<')
        return NULL;
    if (mentions(bytes, len, "<svg"))
        return "svg";
    if (mentions(bytes, len, "<html") || mentions(bytes, len, "<!doctype html") || mentions(bytes, len, "<head"))
        return "html";
    return mentions(bytes, len, "<?xml") ? "xml" : NULL;
}

const char *image_sniff(const uint8_t *bytes, size_t len, bool *supported)
{
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        const struct signature *s = &signatures[i];
        if (len < s->at + s->len || memcmp(bytes + s->at, s->magic, s->len) != 0)
            continue;
        if (strcmp(s->format, "webp") == 0 && memcmp(bytes, "RIFF", 4) != 0)
            continue;
        if (supported)
            *supported = s->supported;
        return s->format;
    }
    if (supported)
        *supported = false;
    return sniff_text(bytes, len);
}

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Behind a scan's header: the next marker that is no restart and no stuffed zero. */
static size_t skip_scan(const uint8_t *bytes, size_t len, size_t at)
{
    while (at + 1 < len) {
        const uint8_t *mark = memchr(bytes + at, 0xFF, len - 1 - at);
        if (!mark)
            break;
        at = (size_t)(mark - bytes);
        uint8_t next = mark[1];
        if (next != 0 && next != 0xFF && (next < 0xD0 || next > 0xD7))
            return at;
        at += next == 0xFF ? 1 : 2;
    }
    return len;
}

static struct file_facts jpeg_facts(const uint8_t *bytes, size_t len)
{
    struct file_facts f = {.ending = ENDING_MISSING};
    size_t at = 2;
    while (at + 4 <= len || (at + 2 <= len && bytes[at + 1] == 0xD9)) {
        if (bytes[at] != 0xFF) { /* no marker where one must be: damaged, not cut */
            f.ending = ENDING_UNKNOWN;
            break;
        }
        uint8_t marker = bytes[at + 1];
        if (marker == 0xD9) {
            f.ending = ENDING_THERE;
            break;
        }
        if (marker == 0xFF) {
            at++;
            continue;
        }
        f.progressive |= marker == 0xC2 || marker == 0xC6 || marker == 0xCA || marker == 0xCE;
        at += 2 + ((size_t)bytes[at + 2] << 8 | bytes[at + 3]);
        if (marker == 0xDA) {
            f.scans++;
            at = skip_scan(bytes, len, at < len ? at : len);
        }
    }
    return f;
}

static struct file_facts png_facts(const uint8_t *bytes, size_t len)
{
    enum { HEADER_AT = 8, WIDTH_AT = 16, HEIGHT_AT = 20, HEADER_END = 33 };
    struct file_facts f = {.ending = ENDING_MISSING};
    if (len >= HEADER_END && memcmp(bytes + HEADER_AT, "\0\0\0\x0DIHDR", 8) == 0) {
        f.has_sides = true;
        f.width = big_endian(bytes + WIDTH_AT);
        f.height = big_endian(bytes + HEIGHT_AT);
    }
    for (size_t at = HEADER_AT; at + 12 <= len;) {
        const uint8_t *chunk = bytes + at;
        uint64_t size = big_endian(chunk);
        if (memcmp(chunk + 4, "acTL", 4) == 0 && size >= 4 && at + 12 <= len) {
            uint32_t frames = big_endian(chunk + 8);
            f.frames = frames < 1 ? 1 : frames > 1000000 ? 1000000 : (int)frames;
        }
        if (memcmp(chunk + 4, "IEND", 4) == 0)
            f.ending = ENDING_THERE;
        if (size + 12 > len - at)
            break;
        at += (size_t)size + 12;
    }
    return f;
}

/* Boxes of HEIF, AVIF and JPEG XL: the last may say 0, "to the end". */
static struct file_facts box_facts(const uint8_t *bytes, size_t len)
{
    struct file_facts f = {.ending = ENDING_THERE};
    for (size_t at = 0; at < len;) {
        if (at + 8 > len)
            return (struct file_facts){.ending = ENDING_MISSING};
        uint64_t size = big_endian(bytes + at);
        if (size == 1)
            size =
                at + 16 <= len ? (uint64_t)big_endian(bytes + at + 8) << 32 | big_endian(bytes + at + 12) : UINT64_MAX;
        if (size == 0)
            break;
        if (size < 8)
            return (struct file_facts){.ending = ENDING_UNKNOWN};
        if (size > len - at)
            return (struct file_facts){.ending = ENDING_MISSING};
        at += (size_t)size;
    }
    return f;
}

struct file_facts file_facts(const char *format, const uint8_t *bytes, size_t len)
{
    struct file_facts f = {.ending = ENDING_UNKNOWN};
    if (strcmp(format, "jpeg") == 0)
        return jpeg_facts(bytes, len);
    if (strcmp(format, "png") == 0)
        return png_facts(bytes, len);
    if (strcmp(format, "heif") == 0 || strcmp(format, "avif") == 0 || (strcmp(format, "jxl") == 0 && bytes[0] == 0))
        return box_facts(bytes, len);
    if (strcmp(format, "gif") == 0) {
        f.ending = bytes[len - 1] == 0x3B ? ENDING_THERE : ENDING_MISSING;
        f.rows_there = gif_rows(bytes, len, &f.rows);
    }
    if (strcmp(format, "webp") == 0) {
        uint64_t size = bytes[4] | (uint64_t)bytes[5] << 8 | (uint64_t)bytes[6] << 16 | (uint64_t)bytes[7] << 24;
        f.ending = size + 8 <= len ? ENDING_THERE : ENDING_MISSING;
    }
    return f;
}
