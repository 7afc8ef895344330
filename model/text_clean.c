#include "model/text_clean.h"

#include <string.h>

int utf8_decode(const char *s, size_t len, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (len == 0)
        return UTF8_CUT;
    const unsigned char *p = (const unsigned char *)s;
    int want = p[0] < 0x80 ? 1 : p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
    if (want == 0)
        return UTF8_BAD;
    uint32_t value = want == 1 ? p[0] : p[0] & (0x7FU >> want);
    for (int i = 1; i < want; i++) {
        if ((size_t)i == len)
            return UTF8_CUT;
        if ((p[i] & 0xC0) != 0x80)
            return UTF8_BAD;
        value = value << 6 | (p[i] & 0x3F);
        /* With the second byte it is decided whether the sequence is overlong, a surrogate or too big. */
        uint32_t low = value << 6 * (want - 1 - i), high = low | ((1U << 6 * (want - 1 - i)) - 1);
        if (high < least[want] || low > 0x10FFFF || (low >= 0xD800 && high <= 0xDFFF))
            return UTF8_BAD;
    }
    *code = value;
    return want;
}

static bool is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

size_t text_space_in_front(const char *s, size_t len)
{
    size_t at = 0;
    for (;;) {
        uint32_t code = 0;
        int bytes = utf8_decode(s + at, len - at, &code);
        if (bytes <= 0 || !is_space(code))
            return at;
        at += (size_t)bytes;
    }
}

size_t text_without_space_behind(const char *s, size_t len)
{
    for (;;) {
        size_t start = len;
        while (start > 0 && len - start < 4 && ((unsigned char)s[start - 1] & 0xC0) == 0x80)
            start--;
        uint32_t code = 0;
        if (start == 0 || utf8_decode(s + start - 1, len - start + 1, &code) != (int)(len - start + 1) ||
            !is_space(code))
            return len;
        len = start - 1;
    }
}

/* Every `from` loses the bytes that `to` lacks. In all replacements `to` is `from` less a space in front, and for the
 * quote less one behind too. */
static size_t replace(char *text, size_t len, const char *from, size_t *marks, int n)
{
    size_t width = strlen(from), out = 0, removed = 0;
    bool loses_last = from[width - 1] == ' ';
    int mark = 0;
    for (size_t at = 0; at < len;) {
        bool found = len - at >= width && memcmp(text + at, from, width) == 0;
        size_t step = found ? width : 1;
        for (size_t i = 0; i < step; i++, at++) {
            for (; mark < n && marks[mark] <= at; mark++)
                marks[mark] -= removed;
            if (found && (i == 0 || (i == width - 1 && loses_last)))
                removed++;
            else
                text[out++] = text[at];
        }
    }
    for (; mark < n; mark++)
        marks[mark] = marks[mark] > len ? out : marks[mark] - removed;
    return out;
}

size_t text_clean_up(char *text, size_t len, size_t *marks, int n)
{
    static const char *const from[] = {" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"};
    for (size_t i = 0; i < sizeof from / sizeof *from; i++)
        len = replace(text, len, from[i], marks, n);
    return len;
}

static size_t strip(char *text, size_t len, size_t *marks, int n)
{
    len = text_without_space_behind(text, len);
    size_t front = text_space_in_front(text, len);
    len -= front;
    memmove(text, text + front, len);
    for (int i = 0; i < n; i++) {
        marks[i] = marks[i] < front ? 0 : marks[i] - front;
        marks[i] = marks[i] > len ? len : marks[i];
    }
    return len;
}

size_t text_strip_answer(char *text, size_t len, size_t *marks, int n)
{
    static const char end[] = "</s>";
    len = strip(text, len, marks, n);
    if (len >= sizeof end - 1 && memcmp(text + len - (sizeof end - 1), end, sizeof end - 1) == 0)
        len -= sizeof end - 1;
    return strip(text, len, marks, n);
}
