#include "formats/write/markup.h"

#include <string.h>

static size_t sequence(unsigned char lead)
{
    return lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
}

void markup_text(FILE *out, const char *text, size_t most)
{
    for (size_t n = 0; *text; n++) {
        size_t len = sequence((unsigned char)*text);
        if (n == most) {
            fputs("...", out);
            return;
        }
        switch (*text) {
        case '&': fputs("&amp;", out); break;
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '"': fputs("&quot;", out); break;
        case '\'': fputs("&#39;", out); break;
        case '\n':
        case '\t': fputc(' ', out); break;
        default:
            if ((unsigned char)*text >= 0x20 && *text != 0x7F)
                fwrite(text, 1, strnlen(text, len), out);
        }
        text += strnlen(text, len);
    }
}

double markup_width(const char *text, size_t most)
{
    enum { WIDE_FROM = 0xE1 }; /* lead bytes from U+1000 on: CJK and its neighbours */
    double ems = 0;
    for (size_t n = 0; *text && n < most; n++) {
        unsigned char lead = (unsigned char)*text;
        ems += lead >= WIDE_FROM ? 1.05 : strchr("mwMW@%", lead) ? 0.9 : strchr("iljtfr.,:;'|! ", lead) ? 0.36 : 0.6;
        text += strnlen(text, sequence(lead));
    }
    return *text ? ems + 1 : ems;
}

bool markup_numbers(const struct json *list, double *out, size_t n)
{
    if (jsn_kind(list) != JSON_KIND_ARRAY || jsn_size(list) < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct json *v = jsn_at(list, i);
        if (jsn_kind(v) != JSON_KIND_INT && jsn_kind(v) != JSON_KIND_REAL)
            return false;
        out[i] = jsn_number(v, 0);
    }
    return true;
}
