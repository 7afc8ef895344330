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
    enum { DIGITS = 24 };
    if (r->kind != REPLY_ARRAY || i >= r->n)
        return 0;
    if (r->items[i].kind == REPLY_INT)
        return r->items[i].integer;
    char text[DIGITS] = "";
    size_t len;
    const char *bytes = reply_bytes(r, i, &len);
    if (len >= sizeof text)
        return 0;
    memcpy(text, bytes, len);
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

void reply_copy_free(struct reply *r)
{
    for (size_t i = 0; i < r->n; i++)
        reply_copy_free(&r->items[i]);
    free(r->items);
    free((char *)(uintptr_t)r->bytes); /* ours: reply_copy made it */
    *r = (struct reply){.kind = REPLY_NIL};
}

enum status reply_copy(const struct reply *from, struct reply *out)
{
    struct reply r = {.kind = from->kind, .integer = from->integer, .len = from->len, .replicas = from->replicas};
    enum status s = ST_OK;
    if (from->bytes) {
        char *bytes = malloc(from->len + 1);
        if (!bytes)
            return ST_NOMEM;
        memcpy(bytes, from->bytes, from->len);
        r.bytes = bytes;
    }
    if (from->n) {
        r.items = calloc(from->n, sizeof *r.items);
        s = r.items ? ST_OK : ST_NOMEM;
    }
    for (size_t i = 0; s == ST_OK && i < from->n; i++) {
        s = reply_copy(&from->items[i], &r.items[i]);
        r.n += s == ST_OK;
    }
    if (s != ST_OK) {
        reply_copy_free(&r);
        return s;
    }
    *out = r;
    return ST_OK;
}
