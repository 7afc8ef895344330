#include "tests/unit/formats/scratch.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/ferret-unit.XXXXXX";
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
        cr_assert_not_null(mkdtemp(folder));
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
