#include "broker/pictures.h"

#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "media/fetch.h"

enum { PICTURE_BYTES = 64 << 20 };

struct pictures {
    struct media_roots *roots;
    struct fetcher *fetcher;
};

enum status pictures_open(const char *const *roots, int n, struct pictures **out, struct diag *why)
{
    struct pictures *p = calloc(1, sizeof *p);
    if (!p)
        return ST_NOMEM;
    enum status s = media_roots_new(roots, n, &p->roots, why);
    struct fetch_options o = {.roots = p->roots, .max_bytes = PICTURE_BYTES, .no_http = true};
    if (s == ST_OK)
        s = fetcher_open(&o, &p->fetcher, why);
    if (s == ST_OK)
        *out = p;
    else
        pictures_close(p);
    return s;
}

void pictures_close(struct pictures *p)
{
    if (!p)
        return;
    fetcher_close(p->fetcher);
    media_roots_free(p->roots);
    free(p);
}

/* By what the worker found in the bytes, never by the file's name. */
static const char *type_of(const char *format)
{
    static const char *const types[][2] = {{"jpeg", "image/jpeg"}, {"png", "image/png"},   {"webp", "image/webp"},
                                           {"gif", "image/gif"},   {"avif", "image/avif"}, {"bmp", "image/bmp"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(format, types[i][0]) == 0)
            return types[i][1];
    return NULL;
}

static bool is_remote(const char *uri)
{
    static const char *const schemes[] = {"http:", "https:", "s3:"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strncmp(uri, schemes[i], strlen(schemes[i])) == 0)
            return true;
    return false;
}

static enum status explain(enum status s, enum fetch_error kind, const struct pictures *p, struct diag *why)
{
    if (kind == FETCH_UNKNOWN_ROOT && media_roots_count(p->roots) == 0)
        return diag_set(why, s, "this broker reads no pictures (--root NAME=DIR lets it)");
    if (kind == FETCH_UNKNOWN_ROOT)
        return diag_set(why, s, "it lies under no root of this broker (--root)");
    if (kind == FETCH_MISSING || kind == FETCH_ROOT_ABSENT)
        return diag_set(why, s, "the file is not there for this broker");
    return s; /* in its own words */
}

enum status pictures_read(const struct pictures *p, const struct json *record, struct picture *out, struct diag *why)
{
    const struct json *image = jsn_get(record, "image");
    const char *uri = jsn_string(jsn_get(image, "uri"), ""), *format = jsn_string(jsn_get(image, "format"), "");
    const char *sha256 = jsn_string(jsn_get(image, "sha256"), "");
    if (!*sha256 || !*format)
        return diag_set(why, ST_MISSING, "it was not decoded");
    if (!type_of(format))
        return diag_set(why, ST_UNSUPPORTED, "%.16s is no format of browsers", format);
    if (is_remote(uri))
        return diag_set(why, ST_REFUSED, "it lies on another host, which this page does not ask");
    struct bytes bytes = {0};
    enum fetch_error kind = FETCH_OK;
    enum status s = fetch(p->fetcher, uri, &bytes, &kind, why);
    if (s != ST_OK)
        return explain(s, kind, p, why);
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX];
    sha256_of(bytes.data, bytes.len, digest);
    sha256_hex(digest, hex);
    if (strcmp(hex, sha256) != 0) {
        bytes_fini(&bytes);
        return diag_set(why, ST_REFUSED, "the file has changed since it was annotated");
    }
    *out = (struct picture){.type = type_of(format), .bytes = bytes.data, .len = bytes.len};
    return ST_OK;
}
