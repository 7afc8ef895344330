#include "formats/write/tar.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, NAME_MOST = 100 };

/* POSIX ustar, byte for byte. */
struct header {
    char name[NAME_MOST], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], unused[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header fills a block");

static void write_header(FILE *out, const char *name, char type, size_t size)
{
    struct header h = {.type = type, .magic = "ustar", .version = {'0', '0'}};
    size_t len = strlen(name);
    memcpy(h.name, name, len < NAME_MOST ? len : NAME_MOST);
    snprintf(h.mode, sizeof h.mode, "%07o", 0644);
    snprintf(h.uid, sizeof h.uid, "%07o", 0);
    snprintf(h.gid, sizeof h.gid, "%07o", 0);
    snprintf(h.size, sizeof h.size, "%011llo", (unsigned long long)size);
    snprintf(h.mtime, sizeof h.mtime, "%011o", 0);
    memset(h.sum, ' ', sizeof h.sum); /* counts as blanks in the sum over the header */
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof h; i++)
        sum += ((const unsigned char *)&h)[i];
    snprintf(h.sum, sizeof h.sum, "%06o", sum);
    fwrite(&h, sizeof h, 1, out);
}

static void write_body(FILE *out, const void *bytes, size_t len)
{
    static const char zeros[BLOCK];
    fwrite(bytes, 1, len, out);
    fwrite(zeros, 1, (BLOCK - len % BLOCK) % BLOCK, out);
}

/* "LENGTH path=NAME\n", where LENGTH counts itself. */
static void write_long_name(FILE *out, const char *name)
{
    char *text = NULL;
    size_t rest = strlen(name) + strlen(" path=\n"), len = rest + 1;
    while (len != rest + (size_t)snprintf(NULL, 0, "%zu", len))
        len = rest + (size_t)snprintf(NULL, 0, "%zu", len);
    if (asprintf(&text, "%zu path=%s\n", len, name) < 0)
        return;
    write_header(out, "pax", 'x', len);
    write_body(out, text, len);
    free(text);
}

void tar_put(FILE *out, const char *name, const void *bytes, size_t len)
{
    if (strlen(name) > NAME_MOST)
        write_long_name(out, name);
    write_header(out, name, '0', len);
    write_body(out, bytes, len);
}

void tar_end(FILE *out)
{
    static const char zeros[2 * BLOCK];
    fwrite(zeros, 1, sizeof zeros, out);
}
