/* The two scanners of the official evaluation as they behave, exceptions included (spec 7.3). They exist for parity:
 * our records come from grounding.c. Text is walked in code points, since Python's int() and \d know all decimal
 * digits. */
#include "model/grounding.h"
#include "model/text_clean.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Zeros of Unicode's decimal digits (category Nd, Unicode 14); the other nine follow each. */
static const uint32_t digit_zeros[] = {
    0x0030,  0x0660,  0x06F0,  0x07C0,  0x0966,  0x09E6,  0x0A66,  0x0AE6,  0x0B66,  0x0BE6,  0x0C66,
    0x0CE6,  0x0D66,  0x0DE6,  0x0E50,  0x0ED0,  0x0F20,  0x1040,  0x1090,  0x17E0,  0x1810,  0x1946,
    0x19D0,  0x1A80,  0x1A90,  0x1B50,  0x1BB0,  0x1C40,  0x1C50,  0xA620,  0xA8D0,  0xA900,  0xA9D0,
    0xA9F0,  0xAA50,  0xABF0,  0xFF10,  0x104A0, 0x10D30, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0,
    0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x16A60,
    0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E950, 0x1FBF0};

struct piece {
    const char *text;
    size_t len;
};

static struct piece strip(struct piece p)
{
    size_t front = text_space_in_front(p.text, p.len);
    p.text += front;
    p.len = text_without_space_behind(p.text, p.len - front);
    return p;
}

/* The digit at s, or -1; *len gets the bytes of the sequence (1 where it is broken). */
static int digit_at(const char *s, size_t left, int *len)
{
    uint32_t code = 0;
    int n = utf8_decode(s, left, &code);
    *len = n > 0 ? n : 1;
    for (size_t i = 0; n > 0 && i < sizeof digit_zeros / sizeof *digit_zeros; i++)
        if (code >= digit_zeros[i] && code < digit_zeros[i] + 10)
            return (int)(code - digit_zeros[i]);
    return -1;
}

/* Python's int(): white space around, a sign, digits with single underscores between. False is a ValueError. */
static bool python_int(struct piece p, double *out)
{
    p = strip(p);
    bool negative = p.len > 0 && p.text[0] == '-', after_digit = false;
    size_t at = p.len > 0 && (p.text[0] == '-' || p.text[0] == '+') ? 1 : 0;
    double v = 0;
    while (at < p.len) {
        int len, d = digit_at(p.text + at, p.len - at, &len);
        if (d < 0 && !(p.text[at] == '_' && after_digit))
            return false;
        if (d >= 0)
            v = v * 10 + d;
        after_digit = d >= 0;
        at += (size_t)len;
    }
    *out = negative ? -v : v;
    return after_digit;
}

static int64_t to_pixels(double v, int size)
{
    double pixels = trunc(v * (size / 1000.0));
    return pixels >= 0x1p63 ? INT64_MAX : pixels < -0x1p63 ? INT64_MIN : (int64_t)pixels;
}

/* Splits at commas, takes all numbers, uses the first four. Sets *error where Python would raise. */
static bool read_box(struct piece p, int width, int height, int64_t box[4], const char **error)
{
    int n = 0;
    for (;;) {
        const char *comma = memchr(p.text, ',', p.len);
        size_t len = comma ? (size_t)(comma - p.text) : p.len;
        double v;
        if (!python_int((struct piece){p.text, len}, &v)) {
            *error = "ValueError";
            return false;
        }
        if (n < 4)
            box[n] = to_pixels(v, n % 2 ? height : width);
        n++;
        if (!comma)
            break;
        p.text += len + 1;
        p.len -= len + 1;
    }
    if (n < 4)
        *error = "IndexError";
    return n >= 4;
}

static enum status add(struct official_boxes *out, struct piece phrase, const int64_t box[4])
{
    struct official_box *grown = realloc(out->list, ((size_t)out->n + 1) * sizeof *grown);
    if (!grown)
        return ST_NOMEM;
    out->list = grown;
    phrase = strip(phrase);
    char *copy = strndup(phrase.text, phrase.len);
    if (!copy)
        return ST_NOMEM;
    out->list[out->n].phrase = copy;
    memcpy(out->list[out->n++].box, box, 4 * sizeof *box);
    return ST_OK;
}

void official_boxes_fini(struct official_boxes *b)
{
    for (int i = 0; i < b->n; i++)
        free(b->list[i].phrase);
    free(b->list);
    *b = (struct official_boxes){0};
}

/* Ends a scan: an exception leaves no boxes, short memory leaves nothing at all. */
static enum status finish(struct official_boxes *found, enum status s, const char *error, struct official_boxes *out)
{
    if (s != ST_OK || error)
        official_boxes_fini(found);
    if (s != ST_OK)
        return s;
    found->error = error;
    *out = *found;
    return ST_OK;
}

/* text[from..to), empty where from has run ahead of to. */
static struct piece between(const char *text, size_t from, size_t to)
{
    return (struct piece){text + (from < to ? from : to), from < to ? to - from : 0};
}

enum status grounding_scan_official(const char *text, int width, int height, struct official_boxes *out)
{
    struct official_boxes found = {0};
    struct piece entity = {text, 0};
    const char *error = NULL;
    enum status s = ST_OK;
    size_t start = 0, len = strlen(text);
    for (size_t i = 0; s == ST_OK && !error && i < len; i++) {
        if (text[i] == '[') {
            entity = between(text, start, i);
            start = i + 1;
        } else if (text[i] == ']') {
            int64_t box[4];
            if (!read_box(between(text, start, i), width, height, box, &error))
                break;
            s = add(&found, entity, box);
            start = i + 1; /* only the start of the next phrase moves: brackets on the way are still read */
            start += strcspn(text + start, ".,;!?") + 1;
        }
    }
    return finish(&found, s, error, out);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* End of the run of ASCII letters and white space at `at`; *last_space: where its last character begins if that is
 * white space, else its end. */
static size_t run_end(const char *text, size_t len, size_t at, size_t *last_space)
{
    *last_space = at;
    while (at < len) {
        uint32_t code;
        int n = is_letter(text[at]) ? 1 : utf8_decode(text + at, len - at, &code);
        if (n <= 0 || (!is_letter(text[at]) && text_space_in_front(text + at, (size_t)n) == 0))
            break;
        *last_space = is_letter(text[at]) ? at + 1 : at;
        at += (size_t)n;
    }
    return at;
}

/* `\[[\d,\s]+\]` at `at`: its end, or 0. */
static size_t digits_in_brackets(const char *text, size_t len, size_t at)
{
    if (at >= len || text[at] != '[')
        return 0;
    size_t i = at + 1;
    while (i < len && text[i] != ']') {
        int n;
        if (digit_at(text + i, len - i, &n) < 0 && text[i] != ',' && text_space_in_front(text + i, (size_t)n) == 0)
            return 0;
        i += (size_t)n;
    }
    return i < len && i > at + 1 ? i + 1 : 0;
}

/* `([a-zA-Z\s]+)\s+(\[[\d,\s]+\])`, leftmost matches. The words are the run of letters and white space up to the
 * bracket, which must end in white space and hold one more character. */
enum status grounding_regex_official(const char *text, int width, int height, struct official_boxes *out)
{
    struct official_boxes found = {0};
    const char *error = NULL;
    enum status s = ST_OK;
    size_t len = strlen(text);
    for (size_t at = 0; s == ST_OK && !error && at < len;) {
        size_t last_space, end = run_end(text, len, at, &last_space);
        size_t close = last_space > at && last_space < end ? digits_in_brackets(text, len, end) : 0;
        if (close == 0) {
            at = end > at ? end : at + 1;
            continue;
        }
        int64_t box[4];
        if (read_box(between(text, end + 1, close - 1), width, height, box, &error))
            s = add(&found, between(text, at, last_space), box);
        at = close;
    }
    return finish(&found, s, error, out);
}
