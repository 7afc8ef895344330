#include "kernels/cpu/simd_unroll.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vec_avx2.h"
#include "kernels/cpu/simd_table.h"

const struct simd *simd_avx2(void)
{
    static const struct simd table = SIMD_TABLE("avx2");
    return &table;
}
