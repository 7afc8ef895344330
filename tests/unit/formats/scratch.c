#include "tests/unit/formats/scratch.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* In memory where there is such a place: hundreds of small files that are renamed over others wait for a disk. */
static char in_memory[] = "/dev/shm/ferret-unit.XXXXXX", on_disk[] = "/tmp/ferret-unit.XXXXXX";
static const char *folder;
static bool made;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_all(void)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *scratch(void)
{
    if (!made) {
        folder = mkdtemp(in_memory);
        if (!folder)
            folder = mkdtemp(on_disk);
        cr_assert_not_null(folder);
        made = true;
        atexit(remove_all);
    }
    return folder;
}

const char *scratch_path(const char *name)
{
    static char buffers[8][512];
    static int turn;
    char *path = buffers[turn++ % 8];
    snprintf(path, 512, "%s/%s", scratch(), name);
    return path;
}

void scratch_write(const char *name, const void *bytes, size_t len)
{
    FILE *f = fopen(scratch_path(name), "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, len, f), len);
    fclose(f);
}

void scratch_text(const char *name, const char *text)
{
    scratch_write(name, text, strlen(text));
}

void scratch_folder(const char *name)
{
    cr_assert_eq(mkdir(scratch_path(name), 0777), 0);
}
