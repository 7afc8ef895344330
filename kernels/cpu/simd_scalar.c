#include "kernels/cpu/simd_unroll.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vec_scalar.h"
#include "kernels/cpu/simd_table.h"

const struct simd *simd_scalar(void)
{
    static const struct simd table = SIMD_TABLE("scalar");
    return &table;
}
