/* Fuzz target: any bytes as a PyTorch weight file; bytes that do not begin like a zip run as the pickle inside one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/torch_pickle.h"
#include "tests/fuzz/fuzz.h"

static void run_archive(const uint8_t *bytes, size_t size)
{
    struct tensor_list list = {0};
    struct diag why;
    enum status s = torch_archive_read(bytes, size, "input", &list, &why);
    const uint8_t *end = bytes + size;
    for (size_t i = 0; s == ST_OK && i < list.n; i++) {
        const uint8_t *data = list.items[i].data;
        if (data < bytes || data > end || list.items[i].bytes > (size_t)(end - data))
            __builtin_trap();
    }
    tensor_list_fini(&list);
}

static void run_pickle(const uint8_t *bytes, size_t size)
{
    struct pickled_tensors found = {0};
    struct diag why;
    if (torch_pickle_read(bytes, size, "input", &found, &why) != ST_OK)
        return;
    for (size_t i = 0; i < found.n; i++) {
        const struct pickled_tensor *t = &found.items[i];
        int64_t elements = tensor_elements(t->dims, t->n_dims);
        if (elements < 0 || t->offset < 0 || elements > t->storage_elements - t->offset)
            __builtin_trap();
    }
    free(found.items);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size >= 4 && memcmp(bytes, "PK\3\4", 4) == 0)
        run_archive(bytes, size);
    else
        run_pickle(bytes, size);
    return 0;
}
