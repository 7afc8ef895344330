/* First in each simd_*.c. The tiles' sums are arrays that live in registers only once the small loops over them are
 * unrolled; clang does that at any level, gcc from O3 on. */
#ifndef KERNELS_CPU_SIMD_UNROLL_H
#define KERNELS_CPU_SIMD_UNROLL_H

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

#endif
