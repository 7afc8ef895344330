#include "formats/write/sidecar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "formats/write/overlay.h"

size_t sidecar_source_len(const char *uri)
{
    const char *end = strstr(uri, ".tar#");
    return end ? (size_t)(end - uri) + strlen(".tar") : 0;
}

/* The part of a member's URI in front of "@offset+length". */
static size_t member_end(const char *uri)
{
    const char *at = strrchr(uri, '@');
    return at ? (size_t)(at - uri) : strlen(uri);
}

/* Remembers (kind, text, further); *known: it was there. number: for the caller, NULL where it wants none. */
static enum status meet(struct seen *seen, const char *kind, const char *text, size_t len, const char *further,
                        uint64_t *number, bool *known, struct diag *why)
{
    uint8_t digest[SHA256_BYTES];
    struct sha256 h;
    struct seen_row row = {.job = number ? *number : 0, .place = 1}, old = {.place = 0};
    sha256_init(&h);
    sha256_add(&h, kind, strlen(kind) + 1);
    sha256_add(&h, text, len);
    sha256_add(&h, "", 1);
    sha256_add(&h, further, strlen(further));
    sha256_end(&h, digest);
    memcpy(row.id, digest, sizeof row.id);
    enum status s = seen_put(seen, &row, known, &old, why);
    if (s == ST_OK && *known && number)
        *number = old.job;
    return s;
}

/* An image may have several records (a manifest asked about it twice); one that comes again is told by its id, whose
 * number tells the record that an image has at first from all others of it. */
enum status sidecar_look_up(struct seen *seen, const struct json *record, const char *uri, size_t source,
                            struct sidecar *e, struct diag *why)
{
    const char *id = jsn_string(jsn_get(record, "id"), ""), *job = jsn_string(jsn_get(record, "job"), "");
    uint64_t mine = sha256_number(id), first = mine;
    bool known = false;
    if (source == 0)
        return meet(seen, "image", id, strlen(id), job, NULL, &e->repeated, why);
    enum status s = meet(seen, "member", uri, member_end(uri), "", &first, &known, why);
    e->of_new_image = !known;
    e->repeated = known && first == mine;
    return s == ST_OK && known && !e->repeated ? meet(seen, "record", uri, member_end(uri), id, NULL, &e->repeated, why)
                                               : s;
}

/* Where the member's last ending begins. */
static size_t stem_len(const char *member, size_t len)
{
    const char *slash = memrchr(member, '/', len);
    size_t base = slash ? (size_t)(slash - member) + 1 : 0;
    const char *dot = base < len ? memrchr(member + base + 1, '.', len - base - 1) : NULL;
    return dot ? (size_t)(dot - member) : len;
}

/* The first that is free in the shard of: "a", "a.jpg", "a.jpg.2", ... All have one key. */
enum status sidecar_name_member(struct seen *seen, size_t place, const char *uri, size_t source, char **name,
                                struct diag *why)
{
    const char *member = uri + source + 1;
    size_t len = member_end(uri) - source - 1;
    bool taken = true;
    enum status s = ST_OK;
    for (int i = 0; s == ST_OK && taken; i++) {
        char shard[32], more[16] = "";
        free(*name);
        snprintf(shard, sizeof shard, "%zu", place);
        if (i > 1)
            snprintf(more, sizeof more, ".%d", i);
        int n = asprintf(name, "%.*s%s", (int)(i == 0 ? stem_len(member, len) : len), member, more);
        if (n < 0)
            *name = NULL;
        s = n < 0 ? ST_NOMEM : meet(seen, "name", shard, strlen(shard), *name, NULL, &taken, why);
    }
    return s;
}

/* Of an image that is no member; as good as its own alone. */
enum status sidecar_name_own(const struct json *record, char **name, struct diag *why)
{
    enum status s = overlay_name(record, "", name, why);
    for (char *c = s == ST_OK ? *name : NULL; c && *c; c++)
        if (*c == '.') /* ends a key */
            *c = '_';
    return s;
}
