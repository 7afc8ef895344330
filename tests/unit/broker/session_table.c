/* Sessions come and go in any order; each that is there is found, and no other. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "broker/dispatch_impl.h"
#include "tests/unit/broker/rig.h"

enum { IDS = 3000, STEPS = 20000 };

/* Spread as random ids are; the first eight bytes of some are the same. */
static void make_id(unsigned n, uint8_t id[SESSION_BYTES])
{
    uint64_t halves[2] = {(n / 2 + 1) * 0x9e3779b97f4a7c15U, n * 0xbf58476d1ce4e5b9U};
    memcpy(id, halves, sizeof halves);
}

static void look_at_all(struct dispatch *d, const bool *there)
{
    size_t n = 0;
    for (unsigned i = 0; i < IDS; i++) {
        uint8_t id[SESSION_BYTES];
        make_id(i, id);
        const struct session *s = session_find(d, id);
        cr_assert_eq(s != NULL, there[i], "session %u", i);
        cr_assert(!s || (memcmp(s->id, id, sizeof id) == 0 && s->seq == i), "session %u", i);
        n += s != NULL;
    }
    cr_assert_eq(d->n_sessions, n);
}

Test(session_table, each_that_came_and_did_not_go_is_found)
{
    struct dispatch *d = rig_open(10000);
    bool there[IDS] = {false};
    unsigned random = 1;
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525U + 1013904223U;
        unsigned i = (random >> 8) % IDS;
        uint8_t id[SESSION_BYTES];
        make_id(i, id);
        struct session *s = there[i] ? session_find(d, id) : session_add(d, id);
        cr_assert_not_null(s);
        if (there[i])
            session_remove(d, s);
        else
            s->seq = i;
        there[i] = !there[i];
        if (step % 1000 == 0)
            look_at_all(d, there);
    }
    look_at_all(d, there);
    while (d->n_sessions > 0)
        session_remove(d, &d->sessions[d->n_sessions / 2]);
    look_at_all(d, (bool[IDS]){false});
    dispatch_free(d);
}
