#include "model/kvcache.h"

#include <criterion/criterion.h>

#include "kernels/backend.h"

Test(kvcache, pages_come_back_with_the_last_reference)
{
    struct kvcache kv;
    cr_assert_eq(kvcache_init(&kv, 4), ST_OK);
    struct segment *s;
    cr_assert_eq(segment_new(&kv, 7, KV_PAGE + 1, &s), ST_OK);
    cr_assert_eq(s->n_pages, 2);
    cr_assert_eq(s->base, 7);
    segment_hold(s);
    segment_release(&kv, s);
    cr_assert_eq(kv.n_free, 2);
    segment_release(&kv, s);
    cr_assert_eq(kv.n_free, 4);
    segment_release(&kv, NULL);
    kvcache_fini(&kv);
}

Test(kvcache, a_segment_that_does_not_fit_takes_nothing)
{
    struct kvcache kv;
    cr_assert_eq(kvcache_init(&kv, 2), ST_OK);
    struct segment *s = NULL;
    cr_assert_eq(segment_new(&kv, 0, 2 * KV_PAGE + 1, &s), ST_BUSY);
    cr_assert_null(s);
    cr_assert_eq(kv.n_free, 2);
    cr_assert_eq(segment_new(&kv, 0, 2 * KV_PAGE, &s), ST_OK);
    cr_assert_neq(s->pages[0], s->pages[1]);
    segment_release(&kv, s);
    kvcache_fini(&kv);
}

Test(kvcache, places_round_up_to_pages)
{
    cr_assert_eq(kvcache_pages_for(0), 0);
    cr_assert_eq(kvcache_pages_for(1), 1);
    cr_assert_eq(kvcache_pages_for(KV_PAGE), 1);
    cr_assert_eq(kvcache_pages_for(KV_PAGE + 1), 2);
}
