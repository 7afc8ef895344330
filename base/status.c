#include "base/status.h"

#include <stdio.h>
#include <string.h>

const char *status_word(enum status s)
{
    static const char *const words[] = {
        [ST_OK] = "ok",           [ST_NOMEM] = "nomem",     [ST_IO] = "io",
        [ST_FORMAT] = "format",   [ST_SHAPE] = "shape",     [ST_MISSING] = "missing",
        [ST_LIMIT] = "limit",     [ST_INVALID] = "invalid", [ST_UNSUPPORTED] = "unsupported",
        [ST_TIMEOUT] = "timeout", [ST_REFUSED] = "refused", [ST_CANCELLED] = "cancelled",
        [ST_DEVICE] = "device",   [ST_CLOSED] = "closed",   [ST_BUSY] = "busy",
    };
    return (unsigned)s < ST_COUNT_ ? words[s] : "unknown";
}

/* Shortens text by the bytes of a UTF-8 sequence that was cut at the end of the buffer. */
static void drop_half_sequence(char *text)
{
    size_t n = strlen(text), i = n;
    while (i > 0 && n - i < 4 && ((unsigned char)text[i - 1] & 0xC0) == 0x80)
        i--;
    if (i == 0)
        return;
    unsigned char lead = (unsigned char)text[i - 1];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (want > 1 && n - (i - 1) < want)
        text[i - 1] = '\0';
}

enum status diag_set(struct diag *why, enum status s, const char *fmt, ...)
{
    if (!why)
        return s;
    va_list args;
    va_start(args, fmt);
    vsnprintf(why->text, sizeof why->text, fmt, args);
    va_end(args);
    drop_half_sequence(why->text);
    return s;
}

enum status diag_wrap(struct diag *why, enum status s, const char *fmt, ...)
{
    if (!why)
        return s;
    struct diag old = *why;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(why->text, sizeof why->text, fmt, args);
    va_end(args);
    if (n < 0)
        n = 0;
    if ((size_t)n < sizeof why->text)
        snprintf(why->text + n, sizeof why->text - (size_t)n, ": %s", old.text);
    drop_half_sequence(why->text);
    return s;
}
