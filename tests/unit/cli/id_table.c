#include "cli/id_table.h"

#include <criterion/criterion.h>
#include <string.h>

Test(id_table, ids_with_one_beginning_are_told_apart_and_kept_while_it_grows)
{
    enum { IDS = 5000 };
    struct id_table t = {.n = 0};
    uint8_t id[ID_BYTES] = {0}; /* the first eight bytes choose the place: all the same */
    for (uint32_t i = 0; i < IDS; i++) {
        memcpy(id + 12, &i, sizeof i);
        struct id_row *row = id_table_at(&t, id);
        cr_assert_not_null(row);
        row->campaign = i;
    }
    cr_assert_eq(t.n, IDS);
    for (uint32_t i = 0; i < IDS; i += 7) {
        memcpy(id + 12, &i, sizeof i);
        cr_assert_eq(id_table_at(&t, id)->campaign, i);
    }
    cr_assert_eq(t.n, IDS);
    id_table_fini(&t);
}
