#include "media/jpeg.h"

#include <stdlib.h>
#include <string.h>

/* Bytes too many in front of a restart: what was decoded up to it is not what was encoded. In front of other markers
 * they are an encoder's slip. */
static bool before_restart(const char *line, size_t len)
{
    static const char words[] = "extraneous bytes before marker 0xd";
    const char *at = memmem(line, len, words, sizeof words - 1);
    size_t digit = at ? (size_t)(at - line) + sizeof words - 1 : len;
    return digit < len && line[digit] >= '0' && line[digit] <= '7';
}

static enum jpeg_word meaning(const char *line, size_t len)
{
    static const char ends[] = "remature end of", code[] = "bad Huffman code", arithmetic[] = "bad arithmetic code",
                      restart[] = "instead of RST";
    if (memmem(line, len, ends, sizeof ends - 1))
        return JPEG_BREAKS_OFF;
    bool damaged = memmem(line, len, code, sizeof code - 1) || memmem(line, len, arithmetic, sizeof arithmetic - 1) ||
                   memmem(line, len, restart, sizeof restart - 1) || before_restart(line, len);
    return damaged ? JPEG_DAMAGED : len > 0 ? JPEG_HARMLESS : JPEG_NOTHING;
}

enum jpeg_word jpeg_heard(const char *said)
{
    enum jpeg_word worst = JPEG_NOTHING;
    while (*said) {
        size_t len = strcspn(said, "\n");
        enum jpeg_word word = meaning(said, len);
        worst = word > worst ? word : worst;
        said += len + (said[len] == '\n');
    }
    return worst;
}

bool jpeg_made_up(const uint8_t *rgb, size_t n)
{
    enum { NO_COEFFICIENT = 128 };
    for (size_t i = 0; i < 3 * n; i++)
        if (rgb[i] != NO_COEFFICIENT)
            return false;
    return true;
}

uint8_t *jpeg_plain(const uint8_t *bytes, size_t len, size_t *n)
{
    enum { SOI = 0xD8, SOS = 0xDA, SOF0 = 0xC0, SOF1 = 0xC1, APP0 = 0xE0, APP15 = 0xEF, COM = 0xFE };
    uint8_t *copy = malloc(len);
    bool sequential = false;
    size_t at = 2, to = 2;
    if (!copy || len < 2) {
        free(copy);
        return NULL;
    }
    copy[0] = 0xFF;
    copy[1] = SOI;
    while (at + 4 <= len) {
        uint8_t marker = bytes[at + 1];
        size_t size = 2 + ((size_t)bytes[at + 2] << 8 | bytes[at + 3]);
        if (bytes[at] != 0xFF || marker == 0xFF || marker == 0) {
            at++;
            continue;
        }
        if (size < 4 || size > len - at)
            break;
        bool scan = marker == SOS, other = (marker >= APP0 && marker <= APP15) || marker == COM;
        sequential = sequential || marker == SOF0 || marker == SOF1;
        size_t taken = scan ? len - at : other ? 0 : size;
        memcpy(copy + to, bytes + at, taken);
        if (scan && sequential && size >= 7)
            memcpy(copy + to + size - 3, "\0\x3F", 3); /* coefficients 0 to 63, whole */
        to += taken;
        at += size;
        if (scan) {
            *n = to;
            return copy;
        }
    }
    free(copy);
    return NULL;
}
