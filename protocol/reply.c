#include "protocol/reply.h"

#include <stdlib.h>
#include <string.h>

const char *reply_bytes(const struct reply *r, size_t i, size_t *len)
{
    if (r->kind == REPLY_ARRAY && i < r->n && r->items[i].kind == REPLY_BYTES) {
        *len = r->items[i].len;
        return r->items[i].bytes;
    }
    *len = 0;
    return "";
}

int64_t reply_number(const struct reply *r, size_t i)
{
    enum { DIGITS = 24 }; /* more than a number has, so that what is behind them is of no interest */
    if (r->kind != REPLY_ARRAY || i >= r->n)
        return 0;
    if (r->items[i].kind == REPLY_INT)
        return r->items[i].integer;
    char text[DIGITS] = "";
    size_t len;
    const char *bytes = reply_bytes(r, i, &len);
    memcpy(text, bytes, len < sizeof text - 1 ? len : sizeof text - 1);
    return strtoll(text, NULL, 10);
}

bool reply_is(const struct reply *r, size_t i, const char *text)
{
    size_t len;
    const char *bytes = reply_bytes(r, i, &len);
    return len == strlen(text) && memcmp(bytes, text, len) == 0;
}

bool reply_error_is(const struct reply *r, const char *prefix)
{
    size_t n = strlen(prefix);
    return r->kind == REPLY_ERROR && r->len >= n && memcmp(r->bytes, prefix, n) == 0;
}
