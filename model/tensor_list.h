/* A growing list of tensors, as the file readers fill it, and what a tensor type is called and measures. */
#ifndef MODEL_TENSOR_LIST_H
#define MODEL_TENSOR_LIST_H

#include "model/checkpoint.h"

struct tensor_list {
    struct tensor *items; /* names owned by the list */
    size_t n, capacity;
};

/* Appends a copy of *t with a copy of its name. */
MUST_CHECK enum status tensor_list_add(struct tensor_list *list, const struct tensor *t);
void tensor_list_fini(struct tensor_list *list);

size_t tensor_type_bytes(enum tensor_type type);     /* bytes of a value; 0 for TENSOR_OTHER */
const char *tensor_type_word(enum tensor_type type); /* safetensors' word: "F16" */
bool tensor_is_float(enum tensor_type type);
int64_t tensor_elements(const int64_t *dims, int n); /* product; -1 where negative or over int64 */
enum { TENSOR_SHAPE_TEXT = 112 };                    /* bytes that the text of any shape fits in */
const char *tensor_shape_text(const int64_t *dims, int n, char text[TENSOR_SHAPE_TEXT]); /* "[32001, 4096]" */

#endif
