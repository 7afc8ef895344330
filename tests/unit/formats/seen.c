#include "formats/read/seen.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"

enum { TABLES = 5 }; /* four become files, and those become one */

static struct seen_row row_of(uint64_t i)
{
    uint8_t digest[SHA256_BYTES];
    struct seen_row row = {.job = i, .place = i + 1};
    sha256_of(&i, sizeof i, digest);
    memcpy(row.id, digest, sizeof row.id);
    return row;
}

static void put(struct seen *s, const struct seen_row *row, bool want_known, uint64_t want_job)
{
    bool known;
    struct seen_row old = {.job = 0};
    struct diag why = {""};
    cr_assert_eq(seen_put(s, row, &known, &old, &why), ST_OK, "%s", why.text);
    cr_assert_eq(known, want_known, "row %d", (int)row->job);
    if (known)
        cr_assert_eq(old.job, want_job);
}

Test(seen, every_id_is_known_by_its_first_row_in_memory_and_in_files)
{
    struct seen *s = NULL;
    cr_assert_eq(seen_new(&s), ST_OK);
    for (uint64_t i = 0; i < TABLES * SEEN_TABLE_ROWS; i++) {
        struct seen_row row = row_of(i), early = row_of(i / 2);
        put(s, &row, false, 0);
        early.job = UINT64_MAX; /* what comes later under the id is not remembered */
        if (i % 4 == 0)
            put(s, &early, true, i / 2);
    }
    seen_free(s);
}

Test(seen, ids_that_all_begin_alike_are_kept_apart)
{
    enum { ALIKE = 1000 }; /* eight pages of a run, behind its last one */
    struct seen *s = NULL;
    cr_assert_eq(seen_new(&s), ST_OK);
    for (int again = 0; again < 2; again++) {
        for (uint64_t i = 0; i < (again ? ALIKE : TABLES * SEEN_TABLE_ROWS); i++) {
            struct seen_row row = row_of(i);
            if (i < ALIKE)
                memset(row.id, 0xFF, 4);
            put(s, &row, again == 1, i);
        }
    }
    seen_free(s);
}

Test(seen, a_folder_that_takes_no_file_is_named)
{
    struct seen *s = NULL;
    struct diag why = {""};
    enum status status = ST_OK;
    cr_assert_eq(seen_new(&s), ST_OK);
    cr_assert_eq(setenv("TMPDIR", "/nowhere/at all", 1), 0);
    for (uint64_t i = 0; status == ST_OK && i < SEEN_TABLE_ROWS; i++) {
        bool known;
        struct seen_row row = row_of(i), old;
        status = seen_put(s, &row, &known, &old, &why);
    }
    cr_expect_eq(status, ST_IO);
    cr_expect_str_eq(why.text, "ids that were met: no temporary file in /nowhere/at all: No such file or directory");
    seen_free(s);
}
