/* Weight files whose tensors are holes: everything that describes them is written, no value takes disk. For
 * sparse_checkpoint.c, which is a program of one object file: hence static. */
#ifndef TESTS_PARITY_SPARSE_FILE_H
#define TESTS_PARITY_SPARSE_FILE_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "model/tensor_list.h"

static int64_t sparse_tensor_bytes(const struct tensor *t)
{
    return tensor_elements(t->dims, t->n_dims) * (int64_t)tensor_type_bytes(t->type);
}

struct sparse_text {
    char *bytes;
    size_t n, capacity;
    bool is_short; /* of memory; sticks */
};

static void sparse_put(struct sparse_text *b, const void *bytes, size_t n)
{
    if (b->n + n > b->capacity) {
        size_t capacity = 2 * (b->n + n);
        char *grown = realloc(b->bytes, capacity);
        b->is_short = b->is_short || !grown;
        if (!grown)
            return;
        b->bytes = grown;
        b->capacity = capacity;
    }
    memcpy(b->bytes + b->n, bytes, n);
    b->n += n;
}

static void sparse_number(struct sparse_text *b, uint64_t value, int bytes)
{
    unsigned char little[8];
    for (int i = 0; i < bytes; i++)
        little[i] = (unsigned char)(value >> (8 * i));
    sparse_put(b, little, (size_t)bytes);
}

static void PRINTF_LIKE(2, 3) sparse_print(struct sparse_text *b, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    sparse_put(b, text, n > 0 && (size_t)n < sizeof text ? (size_t)n : 0);
}

static bool sparse_write_at(int fd, const struct sparse_text *b, int64_t at)
{
    return !b->is_short && pwrite(fd, b->bytes, b->n, at) == (ssize_t)b->n;
}

static enum status sparse_close(int fd, const char *path, bool is_ok, struct diag *why)
{
    int error = errno;
    if (fd >= 0 && close(fd) != 0 && is_ok) {
        is_ok = false;
        error = errno;
    }
    return is_ok ? ST_OK : diag_set(why, ST_IO, "%s: %s", path, strerror(error));
}

static enum status sparse_safetensors(const char *path, const struct tensor *tensors, size_t n, struct diag *why)
{
    struct sparse_text b = {0};
    int64_t at = 0;
    sparse_number(&b, 0, 8);
    sparse_print(&b, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; i++) {
        sparse_print(&b, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", tensors[i].name, tensor_type_word(tensors[i].type));
        for (int d = 0; d < tensors[i].n_dims; d++)
            sparse_print(&b, "%s%lld", d ? "," : "", (long long)tensors[i].dims[d]);
        int64_t end = at + sparse_tensor_bytes(&tensors[i]);
        sparse_print(&b, "],\"data_offsets\":[%lld,%lld]}", (long long)at, (long long)end);
        at = end;
    }
    sparse_print(&b, "}");
    while (b.n % 8 != 0 && !b.is_short)
        sparse_print(&b, " ");
    for (int i = 0; i < 8 && !b.is_short; i++)
        b.bytes[i] = (char)((b.n - 8) >> (8 * i));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool is_ok = fd >= 0 && sparse_write_at(fd, &b, 0) && ftruncate(fd, (int64_t)b.n + at) == 0;
    free(b.bytes);
    return sparse_close(fd, path, is_ok, why);
}

static void sparse_pickle_text(struct sparse_text *b, const char *text)
{
    sparse_put(b, "X", 1);
    sparse_number(b, strlen(text), 4);
    sparse_put(b, text, strlen(text));
}

static void sparse_pickle_int(struct sparse_text *b, int64_t value)
{
    sparse_put(b, "J", 1);
    sparse_number(b, (uint64_t)value, 4);
}

static void sparse_pickle_tensor(struct sparse_text *b, const struct tensor *t, size_t key)
{
    const char *class = t->type == TENSOR_I64 ? "LongStorage" : t->type == TENSOR_F32 ? "FloatStorage" : "HalfStorage";
    int64_t strides[TENSOR_MAX_DIMS], elements = 1;
    char number[32];
    for (int i = t->n_dims; i-- > 0; elements *= t->dims[i])
        strides[i] = elements;
    snprintf(number, sizeof number, "%zu", key);
    sparse_pickle_text(b, t->name);
    sparse_print(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
    sparse_pickle_text(b, "storage");
    sparse_print(b, "ctorch\n%s\n", class);
    sparse_pickle_text(b, number);
    sparse_pickle_text(b, "cpu");
    sparse_pickle_int(b, elements);
    sparse_print(b, "tQK");
    sparse_number(b, 0, 1);
    for (int k = 0; k < 2; k++) {
        sparse_print(b, "(");
        for (int i = 0; i < t->n_dims; i++)
            sparse_pickle_int(b, k ? strides[i] : t->dims[i]);
        sparse_print(b, "t");
    }
    sparse_print(b, "\x89"
                    "ccollections\nOrderedDict\n)RtR");
}

/* A zip being written: entries one behind the other, each aligned to 64 bytes as PyTorch does, sizes as zip64. */
struct sparse_zip {
    int fd;
    int64_t at;
    struct sparse_text central;
    uint64_t n;
    bool is_ok;
};

static void sparse_entry(struct sparse_zip *z, const char *name, const struct sparse_text *data, int64_t bytes)
{
    struct sparse_text local = {0};
    size_t name_len = strlen(name);
    uint32_t crc = data ? (uint32_t)crc32_z(0, (const Bytef *)data->bytes, data->n) : 0;
    int64_t start = z->at, padding = 64 - (start + 30 + (int64_t)name_len + 4) % 64;
    sparse_put(&local, "PK\3\4\0\0\0\0\0\0\0\0\0\0", 14);
    sparse_number(&local, crc, 4);
    sparse_number(&local, UINT32_MAX, 4);
    sparse_number(&local, UINT32_MAX, 4);
    sparse_number(&local, name_len, 2);
    sparse_number(&local, (uint64_t)(4 + padding), 2);
    sparse_put(&local, name, name_len);
    sparse_number(&local, 0x4246, 2);
    sparse_number(&local, (uint64_t)padding, 2);
    for (int64_t i = 0; i < padding; i++)
        sparse_put(&local, "Z", 1);
    z->is_ok = z->is_ok && sparse_write_at(z->fd, &local, start);
    z->at += (int64_t)local.n;
    if (data)
        z->is_ok = z->is_ok && sparse_write_at(z->fd, data, z->at);
    z->at += bytes;
    free(local.bytes);
    sparse_put(&z->central, "PK\1\2\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    sparse_number(&z->central, crc, 4);
    sparse_number(&z->central, UINT32_MAX, 4);
    sparse_number(&z->central, UINT32_MAX, 4);
    sparse_number(&z->central, name_len, 2);
    sparse_number(&z->central, 28, 2);
    sparse_put(&z->central, "\0\0\0\0\0\0\0\0\0\0", 10);
    sparse_number(&z->central, UINT32_MAX, 4);
    sparse_put(&z->central, name, name_len);
    sparse_number(&z->central, 1, 2);
    sparse_number(&z->central, 24, 2);
    sparse_number(&z->central, (uint64_t)bytes, 8);
    sparse_number(&z->central, (uint64_t)bytes, 8);
    sparse_number(&z->central, (uint64_t)start, 8);
    z->n++;
}

static void sparse_end(struct sparse_zip *z)
{
    int64_t central_at = z->at, central_bytes = (int64_t)z->central.n;
    struct sparse_text *b = &z->central;
    sparse_put(b, "PK\6\6", 4);
    sparse_number(b, 44, 8);
    sparse_number(b, 0, 8);
    sparse_number(b, 0, 4);
    sparse_number(b, z->n, 8);
    sparse_number(b, z->n, 8);
    sparse_number(b, (uint64_t)central_bytes, 8);
    sparse_number(b, (uint64_t)central_at, 8);
    sparse_put(b, "PK\6\7\0\0\0\0", 8);
    sparse_number(b, (uint64_t)(central_at + central_bytes), 8);
    sparse_number(b, 1, 4);
    sparse_put(b, "PK\5\6\0\0\0\0", 8);
    sparse_number(b, UINT32_MAX, 4);
    sparse_number(b, UINT64_MAX, 8);
    sparse_number(b, 0, 2);
    z->is_ok = z->is_ok && sparse_write_at(z->fd, b, central_at);
    free(b->bytes);
}

static enum status sparse_pytorch(const char *path, const struct tensor *tensors, size_t n, struct diag *why)
{
    struct sparse_zip z = {.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
    struct sparse_text pickle = {0};
    z.is_ok = z.fd >= 0;
    sparse_put(&pickle, "\x80\2}(", 4);
    for (size_t i = 0; i < n; i++)
        sparse_pickle_tensor(&pickle, &tensors[i], i);
    sparse_put(&pickle, "u.", 2);
    sparse_entry(&z, "archive/data.pkl", &pickle, (int64_t)pickle.n);
    for (size_t i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, "archive/data/%zu", i);
        sparse_entry(&z, name, NULL, sparse_tensor_bytes(&tensors[i]));
    }
    free(pickle.bytes);
    sparse_end(&z);
    return sparse_close(z.fd, path, z.is_ok, why);
}

#endif
