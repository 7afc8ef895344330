/* Atomics, between the OS threads that run blocks as well. */
#ifndef TESTS_SIMT_ATOMIC_CUH
#define TESTS_SIMT_ATOMIC_CUH

#include <atomic>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace simt
{

template <size_t> struct word;
template <> struct word<2> {
    using type = uint16_t;
};
template <> struct word<4> {
    using type = uint32_t;
};
template <> struct word<8> {
    using type = uint64_t;
};

template <class T, class F> T atomic_update(T *p, F fn)
{
    using bits = typename word<sizeof(T)>::type;
    auto *at = reinterpret_cast<bits *>(p);
    bits old = __atomic_load_n(at, __ATOMIC_SEQ_CST), fresh;
    T value;
    do {
        memcpy(static_cast<void *>(&value), &old, sizeof old);
        T next = fn(value);
        memcpy(&fresh, static_cast<const void *>(&next), sizeof fresh);
    } while (!__atomic_compare_exchange_n(at, &old, fresh, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return value;
}

} // namespace simt

template <class T> T atomicAdd(T *p, T v)
{
    return simt::atomic_update(p, [v](T old) -> T { return old + v; });
}
template <class T> T atomicMax(T *p, T v)
{
    return simt::atomic_update(p, [v](T old) -> T { return old < v ? v : old; });
}
template <class T> T atomicMin(T *p, T v)
{
    return simt::atomic_update(p, [v](T old) -> T { return v < old ? v : old; });
}
template <class T> T atomicExch(T *p, T v)
{
    return simt::atomic_update(p, [v](T) -> T { return v; });
}
template <class T> T atomicCAS(T *p, T expected, T v)
{
    return simt::atomic_update(p, [expected, v](T old) -> T { return old == expected ? v : old; });
}

inline void __threadfence()
{
    std::atomic_thread_fence(std::memory_order_seq_cst);
}
inline void __threadfence_block()
{
}

#endif
