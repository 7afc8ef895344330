#include "model/tensor_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum status tensor_list_add(struct tensor_list *list, const struct tensor *t)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct tensor *items = realloc(list->items, capacity * sizeof *items);
        if (!items)
            return ST_NOMEM;
        list->items = items;
        list->capacity = capacity;
    }
    char *name = strdup(t->name);
    if (!name)
        return ST_NOMEM;
    list->items[list->n] = *t;
    list->items[list->n++].name = name;
    return ST_OK;
}

void tensor_list_fini(struct tensor_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free((char *)list->items[i].name);
    free(list->items);
    *list = (struct tensor_list){0};
}

size_t tensor_type_bytes(enum tensor_type type)
{
    static const size_t bytes[] = {
        [TENSOR_F32] = 4, [TENSOR_F16] = 2, [TENSOR_BF16] = 2, [TENSOR_I64] = 8,
        [TENSOR_I32] = 4, [TENSOR_I8] = 1,  [TENSOR_U8] = 1,   [TENSOR_OTHER] = 0,
    };
    return bytes[type];
}

const char *tensor_type_word(enum tensor_type type)
{
    static const char *const words[] = {
        [TENSOR_F32] = "F32", [TENSOR_F16] = "F16", [TENSOR_BF16] = "BF16", [TENSOR_I64] = "I64",
        [TENSOR_I32] = "I32", [TENSOR_I8] = "I8",   [TENSOR_U8] = "U8",     [TENSOR_OTHER] = "another type",
    };
    return words[type];
}

bool tensor_is_float(enum tensor_type type)
{
    return type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16;
}

int64_t tensor_elements(const int64_t *dims, int n)
{
    int64_t product = 1;
    for (int i = 0; i < n; i++)
        if (dims[i] < 0 || __builtin_mul_overflow(product, dims[i], &product))
            return -1;
    return product;
}

const char *tensor_shape_text(const int64_t *dims, int n, char text[TENSOR_SHAPE_TEXT])
{
    int at = snprintf(text, TENSOR_SHAPE_TEXT, "[");
    for (int i = 0; i < n && at < TENSOR_SHAPE_TEXT - 1; i++)
        at += snprintf(text + at, (size_t)(TENSOR_SHAPE_TEXT - at), "%s%lld", i ? ", " : "", (long long)dims[i]);
    if (at < TENSOR_SHAPE_TEXT - 1)
        snprintf(text + at, (size_t)(TENSOR_SHAPE_TEXT - at), "]");
    return text;
}
