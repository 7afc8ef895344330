/* Where a test finds the answers of the published code: the folder that FERRET_GOLDEN names. Without it such a test is
 * skipped; REQUIRE_ALL=1 makes that a failure. */
#ifndef TESTS_UNIT_MODEL_GOLDEN_H
#define TESTS_UNIT_MODEL_GOLDEN_H

enum { GOLDEN_PATH = 1024 };
void golden_path(char path[GOLDEN_PATH], const char *name);

#endif
