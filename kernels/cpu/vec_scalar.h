/* Eight floats in plain C: runs anywhere, no fused multiply-add. */
#ifndef KERNELS_CPU_VEC_SCALAR_H
#define KERNELS_CPU_VEC_SCALAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { VF = 8, VEC_REGISTERS = 16 };
typedef struct {
    float f[VF];
} vf;
typedef struct {
    int32_t i[VF];
} vi;

#define VEC_EACH for (int e = 0; e < VF; e++)

static inline vf vf_set(float x)
{
    vf r;
    VEC_EACH r.f[e] = x;
    return r;
}
static inline vf vf_load(const float *p)
{
    vf r;
    memcpy(&r, p, sizeof r);
    return r;
}
static inline void vf_store(float *p, vf a)
{
    memcpy(p, &a, sizeof a);
}
static inline vf vf_add(vf a, vf b)
{
    VEC_EACH a.f[e] += b.f[e];
    return a;
}
static inline vf vf_sub(vf a, vf b)
{
    VEC_EACH a.f[e] -= b.f[e];
    return a;
}
static inline vf vf_mul(vf a, vf b)
{
    VEC_EACH a.f[e] *= b.f[e];
    return a;
}
static inline vf vf_div(vf a, vf b)
{
    VEC_EACH a.f[e] /= b.f[e];
    return a;
}
static inline vf vf_fma(vf a, vf b, vf c)
{
    VEC_EACH c.f[e] += a.f[e] * b.f[e];
    return c;
}
/* The second operand where either is NaN. */
static inline vf vf_max(vf a, vf b)
{
    VEC_EACH b.f[e] = a.f[e] > b.f[e] ? a.f[e] : b.f[e];
    return b;
}
static inline vf vf_min(vf a, vf b)
{
    VEC_EACH b.f[e] = a.f[e] < b.f[e] ? a.f[e] : b.f[e];
    return b;
}
/* a, but 0 where x < low. */
static inline vf vf_zero_below(vf x, float low, vf a)
{
    VEC_EACH a.f[e] = x.f[e] < low ? 0.0f : a.f[e];
    return a;
}
/* y * 2^n, n being the low mantissa bits of t. */
static inline vf vf_scale2(vf y, vf t)
{
    uint32_t a[VF], b[VF];
    memcpy(a, &y, sizeof a);
    memcpy(b, &t, sizeof b);
    VEC_EACH a[e] += b[e] << 23;
    memcpy(&y, a, sizeof y);
    return y;
}
static inline float vf_sum(vf a)
{
    return ((a.f[0] + a.f[4]) + (a.f[2] + a.f[6])) + ((a.f[1] + a.f[5]) + (a.f[3] + a.f[7]));
}
static inline float vf_hmax(vf a)
{
    float m = a.f[0];
    VEC_EACH m = a.f[e] > m ? a.f[e] : m;
    return m;
}
static inline vf vf_load_bf16(const uint16_t *p)
{
    vf r;
    VEC_EACH
    {
        uint32_t bits = (uint32_t)p[e] << 16;
        memcpy(&r.f[e], &bits, sizeof bits);
    }
    return r;
}
/* To nearest, ties to even; a NaN stays one. */
static inline void vf_store_bf16(uint16_t *p, vf a)
{
    VEC_EACH
    {
        uint32_t bits;
        memcpy(&bits, &a.f[e], sizeof bits);
        bool nan = a.f[e] != a.f[e];
        p[e] = (uint16_t)(nan ? (bits >> 16) | 0x40 : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }
}
static inline void vf_store_s8(int8_t *p, vf a)
{
    VEC_EACH p[e] = (int8_t)lrintf(a.f[e]);
}
static inline vf vf_from_i32(const int32_t *p)
{
    int32_t t[VF];
    memcpy(t, p, sizeof t);
    vf r;
    VEC_EACH r.f[e] = (float)t[e];
    return r;
}

static inline vi vi_zero(void)
{
    return (vi){{0}};
}
static inline void vi_store(int32_t *p, vi a)
{
    memcpy(p, &a, sizeof a);
}
/* VF pairs of int8, widened. */
static inline vi vi_load_pairs(const int8_t *p)
{
    vi r;
    VEC_EACH r.i[e] = (int32_t)((uint32_t)(uint16_t)p[2 * e] | ((uint32_t)(uint16_t)p[2 * e + 1] << 16));
    return r;
}
static inline vi vi_set_pair(const int16_t *p)
{
    vi r;
    VEC_EACH memcpy(&r.i[e], p, sizeof r.i[e]);
    return r;
}
/* c + a.low * b.low + a.high * b.high */
static inline vi vi_dot(vi a, vi b, vi c)
{
    VEC_EACH c.i[e] += (int16_t)a.i[e] * (int16_t)b.i[e] + (a.i[e] >> 16) * (b.i[e] >> 16);
    return c;
}

#endif
