/* A main for fuzz targets without libFuzzer: runs every file of the folders or names that it is given, and ROUNDS
 * damaged versions of each, always the same ones. Inputs are allocated to the byte, so a sanitizer sees any read past
 * their end.
 *   replay ROUNDS FILE|DIR... */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

enum { MAX_PATH_BYTES = 4096, MAX_EDITS = 8 };

struct run {
    uint64_t random; /* xorshift */
    long rounds, inputs;
};

static uint64_t draw(struct run *r, uint64_t below)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return below ? r->random % below : 0;
}

static void run_input(struct run *r, const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        return;
    memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    r->inputs++;
}

/* Flips, replaces, overwrites with another part, or cuts. Half of the edits hit the first or last kilobyte, where
 * containers keep what they say about themselves. */
static size_t damage(struct run *r, uint8_t *bytes, size_t size)
{
    static const uint8_t telling[] = {0, 1, 0x7F, 0x80, 0xFF};
    for (uint64_t edits = 1 + draw(r, MAX_EDITS); edits > 0 && size > 0; edits--) {
        size_t span = draw(r, 2) && size > 1024 ? 1024 : size;
        size_t at = draw(r, 2) ? draw(r, span) : size - 1 - draw(r, span);
        switch (draw(r, 5)) {
        case 0: bytes[at] ^= (uint8_t)(1 << draw(r, 8)); break;
        case 1: bytes[at] = (uint8_t)draw(r, 256); break;
        case 2: bytes[at] = telling[draw(r, sizeof telling)]; break;
        case 3: {
            size_t from = draw(r, size), n = draw(r, 16);
            if (from + n <= size && at + n <= size)
                memmove(bytes + at, bytes + from, n);
            break;
        }
        default:
            if (draw(r, 8) == 0)
                size = at;
        }
    }
    return size;
}

static int run_file(struct run *r, const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) != 0) {
        perror(path);
        return 1;
    }
    size_t size = (size_t)st.st_size;
    uint8_t *bytes = malloc(size + 1), *damaged = malloc(size + 1);
    int failed = !bytes || !damaged || fread(bytes, 1, size, f) != size;
    fclose(f);
    if (!failed)
        run_input(r, bytes, size);
    for (long i = 0; !failed && i < r->rounds; i++) {
        memcpy(damaged, bytes, size);
        run_input(r, damaged, damage(r, damaged, size));
    }
    free(bytes);
    free(damaged);
    return failed;
}

static int run_path(struct run *r, const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return run_file(r, path);
    int failed = 0;
    for (struct dirent *e; (e = readdir(dir)) && !failed;) {
        char name[MAX_PATH_BYTES];
        int n = snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.' && n > 0 && (size_t)n < sizeof name)
            failed = run_file(r, name);
    }
    closedir(dir);
    return failed;
}

int main(int argc, char **argv)
{
    struct run r = {.random = 88172645463325252ULL};
    if (argc < 3) {
        fprintf(stderr, "usage: %s ROUNDS FILE|DIR...\n", argv[0]);
        return 2;
    }
    r.rounds = strtol(argv[1], NULL, 10);
    for (int i = 2; i < argc; i++)
        if (run_path(&r, argv[i]) != 0)
            return 1;
    printf("%ld inputs\n", r.inputs);
    return 0;
}
