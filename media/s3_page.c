#include "media/s3_page.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/fetch_impl.h"

enum { TEXT_BYTES = 8192 };

struct reading {
    XML_Parser parser;
    const char *bucket;
    struct uri_list list;
    int room;
    char text[TEXT_BYTES]; /* of the element that is open */
    size_t n;
    char *token;
    bool is_list, truncated, no_memory, too_long;
};

void uri_list_fini(struct uri_list *l)
{
    for (int i = 0; i < l->n; i++)
        free(l->uris[i]);
    free(l->uris);
    *l = (struct uri_list){0};
}

static void on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    struct reading *r = ctx;
    (void)attributes;
    r->is_list |= strcmp(name, "ListBucketResult") == 0;
    r->n = 0;
}

static void on_text(void *ctx, const XML_Char *text, int len)
{
    struct reading *r = ctx;
    if (r->n + (size_t)len >= TEXT_BYTES) {
        r->too_long = true;
        return;
    }
    memcpy(r->text + r->n, text, (size_t)len);
    r->n += (size_t)len;
}

static void add_name(struct reading *r)
{
    size_t n = percent_decode(r->text, r->n, (uint8_t *)r->text);
    r->text[n] = '\0';
    if (n == 0 || r->text[n - 1] == '/')
        return;
    if (r->list.n == r->room) {
        int room = r->room ? 2 * r->room : 64;
        char **uris = realloc(r->list.uris, (size_t)room * sizeof *uris);
        if (!uris) {
            r->no_memory = true;
            return;
        }
        r->list.uris = uris;
        r->room = room;
    }
    if (asprintf(&r->list.uris[r->list.n], "s3://%s/%s", r->bucket, r->text) < 0)
        r->no_memory = true;
    else
        r->list.n++;
}

static void on_end(void *ctx, const XML_Char *name)
{
    struct reading *r = ctx;
    r->text[r->n] = '\0';
    if (r->too_long || r->no_memory) {
        XML_StopParser(r->parser, XML_FALSE);
    } else if (strcmp(name, "Key") == 0) {
        add_name(r);
    } else if (strcmp(name, "IsTruncated") == 0) {
        r->truncated = strcmp(r->text, "true") == 0;
    } else if (strcmp(name, "NextContinuationToken") == 0) {
        free(r->token);
        r->token = strdup(r->text);
        r->no_memory |= !r->token;
    }
    r->n = 0;
}

enum status s3_page_read(const struct bytes *page, const char *bucket, char **token, struct uri_list *out,
                         struct diag *why)
{
    struct reading r = {.parser = XML_ParserCreate(NULL), .bucket = bucket};
    if (!r.parser)
        return ST_NOMEM;
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    bool ok = XML_Parse(r.parser, (const char *)page->data, (int)page->len, XML_TRUE) == XML_STATUS_OK;
    XML_ParserFree(r.parser);
    bool sound = ok && r.is_list && !r.too_long && r.truncated == (r.token != NULL);
    if (!sound || r.no_memory) {
        uri_list_fini(&r.list);
        free(r.token);
        return r.no_memory ? ST_NOMEM : diag_set(why, ST_FORMAT, "not a list of a bucket");
    }
    free(*token);
    *token = r.token;
    *out = r.list;
    return ST_OK;
}
