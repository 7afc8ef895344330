/* LAUNCH(kernel, grid, block, shared_bytes, stream, arguments...): parenthesise a kernel that is a template. */
#ifndef TESTS_SIMT_LAUNCH_CUH
#define TESTS_SIMT_LAUNCH_CUH

#include "tests/simt/counts.h"
#include "tests/simt/stream.cuh"

#include <tuple>
#include <type_traits>

extern "C" struct simt_counts simt_counts;

namespace simt
{

template <class T> void check_argument(const char *kernel, const T &value)
{
    static_assert(std::is_trivially_copyable<T>::value, "a kernel's argument is copied as bytes");
    if constexpr (std::is_pointer<T>::value) {
        if (!plain_device_pointer(static_cast<const void *>(value)))
            die("%s: launch with a pointer %p that is not device memory", kernel, static_cast<const void *>(value));
    } else {
        (void)kernel, (void)value;
    }
}

/* Arguments are copied here, as a real launch does, and again for each thread. */
template <class... P, class... A>
void launch(const char *name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
            A &&...arguments)
{
    shape s = {name, grid, block, shared_bytes};
    check_shape(s, allowed_shared(reinterpret_cast<const void *>(kernel)));
    std::tuple<std::decay_t<P>...> copied(static_cast<std::decay_t<P>>(arguments)...);
    std::apply([&](const auto &...a) { (check_argument(name, a), ...); }, copied);
    simt_counts.launches += !capturing(stream);
    stream_push(stream, name,
                [=] { run_grid(s, [&] { std::apply(kernel, std::tuple<std::decay_t<P>...>(copied)); }); });
}

} // namespace simt

#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                                         \
    simt::launch(#kernel, kernel, dim3(grid), dim3(block), shared_bytes, stream, __VA_ARGS__)

#endif
