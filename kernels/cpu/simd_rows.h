/* Row functions over vec_*.h: included by each simd_*.c and nowhere else, so that one source serves every set. */
#ifndef KERNELS_CPU_SIMD_ROWS_H
#define KERNELS_CPU_SIMD_ROWS_H

#include <math.h>
#include <stdbool.h>

/* n of VF floats, zeros behind them. */
static inline vf load_part(const float *p, int n)
{
    if (n >= VF)
        return vf_load(p);
    float t[VF] = {0};
    memcpy(t, p, (size_t)n * sizeof *t);
    return vf_load(t);
}

static inline void store_part(float *p, vf a, int n)
{
    if (n >= VF) {
        vf_store(p, a);
        return;
    }
    float t[VF];
    vf_store(t, a);
    memcpy(p, t, (size_t)n * sizeof *t);
}

/* a with zeros from lane n on. */
static inline vf keep_part(vf a, int n)
{
    if (n >= VF)
        return a;
    float t[VF];
    vf_store(t, a);
    return load_part(t, n);
}

/* exp(x) within 2 ulp (Cephes' polynomial); 0 below -87.33, largest finite power above 88.72. */
static inline vf vf_exp(vf x)
{
    const vf magic = vf_set(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer in the low mantissa bits */
    vf c = vf_min(vf_set(88.72f), vf_max(vf_set(-87.33f), x));
    vf t = vf_add(vf_mul(c, vf_set(1.44269504088896341f)), magic);
    vf n = vf_sub(t, magic);
    vf r = vf_fma(n, vf_set(-0.693359375f), c);
    r = vf_fma(n, vf_set(2.12194440e-4f), r);
    vf y = vf_fma(vf_set(1.9875691500e-4f), r, vf_set(1.3981999507e-3f));
    y = vf_fma(y, r, vf_set(8.3334519073e-3f));
    y = vf_fma(y, r, vf_set(4.1665795894e-2f));
    y = vf_fma(y, r, vf_set(1.6666665459e-1f));
    y = vf_fma(y, r, vf_set(5.0000001201e-1f));
    y = vf_add(vf_fma(vf_mul(r, r), y, r), vf_set(1.0f));
    return vf_zero_below(x, -87.33f, vf_scale2(y, t));
}

/* The same function for one number, so that it agrees with the vectors bit by bit. */
static inline float exp_one(float x)
{
    float t[VF];
    vf_store(t, vf_exp(vf_set(x)));
    return t[0];
}

static inline vf vf_sigmoid(vf x)
{
    vf one = vf_set(1.0f);
    return vf_div(one, vf_add(one, vf_exp(vf_sub(vf_set(0.0f), x))));
}

static inline vf round_to_bf16(vf a)
{
    uint16_t t[VF];
    vf_store_bf16(t, a);
    return vf_load_bf16(t);
}

static void rms_row(float *out, const float *x, const float *weight, int n, float eps, bool round_bf16)
{
    vf sum[2] = {vf_set(0.0f), vf_set(0.0f)};
    for (int i = 0; i < n; i += VF) {
        vf v = load_part(x + i, n - i);
        int lane = (i / VF) % 2;
        sum[lane] = vf_fma(v, v, sum[lane]);
    }
    float mean = vf_sum(vf_add(sum[0], sum[1])) / (float)n;
    vf factor = vf_set(1.0f / sqrtf(mean + eps));
    for (int i = 0; i < n; i += VF) {
        vf v = vf_mul(load_part(x + i, n - i), factor);
        if (round_bf16)
            v = round_to_bf16(v);
        store_part(out + i, vf_mul(v, load_part(weight + i, n - i)), n - i);
    }
}

static void layer_row(float *out, const float *x, const float *weight, const float *bias, int n, float eps)
{
    vf sum = vf_set(0.0f), squares = vf_set(0.0f);
    for (int i = 0; i < n; i += VF)
        sum = vf_add(sum, load_part(x + i, n - i));
    vf mean = vf_set(vf_sum(sum) / (float)n);
    for (int i = 0; i < n; i += VF) {
        vf d = keep_part(vf_sub(load_part(x + i, n - i), mean), n - i);
        squares = vf_fma(d, d, squares);
    }
    vf factor = vf_set(1.0f / sqrtf(vf_sum(squares) / (float)n + eps));
    for (int i = 0; i < n; i += VF) {
        vf v = vf_mul(vf_sub(load_part(x + i, n - i), mean), factor);
        store_part(out + i, vf_fma(v, load_part(weight + i, n - i), load_part(bias + i, n - i)), n - i);
    }
}

static void to_bf16(uint16_t *out, const float *x, int n)
{
    int i = 0;
    for (; i + VF <= n; i += VF)
        vf_store_bf16(out + i, vf_load(x + i));
    if (i < n) {
        uint16_t t[VF];
        vf_store_bf16(t, load_part(x + i, n - i));
        memcpy(out + i, t, (size_t)(n - i) * sizeof *t);
    }
}

static void from_bf16(float *out, const uint16_t *x, int n)
{
    int i = 0;
    for (; i + VF <= n; i += VF)
        vf_store(out + i, vf_load_bf16(x + i));
    if (i < n) {
        uint16_t t[VF] = {0};
        memcpy(t, x + i, (size_t)(n - i) * sizeof *t);
        store_part(out + i, vf_load_bf16(t), n - i);
    }
}

static float to_int8(int8_t *out, const float *x, int n)
{
    vf top = vf_set(0.0f);
    for (int i = 0; i < n; i += VF) {
        vf v = load_part(x + i, n - i);
        top = vf_max(top, vf_max(v, vf_sub(vf_set(0.0f), v)));
    }
    float max = vf_hmax(top);
    if (!(max > 0.0f)) {
        memset(out, 0, (size_t)n);
        return max; /* 0, or NaN which then marks the row */
    }
    vf factor = vf_set(127.0f / max);
    int i = 0;
    for (; i + VF <= n; i += VF)
        vf_store_s8(out + i, vf_mul(vf_load(x + i), factor));
    if (i < n) {
        int8_t t[VF];
        vf_store_s8(t, vf_mul(load_part(x + i, n - i), factor));
        memcpy(out + i, t, (size_t)(n - i));
    }
    return max / 127.0f;
}

static void dequant(float *out, const int32_t *x, float row_scale, const float *column_scale, int n)
{
    vf scale = vf_set(row_scale);
    int i = 0;
    for (; i + VF <= n; i += VF)
        vf_store(out + i, vf_mul(vf_from_i32(x + i), vf_mul(scale, vf_load(column_scale + i))));
    if (i < n) {
        int32_t t[VF] = {0};
        memcpy(t, x + i, (size_t)(n - i) * sizeof *t);
        store_part(out + i, vf_mul(vf_from_i32(t), vf_mul(scale, load_part(column_scale + i, n - i))), n - i);
    }
}

static void add(float *y, const float *x, int n)
{
    for (int i = 0; i < n; i += VF)
        store_part(y + i, vf_add(load_part(y + i, n - i), load_part(x + i, n - i)), n - i);
}

static void quick_gelu(float *y, int n)
{
    for (int i = 0; i < n; i += VF) {
        vf v = load_part(y + i, n - i);
        store_part(y + i, vf_mul(v, vf_sigmoid(vf_mul(vf_set(1.702f), v))), n - i);
    }
}

static void rotate(float *x, const float *turn, int half)
{
    for (int i = 0; i < half; i += VF) {
        int n = half - i;
        vf a = load_part(x + i, n), b = load_part(x + half + i, n);
        vf c = load_part(turn + i, n), s = load_part(turn + half + i, n);
        store_part(x + i, vf_sub(vf_mul(a, c), vf_mul(b, s)), n);
        store_part(x + half + i, vf_add(vf_mul(b, c), vf_mul(a, s)), n);
    }
}

static void silu_mul(float *out, const float *gate, const float *up, int n)
{
    for (int i = 0; i < n; i += VF) {
        vf g = load_part(gate + i, n - i);
        store_part(out + i, vf_mul(vf_mul(g, vf_sigmoid(g)), load_part(up + i, n - i)), n - i);
    }
}

static void exp_row(float *out, const float *x, int n, float max, float factor)
{
    for (int i = 0; i < n; i += VF)
        store_part(out + i, vf_exp(vf_mul(vf_sub(load_part(x + i, n - i), vf_set(max)), vf_set(factor))), n - i);
}

static double exp_sum(const float *x, int n, float max, float factor)
{
    enum { RUN = 64 * VF }; /* floats summed in f32 before they go to the double */
    double total = 0;
    for (int at = 0; at < n; at += RUN) {
        vf sum = vf_set(0.0f);
        int end = at + RUN < n ? at + RUN : n;
        for (int i = at; i < end; i += VF) {
            vf e = vf_exp(vf_mul(vf_sub(load_part(x + i, n - i), vf_set(max)), vf_set(factor)));
            sum = vf_add(sum, keep_part(e, n - i));
        }
        total += (double)vf_sum(sum);
    }
    return total;
}

static float max_row(const float *x, int n)
{
    vf top = vf_set(x[0]);
    int i = 0;
    for (; i + VF <= n; i += VF)
        top = vf_max(vf_load(x + i), top);
    float max = vf_hmax(top);
    for (; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

static void blend(float *out, const float *const rows[4], const float weights[4], int n)
{
    for (int i = 0; i < n; i += VF) {
        vf s = vf_mul(vf_set(weights[0]), load_part(rows[0] + i, n - i));
        for (int r = 1; r < 4; r++)
            s = vf_fma(vf_set(weights[r]), load_part(rows[r] + i, n - i), s);
        store_part(out + i, s, n - i);
    }
}

static void region_pool_row(float *out, const float *a, const float *anchor, const float *b, const float *weight,
                            const float *bias, int n, float eps, bool max_pool, float *tmp)
{
    for (int i = 0; i < n; i += VF) {
        vf v = vf_sub(load_part(a + i, n - i), load_part(anchor + i, n - i));
        store_part(tmp + i, vf_max(vf_set(0.0f), vf_add(v, load_part(b + i, n - i))), n - i);
    }
    layer_row(tmp, tmp, weight, bias, n, eps);
    for (int i = 0; i < n; i += VF) {
        vf v = load_part(tmp + i, n - i), o = load_part(out + i, n - i);
        store_part(out + i, max_pool ? vf_max(o, v) : vf_add(o, v), n - i);
    }
}

#endif
