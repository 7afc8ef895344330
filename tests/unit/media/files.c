#include "tests/unit/media/files.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct file file_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    cr_assert(f, "%s", path);
    cr_assert_eq(fseek(f, 0, SEEK_END), 0);
    struct file file = {.len = (size_t)ftell(f)};
    rewind(f);
    file.bytes = malloc(file.len ? file.len : 1);
    cr_assert_eq(fread(file.bytes, 1, file.len, f), file.len);
    fclose(f);
    return file;
}

struct file file_sample(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "tests/e2e/corpus/files/%s", name);
    return file_read(path);
}

struct file file_text(const char *text)
{
    return file_cut(&(struct file){(uint8_t *)(uintptr_t)text, strlen(text)}, strlen(text));
}

struct file file_cut(const struct file *f, size_t len)
{
    struct file cut = {.bytes = malloc(len ? len : 1), .len = len};
    cr_assert(cut.bytes && len <= f->len);
    memcpy(cut.bytes, f->bytes, len);
    return cut;
}

void file_free(struct file *f)
{
    free(f->bytes);
    *f = (struct file){0};
}

static void put_number(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void add_chunk(struct file *f, const char *kind, const uint8_t *data, size_t len)
{
    f->bytes = realloc(f->bytes, f->len + len + 12);
    cr_assert(f->bytes);
    uint8_t *p = f->bytes + f->len;
    put_number(p, (uint32_t)len);
    memcpy(p + 4, kind, 4);
    if (len)
        memcpy(p + 8, data, len);
    put_number(p + 8 + len, (uint32_t)crc32(0, p + 4, (uInt)len + 4));
    f->len += len + 12;
}

struct file file_png(int width, int height, int depth, int colour, const uint8_t *rows, size_t len, int frames)
{
    struct file f = {.bytes = malloc(8), .len = 8};
    uint8_t header[13] = {0}, control[8] = {0};
    uLongf packed_len = compressBound(len);
    uint8_t *packed = malloc(packed_len);
    cr_assert(f.bytes && packed);
    memcpy(f.bytes, "\x89PNG\r\n\x1A\n", 8);
    put_number(header, (uint32_t)width);
    put_number(header + 4, (uint32_t)height);
    header[8] = (uint8_t)depth;
    header[9] = (uint8_t)colour;
    add_chunk(&f, "IHDR", header, sizeof header);
    put_number(control, (uint32_t)frames);
    if (frames > 0)
        add_chunk(&f, "acTL", control, sizeof control);
    cr_assert_eq(compress2(packed, &packed_len, rows, len, 1), Z_OK);
    add_chunk(&f, "IDAT", packed, packed_len);
    add_chunk(&f, "IEND", NULL, 0);
    free(packed);
    return f;
}

struct file file_plain_png(int width, int height, int rows_there)
{
    size_t row = 3 * (size_t)width + 1, len = row * (size_t)rows_there;
    uint8_t *rows = malloc(len ? len : 1);
    cr_assert(rows);
    memset(rows, 77, len);
    for (int y = 0; y < rows_there; y++)
        rows[(size_t)y * row] = 0;
    struct file f = file_png(width, height, 8, 2, rows, len, 0);
    free(rows);
    return f;
}
