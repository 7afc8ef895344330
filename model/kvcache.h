/* Pages of the KV cache and the segments that own them. A sequence is a list of segments (system text, image, own);
 * a segment begins on a fresh page, holds a fixed number of places and is shared whole by reference count. Bookkeeping
 * only: no device. One thread. */
#ifndef MODEL_KVCACHE_H
#define MODEL_KVCACHE_H

#include <stdint.h>

#include "base/status.h"

struct kvcache {
    int n_pages, n_free;
    int32_t *free_pages; /* a stack: the page given back last is used first */
    uint64_t next_serial;
};

struct segment {
    uint64_t serial; /* unique, ascending with creation */
    int base;        /* RoPE position of place 0 */
    int size;        /* places */
    int filled;      /* places whose K and V have been written by the steps planned so far */
    int refs;
    int n_pages;
    int32_t *pages;
};

MUST_CHECK enum status kvcache_init(struct kvcache *kv, int n_pages);
void kvcache_fini(struct kvcache *kv);
int kvcache_pages_for(int places);

/* A segment with one reference. ST_BUSY: not enough free pages now; ST_NOMEM: no memory for the list. */
MUST_CHECK enum status segment_new(struct kvcache *kv, int base, int size, struct segment **out);
struct segment *segment_hold(struct segment *s);
/* Drops a reference; the last one gives the pages back. NULL is fine. */
void segment_release(struct kvcache *kv, struct segment *s);

#endif
