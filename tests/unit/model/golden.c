#include "tests/unit/model/golden.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

void golden_path(char path[GOLDEN_PATH], const char *name)
{
    const char *dir = getenv("FERRET_GOLDEN");
    if (!dir) {
        cr_assert_null(getenv("REQUIRE_ALL"), "FERRET_GOLDEN names no folder");
        cr_skip("FERRET_GOLDEN names no folder");
    }
    cr_assert_lt(snprintf(path, GOLDEN_PATH, "%s/%s", dir, name), GOLDEN_PATH);
}
