/* Ends a simd_*.c: the table over the functions that simd_rows.h, simd_attend.h and simd_panel.h have made. */
#ifndef KERNELS_CPU_SIMD_TABLE_H
#define KERNELS_CPU_SIMD_TABLE_H

#include "kernels/cpu/simd_rows.h"
#include "kernels/cpu/simd_attend.h"
#include "kernels/cpu/simd_panel.h"

#define SIMD_TABLE(set)                                                                                                \
    {                                                                                                                  \
        .name = set, .panel = PANEL, .rms_row = rms_row, .layer_row = layer_row, .to_bf16 = to_bf16,                   \
        .from_bf16 = from_bf16, .to_int8 = to_int8, .dequant = dequant, .add = add, .quick_gelu = quick_gelu,          \
        .rotate = rotate, .silu_mul = silu_mul, .exp_sum = exp_sum, .exp_row = exp_row, .max_row = max_row,            \
        .blend = blend, .region_pool_row = region_pool_row, .attend = attend, .near_f32 = near_f32,                    \
        .near_bf16 = near_bf16, .near_int8 = near_int8, .panel_f32 = panel_f32, .panel_bf16 = panel_bf16,              \
        .panel_int8 = panel_int8                                                                                       \
    }

#endif
