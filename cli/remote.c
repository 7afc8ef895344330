#include "cli/remote.h"

#include <string.h>

static enum status need_fetcher(struct remote *r, struct diag *why)
{
    return r->fetcher ? ST_OK : fetcher_open(r->options, &r->fetcher, why);
}

static enum status read_part(void *ctx, const char *uri, uint64_t offset, uint64_t length, uint8_t **bytes, size_t *len,
                             struct diag *why)
{
    struct remote *r = ctx;
    struct bytes b = {0};
    enum status s = need_fetcher(r, why);
    if (s == ST_OK)
        s = fetch_part(r->fetcher, uri, offset, length, &b, NULL, why);
    if (s != ST_OK)
        return s;
    *bytes = b.data;
    *len = b.len;
    return ST_OK;
}

static enum status list(void *ctx, const char *uri, char **token, char ***names, int *n, struct diag *why)
{
    struct remote *r = ctx;
    struct uri_list page = {0};
    enum status s = need_fetcher(r, why);
    if (s == ST_OK)
        s = fetch_list(r->fetcher, uri, token, &page, NULL, why);
    if (s != ST_OK)
        return s;
    *names = page.uris;
    *n = page.n;
    return ST_OK;
}

void remote_init(struct remote *r, const struct fetch_options *o)
{
    *r = (struct remote){.options = o, .inputs = {.ctx = r, .read = read_part, .list = list}};
}

void remote_fini(struct remote *r)
{
    fetcher_close(r->fetcher);
    *r = (struct remote){0};
}
