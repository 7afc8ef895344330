#include "tests/unit/model/scratch.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void scratch_join(char path[SCRATCH_PATH], const char *dir, const char *name)
{
    int n = snprintf(path, SCRATCH_PATH, "%s/%s", dir, name);
    cr_assert(n > 0 && n < SCRATCH_PATH);
}

void fixture_path(char path[SCRATCH_PATH], const char *name)
{
    const char *golden = getenv("FERRET_GOLDEN");
    scratch_join(path, golden ? golden : "tests/parity/fixtures", name);
}

void scratch_make(char path[SCRATCH_PATH])
{
    const char *tmp = getenv("TMPDIR");
    scratch_join(path, tmp ? tmp : "/tmp", "ferret-unit-XXXXXX");
    cr_assert(mkdtemp(path));
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

void scratch_remove(const char *path)
{
    cr_assert_eq(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

unsigned char *scratch_read(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    cr_assert(f, "%s", path);
    struct stat st;
    cr_assert_eq(fstat(fileno(f), &st), 0);
    unsigned char *bytes = malloc((size_t)st.st_size + 1);
    cr_assert(bytes);
    *len = fread(bytes, 1, (size_t)st.st_size, f);
    cr_assert_eq(*len, (size_t)st.st_size);
    bytes[*len] = '\0';
    fclose(f);
    return bytes;
}

void scratch_write(const char *path, const void *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");
    cr_assert(f, "%s", path);
    cr_assert_eq(fwrite(bytes, 1, len, f), len);
    cr_assert_eq(fclose(f), 0);
}

void scratch_copy(const char *fixture, const char *dir, const char *name)
{
    char from[SCRATCH_PATH], to[SCRATCH_PATH];
    fixture_path(from, fixture);
    scratch_join(to, dir, name);
    cr_assert_eq(mkdir(to, 0777), 0);
    DIR *entries = opendir(from);
    cr_assert(entries, "%s", from);
    for (struct dirent *e; (e = readdir(entries));) {
        char source[SCRATCH_PATH], target[SCRATCH_PATH];
        struct stat st;
        scratch_join(source, from, e->d_name);
        scratch_join(target, to, e->d_name);
        if (stat(source, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        size_t len;
        unsigned char *bytes = scratch_read(source, &len);
        scratch_write(target, bytes, len);
        free(bytes);
    }
    closedir(entries);
}

void scratch_edit(const char *dir, const char *name, const char *from, const char *to)
{
    char path[SCRATCH_PATH];
    scratch_join(path, dir, name);
    size_t len;
    char *text = (char *)scratch_read(path, &len), *at = strstr(text, from);
    cr_assert(at, "%s holds no \"%s\"", path, from);
    char *edited = malloc(len + strlen(to) + 1);
    int n = snprintf(edited, len + strlen(to) + 1, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    scratch_write(path, edited, (size_t)n);
    free(edited);
    free(text);
}
