/* A folder that lives as long as a test. */
#ifndef TESTS_UNIT_FORMATS_SCRATCH_H
#define TESTS_UNIT_FORMATS_SCRATCH_H

#include <stddef.h>

/* Made once a test process; removed when it ends. */
const char *scratch(void);
/* "SCRATCH/name", in one of a few buffers that are used in turn. */
const char *scratch_path(const char *name);
void scratch_write(const char *name, const void *bytes, size_t len);
void scratch_text(const char *name, const char *text);
void scratch_folder(const char *name);

#endif
