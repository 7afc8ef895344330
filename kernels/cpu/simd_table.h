/* Ends a simd_*.c: the table over the functions that simd_rows.h, simd_attend.h and simd_panel.h have made. */
#ifndef KERNELS_CPU_SIMD_TABLE_H
#define KERNELS_CPU_SIMD_TABLE_H

#include "kernels/cpu/simd_rows.h"
#include "kernels/cpu/simd_attend.h"
#include "kernels/cpu/simd_panel.h"

/* Member by member, so that a new function can't be forgotten: clang and gcc warn about a missing one. */
#define SIMD_TABLE(name)                                                                                               \
    {                                                                                                                  \
        name, PANEL, rms_row, layer_row, to_bf16, from_bf16, to_int8, dequant, add, quick_gelu, silu_mul, exp_sum,     \
            exp_row, max_row, blend, region_pool_row, attend, panel_f32, panel_bf16, panel_int8                        \
    }

#endif
