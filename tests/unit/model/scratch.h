/* Folders and files for tests: copies of the fixtures that a test may damage, and where the answers of the published
 * code are. Everything fails the test on errors. */
#ifndef TESTS_UNIT_MODEL_SCRATCH_H
#define TESTS_UNIT_MODEL_SCRATCH_H

#include <stddef.h>

enum { SCRATCH_PATH = 1024 };

/* path = NAME in the folder of fixtures; FERRET_GOLDEN names another folder of the same layout (the answers of the
 * official code). */
void fixture_path(char path[SCRATCH_PATH], const char *name);

/* A new empty folder; scratch_remove takes it away with all in it. */
void scratch_make(char path[SCRATCH_PATH]);
void scratch_remove(const char *path);
/* path = dir/name */
void scratch_join(char path[SCRATCH_PATH], const char *dir, const char *name);
/* Copies the files of a fixture folder (not its folders) into a new folder dir/name. */
void scratch_copy(const char *fixture, const char *dir, const char *name);

unsigned char *scratch_read(const char *path, size_t *len); /* malloc'ed */
void scratch_write(const char *path, const void *bytes, size_t len);
/* Replaces the first occurrence of `from` by `to` in a text file. */
void scratch_edit(const char *dir, const char *name, const char *from, const char *to);

#endif
