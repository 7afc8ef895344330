#include "tests/gpu/limits.h"

#include <string.h>

/* Floating point operations (two a multiply-add) of a multiprocessor a clock. Tensor cores dense, with sums in f32;
 * f32 without TF32, on the CUDA cores. Worked out of NVIDIA's tables of peak rates as peak / (multiprocessors x boost
 * clock): the white papers of A100 (312 TFLOP/s = 108 x 1.41 GHz x 2048), GA102 (A40: 149.7 = 84 x 1.74 x 1024), Ada
 * (L40S: 362 = 142 x 2.52 x 1024), H100 (SXM5: 989 = 132 x 1.83 x 4096), and the data sheets of B200 (2250 = 148 x 1.86
 * x 8192) and RTX PRO 6000 Blackwell (504 = 188 x 2.62 x 1024). */
static const struct {
    int capability;
    int f32, half, int8, fp8; /* half: f16 and bf16 */
} rates[] = {
    {80, 128, 2048, 4096, 0},    {86, 256, 1024, 2048, 0},       {89, 256, 1024, 2048, 2048},
    {90, 256, 4096, 8192, 8192}, {100, 256, 8192, 16384, 16384}, {120, 256, 1024, 2048, 2048},
};

bool gpu_limits_of(const struct device_facts *f, struct gpu_limits *out)
{
    /* Two transfers a clock. */
    *out = (struct gpu_limits){.bytes = 2.0 * f->memory_clock_khz * 1e3 * f->bus_bits / 8};
    double clocks = (double)f->processors * f->clock_khz * 1e3;
    /* Those papers give GeForce cards half the rate where sums are f32 (RTX 4090: 165 = 128 x 2.52 x 512); int8 is
     * whole. */
    double share = strstr(f->name, "GeForce") ? 0.5 : 1;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        if (rates[i].capability != f->capability)
            continue;
        out->flops[DTYPE_F32] = clocks * rates[i].f32;
        out->flops[DTYPE_F16] = out->flops[DTYPE_BF16] = clocks * rates[i].half * share;
        out->flops[DTYPE_INT8] = clocks * rates[i].int8;
        out->flops[DTYPE_FP8] = clocks * rates[i].fp8 * share;
        return true;
    }
    return false;
}
