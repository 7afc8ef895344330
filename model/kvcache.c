#include "model/kvcache.h"

#include <assert.h>
#include <stdlib.h>

#include "kernels/backend.h"

enum status kvcache_init(struct kvcache *kv, int n_pages)
{
    int32_t *pages = malloc((size_t)n_pages * sizeof *pages);
    if (!pages)
        return ST_NOMEM;
    for (int i = 0; i < n_pages; i++)
        pages[i] = n_pages - 1 - i;
    *kv = (struct kvcache){.n_pages = n_pages, .n_free = n_pages, .free_pages = pages, .next_serial = 1};
    return ST_OK;
}

void kvcache_fini(struct kvcache *kv)
{
    free(kv->free_pages);
    *kv = (struct kvcache){0};
}

int kvcache_pages_for(int places)
{
    return (places + KV_PAGE - 1) / KV_PAGE;
}

enum status segment_new(struct kvcache *kv, int base, int size, struct segment **out)
{
    int n = kvcache_pages_for(size);
    if (n > kv->n_free)
        return ST_BUSY;
    struct segment *s = calloc(1, sizeof *s);
    if (!s)
        return ST_NOMEM;
    s->pages = malloc((size_t)(n > 0 ? n : 1) * sizeof *s->pages);
    if (!s->pages) {
        free(s);
        return ST_NOMEM;
    }
    s->serial = kv->next_serial++;
    s->base = base;
    s->size = size;
    s->refs = 1;
    s->n_pages = n;
    for (int i = 0; i < n; i++)
        s->pages[i] = kv->free_pages[--kv->n_free];
    *out = s;
    return ST_OK;
}

struct segment *segment_hold(struct segment *s)
{
    assert(s->refs > 0);
    s->refs++;
    return s;
}

void segment_release(struct kvcache *kv, struct segment *s)
{
    if (!s)
        return;
    assert(s->refs > 0);
    if (--s->refs > 0)
        return;
    for (int i = s->n_pages - 1; i >= 0; i--)
        kv->free_pages[kv->n_free++] = s->pages[i];
    free(s->pages);
    free(s);
}
