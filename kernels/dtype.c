/* Names of precisions; apart from backend.c because plugins need them too. */
#include "kernels/backend.h"

#include <string.h>

const char *dtype_name(enum dtype d)
{
    static const char *const names[] = {
        [DTYPE_F32] = "f32", [DTYPE_F16] = "f16", [DTYPE_BF16] = "bf16", [DTYPE_INT8] = "int8", [DTYPE_FP8] = "fp8"};
    return (unsigned)d < DTYPE_COUNT_ ? names[d] : "unknown";
}

enum status dtype_parse(const char *name, enum dtype *out, struct diag *why)
{
    for (int d = 0; d < DTYPE_COUNT_; d++) {
        if (strcmp(name, dtype_name((enum dtype)d)) == 0) {
            *out = (enum dtype)d;
            return ST_OK;
        }
    }
    return diag_set(why, ST_INVALID, "dtype '%s' is none of f32, f16, bf16, int8, fp8", name);
}
