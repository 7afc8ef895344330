/* Shuffles and votes. Reading a lane outside the mask gives poison: on a device it is undefined. */
#ifndef TESTS_SIMT_WARP_CUH
#define TESTS_SIMT_WARP_CUH

#include "tests/simt/machine.cuh"

#include <cstring>

namespace simt
{

template <class T> struct shuffled {
    T in, out;
    int source;
};

template <class T> void run_shuffle(uint32_t mask, void **slots)
{
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        auto *mine = static_cast<shuffled<T> *>(slots[__builtin_ctz(rest)]);
        if (mask >> mine->source & 1)
            mine->out = static_cast<shuffled<T> *>(slots[mine->source])->in;
        else
            memset(static_cast<void *>(&mine->out), 0xFF, sizeof(T));
    }
}

/* A source outside the lane's group of `width` lanes is the lane itself. */
template <class T> T shuffle(const char *name, uint32_t mask, T value, int source, int first, int last)
{
    if (source < first || source > last)
        source = static_cast<int>(self->lane);
    shuffled<T> s = {value, value, source};
    warp_collective(name, mask, &s, run_shuffle<T>);
    return s.out;
}

inline int group_first(int width)
{
    return static_cast<int>(self->lane) & ~(width - 1);
}

struct vote {
    bool in;
    uint32_t out;
};

inline void run_vote(uint32_t mask, void **slots)
{
    uint32_t votes = 0;
    for (uint32_t rest = mask; rest; rest &= rest - 1)
        if (static_cast<vote *>(slots[__builtin_ctz(rest)])->in)
            votes |= rest & -rest;
    for (uint32_t rest = mask; rest; rest &= rest - 1)
        static_cast<vote *>(slots[__builtin_ctz(rest)])->out = votes;
}

inline void run_nothing(uint32_t, void **)
{
}

} // namespace simt

template <class T> T __shfl_sync(unsigned mask, T value, int lane, int width = 32)
{
    int first = simt::group_first(width);
    return simt::shuffle("__shfl_sync", mask, value, first + (lane & (width - 1)), first, first + width - 1);
}

template <class T> T __shfl_xor_sync(unsigned mask, T value, int with, int width = 32)
{
    return simt::shuffle("__shfl_xor_sync", mask, value, static_cast<int>(simt::self->lane) ^ with, 0,
                         simt::group_first(width) + width - 1);
}

template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    int first = simt::group_first(width);
    return simt::shuffle("__shfl_down_sync", mask, value, static_cast<int>(simt::self->lane + by), first,
                         first + width - 1);
}

template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    int first = simt::group_first(width);
    return simt::shuffle("__shfl_up_sync", mask, value, static_cast<int>(simt::self->lane) - static_cast<int>(by),
                         first, first + width - 1);
}

inline unsigned __ballot_sync(unsigned mask, int in)
{
    simt::vote v = {in != 0, 0};
    simt::warp_collective("__ballot_sync", mask, &v, simt::run_vote);
    return v.out;
}

inline int __any_sync(unsigned mask, int in)
{
    return __ballot_sync(mask, in) != 0;
}

inline int __all_sync(unsigned mask, int in)
{
    return __ballot_sync(mask, !in) == 0;
}

inline void __syncwarp(unsigned mask = ~0u)
{
    simt::warp_collective("__syncwarp", mask, nullptr, simt::run_nothing);
}

#endif
