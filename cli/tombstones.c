#include "cli/tombstones.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* "uri URI" -> "uri":"URI", as JSON has it. */
static char *needle_of(const char *text, size_t len)
{
    const char *space = memchr(text, ' ', len);
    if (!space)
        return NULL;
    int kind = (int)(space - text);
    struct json *value = jsn_new_string_n(space + 1, len - (size_t)kind - 1);
    char *quoted = value ? jsn_text(value) : NULL, *needle = NULL;
    if (quoted && asprintf(&needle, "\"%.*s\":%s", kind, text, quoted) < 0)
        needle = NULL;
    free(quoted);
    jsn_free(value);
    return needle;
}

static bool add(void *ctx, const char *text, size_t len, uint64_t value)
{
    struct tombstones *t = ctx;
    (void)value;
    char **needles = realloc(t->needles, (t->n + 1) * sizeof *needles);
    if (!needles)
        return false;
    t->needles = needles;
    needles[t->n] = needle_of(text, len);
    if (!needles[t->n])
        return false;
    t->n++;
    return true;
}

enum status tombstones_read(struct tombstones *t, struct client *client, bool *more, struct diag *why)
{
    size_t before = t->n;
    enum status s = client_entries(client, "forgotten", &t->cursor, add, t, why);
    if (more)
        *more = t->n > before;
    return s == ST_CANCELLED ? ST_NOMEM : s;
}

bool tombstones_hit(const struct tombstones *t, const char *record, size_t len)
{
    for (size_t i = 0; i < t->n; i++)
        if (memmem(record, len, t->needles[i], strlen(t->needles[i])))
            return true;
    return false;
}

char *tombstones_stub(void)
{
    return strdup("{\"schema\":1,\"status\":\"forgotten\"}");
}

void tombstones_fini(struct tombstones *t)
{
    while (t->n)
        free(t->needles[--t->n]);
    free(t->needles);
    *t = (struct tombstones){.n = 0};
}
