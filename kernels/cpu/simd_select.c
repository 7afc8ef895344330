#include "kernels/cpu/simd.h"

#include <stddef.h>
#include <string.h>

#if !defined(__x86_64__)
#error "kernels/cpu has variants for x86-64; another processor needs only vec_scalar.h here"
#endif

static const struct simd *best(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return simd_avx512();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return simd_avx2();
    return simd_scalar();
}

const struct simd *simd_select(const char *isa)
{
    const struct simd *const all[] = {simd_scalar(), simd_avx2(), simd_avx512()};
    const struct simd *top = best();
    if (strcmp(isa, "auto") == 0)
        return top;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(isa, all[i]->name) == 0)
            return all[i];
        if (all[i] == top)
            return NULL;
    }
    return NULL;
}
