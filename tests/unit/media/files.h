/* Image files for tests: made by hand, or read from the sample corpus. Everything fails the test on errors. */
#ifndef TESTS_UNIT_MEDIA_FILES_H
#define TESTS_UNIT_MEDIA_FILES_H

#include <stddef.h>
#include <stdint.h>

struct file {
    uint8_t *bytes; /* malloc'ed, no byte more than len */
    size_t len;
};

struct file file_read(const char *path);
struct file file_sample(const char *name); /* of tests/e2e/corpus/files */
struct file file_text(const char *text);
/* The first `len` bytes. */
struct file file_cut(const struct file *f, size_t len);
void file_free(struct file *f);

/* A PNG whose header says width x height and whose data hold `rows` (filter byte first in each). frames > 0: it says
 * so in an acTL chunk. colour: 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA. */
struct file file_png(int width, int height, int depth, int colour, const uint8_t *rows, size_t len, int frames);
/* The same, of one value everywhere; rows_there <= height rows of data. */
struct file file_plain_png(int width, int height, int rows_there);

#endif
