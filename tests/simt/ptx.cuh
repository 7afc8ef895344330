/* The instructions of kernels/cuda/ptx.cuh, warp-wide, in the layouts of the PTX manual: lane = 4 g + t. */
#ifndef TESTS_SIMT_PTX_CUH
#define TESTS_SIMT_PTX_CUH

#include "tests/simt/machine.cuh"

#include <cstring>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

namespace simt
{

template <class D> struct mma_operands {
    D *c;
    const unsigned *a, *b;
};

struct half_pair {
    static constexpr int K = 16, EACH = 2;
    static float get(unsigned r, int i)
    {
        __half_raw h;
        h.x = static_cast<unsigned short>(r >> (16 * i));
        return __half2float(__half(h));
    }
};
struct bf16_pair {
    static constexpr int K = 16, EACH = 2;
    static float get(unsigned r, int i)
    {
        unsigned bits = i ? r & 0xFFFF0000u : r << 16;
        float f;
        memcpy(&f, &bits, sizeof f);
        return f;
    }
};
struct s8_quad {
    static constexpr int K = 32, EACH = 4;
    static int get(unsigned r, int i)
    {
        return static_cast<int8_t>(r >> (8 * i));
    }
};

struct e4m3_quad {
    static constexpr int K = 32, EACH = 4;
    static float get(unsigned r, int i)
    {
        auto byte = static_cast<__nv_fp8_storage_t>(r >> (8 * i));
        return __half2float(__half(__nv_cvt_fp8_to_halfraw(byte, __NV_E4M3)));
    }
};

/* m16n8k(K): registers of A are [row g | g + 8][first | second half of K], of B [first | second half of K]. */
template <class T, class D> void run_mma(uint32_t mask, void **slots)
{
    if (mask != ~0u)
        die("mma.sync with lanes that have ended");
    D a[16][T::K], b[T::K][8];
    for (int lane = 0; lane < 32; lane++) {
        auto *s = static_cast<mma_operands<D> *>(slots[lane]);
        int g = lane >> 2, t = lane & 3;
        for (int i = 0; i < T::EACH; i++) {
            for (int r = 0; r < 4; r++)
                a[g + (r & 1) * 8][t * T::EACH + i + (r >> 1) * T::K / 2] = T::get(s->a[r], i);
            for (int r = 0; r < 2; r++)
                b[t * T::EACH + i + r * T::K / 2][g] = T::get(s->b[r], i);
        }
    }
    for (int lane = 0; lane < 32; lane++) {
        auto *s = static_cast<mma_operands<D> *>(slots[lane]);
        int g = lane >> 2, t = lane & 3;
        for (int i = 0; i < 4; i++)
            for (int k = 0; k < T::K; k++)
                s->c[i] += a[g + (i >> 1) * 8][k] * b[k][t * 2 + (i & 1)];
    }
}

struct matrix_rows {
    unsigned *r;
    const void *row;
};

template <int N, bool TRANSPOSED> void run_ldmatrix(uint32_t mask, void **slots)
{
    if (mask != ~0u)
        die("ldmatrix with lanes that have ended");
    uint16_t m[N][8][8];
    for (int i = 0; i < N * 8; i++) {
        const void *row = static_cast<matrix_rows *>(slots[i])->row;
        if (reinterpret_cast<uintptr_t>(row) & 15)
            die("ldmatrix: the row of lane %d is not aligned to 16 bytes", i);
        memcpy(m[i / 8][i % 8], row, 16);
    }
    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < N; i++) {
            int g = lane >> 2, t = lane & 3;
            unsigned low = TRANSPOSED ? m[i][2 * t][g] : m[i][g][2 * t];
            unsigned high = TRANSPOSED ? m[i][2 * t + 1][g] : m[i][g][2 * t + 1];
            static_cast<matrix_rows *>(slots[lane])->r[i] = low | high << 16;
        }
}

template <class T, class D> void mma(const char *name, D *c, const unsigned *a, const unsigned *b)
{
    mma_operands<D> s = {c, a, b};
    warp_collective(name, ~0u, &s, run_mma<T, D>);
}

template <int N, bool TRANSPOSED> void ldmatrix(unsigned *r, const void *row)
{
    matrix_rows s = {r, row};
    warp_collective("ldmatrix", ~0u, &s, run_ldmatrix<N, TRANSPOSED>);
}

} // namespace simt

inline void mma_f16(float *c, const unsigned *a, const unsigned *b)
{
    simt::mma<simt::half_pair, float>("mma.sync f16", c, a, b);
}
inline void mma_bf16(float *c, const unsigned *a, const unsigned *b)
{
    simt::mma<simt::bf16_pair, float>("mma.sync bf16", c, a, b);
}
inline void mma_s8(int *c, const unsigned *a, const unsigned *b)
{
    simt::mma<simt::s8_quad, int>("mma.sync s8", c, a, b);
}
inline void mma_e4m3(float *c, const unsigned *a, const unsigned *b)
{
    simt::mma<simt::e4m3_quad, float>("mma.sync e4m3", c, a, b);
}
inline void ldmatrix_x2(unsigned *r, const void *row)
{
    simt::ldmatrix<2, false>(r, row);
}
inline void ldmatrix_x4(unsigned *r, const void *row)
{
    simt::ldmatrix<4, false>(r, row);
}
inline void ldmatrix_x4_trans(unsigned *r, const void *row)
{
    simt::ldmatrix<4, true>(r, row);
}
inline void cp_async16(void *shared, const void *global)
{
    simt::copy_async(shared, global);
}
inline void cp_async_commit()
{
    simt::copy_commit();
}
template <int N> void cp_async_wait()
{
    simt::copy_wait(N);
}

#endif
