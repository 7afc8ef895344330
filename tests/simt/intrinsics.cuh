/* Device functions without a counterpart in C++. Macros where glibc has the name for itself. */
#ifndef TESTS_SIMT_INTRINSICS_CUH
#define TESTS_SIMT_INTRINSICS_CUH

#include <cmath>
#include <cstdint>
#include <cstring>

#include <cuda_fp16.h>

#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __powf(x, y) powf(x, y)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)

template <class To, class From> To simt_bits(From x)
{
    static_assert(sizeof(To) == sizeof(From), "bits are bits");
    To r;
    memcpy(&r, &x, sizeof r);
    return r;
}

inline int __float_as_int(float x)
{
    return simt_bits<int>(x);
}
inline unsigned __float_as_uint(float x)
{
    return simt_bits<unsigned>(x);
}
inline float __int_as_float(int x)
{
    return simt_bits<float>(x);
}
inline float __uint_as_float(unsigned x)
{
    return simt_bits<float>(x);
}
inline float rsqrtf(float x)
{
    return 1.0f / sqrtf(x);
}
inline float __fadd_rn(float a, float b)
{
    return a + b;
}
inline float __fmul_rn(float a, float b)
{
    return a * b;
}
inline float __fmaf_rn(float a, float b, float c)
{
    return fmaf(a, b, c);
}
inline float __fdividef(float a, float b)
{
    return a / b;
}
inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}
inline int __clz(int x)
{
    return x ? __builtin_clz(static_cast<unsigned>(x)) : 32;
}
inline int __ffs(int x)
{
    return __builtin_ffs(x);
}
inline int __float2int_rn(float x)
{
    return static_cast<int>(lrintf(x));
}
inline int __dp4a(int a, int b, int c)
{
    for (int i = 0; i < 32; i += 8)
        c += static_cast<int8_t>(a >> i) * static_cast<int8_t>(b >> i);
    return c;
}
template <class T> T __ldg(const T *p)
{
    return *p;
}
inline int min(int a, int b)
{
    return a < b ? a : b;
}
inline int max(int a, int b)
{
    return a > b ? a : b;
}

#endif
