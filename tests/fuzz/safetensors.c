/* Fuzz target: any bytes as a safetensors file. */
#include <stdint.h>

#include "model/safetensors.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct tensor_list list = {0};
    struct diag why;
    enum status s = safetensors_read(bytes, size, "input", &list, &why);
    const uint8_t *end = bytes + size;
    for (size_t i = 0; s == ST_OK && i < list.n; i++) {
        const uint8_t *data = list.items[i].data;
        if (data < bytes || data > end || list.items[i].bytes > (size_t)(end - data))
            __builtin_trap();
    }
    tensor_list_fini(&list);
    return 0;
}
