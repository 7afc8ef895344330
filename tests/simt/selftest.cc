/* The machine and the stand-in runtime do what CUDA says, in every schedule and with one and two OS threads. */
#include "kernels/random.h"
#include "tests/simt/kernels.cuh"
#include "tests/simt/memory.cuh"
#include "tests/simt/stream.cuh"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cmath>
#include <cstdio>
#include <vector>

namespace
{

bool all_well = true;

void want(bool ok, const char *what)
{
    if (!ok) {
        printf("  %s\n", what);
        all_well = false;
    }
}

void must(cudaError_t e)
{
    want(e == cudaSuccess, "a call of the runtime failed");
}

float number(uint64_t seed, size_t i)
{
    return random_uniform(seed, i) * 2 - 1;
}

/* A vector with its copy on the device. */
template <class T> struct mirror {
    std::vector<T> host;
    T *device = nullptr;
    cudaStream_t stream;

    mirror(cudaStream_t s, size_t n, T fill = T()) : host(n, fill), stream(s)
    {
        must(cudaMalloc(reinterpret_cast<void **>(&device), n * sizeof(T)));
    }
    ~mirror()
    {
        must(cudaFree(device));
    }
    mirror(const mirror &) = delete;
    mirror &operator=(const mirror &) = delete;
    T *send()
    {
        must(cudaMemcpyAsync(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice, stream));
        return device;
    }
    void fetch()
    {
        must(cudaMemcpyAsync(host.data(), device, host.size() * sizeof(T), cudaMemcpyDeviceToHost, stream));
        must(cudaStreamSynchronize(stream));
    }
};

void check_shuffles(cudaStream_t s)
{
    mirror<int> out(s, 32 * SHUFFLES);
    run_shuffles(out.device, s);
    out.fetch();
    for (int lane = 0; lane < 32; lane++) {
        const int *got = &out.host[static_cast<size_t>(lane) * SHUFFLES];
        const int wanted[SHUFFLES] = {5,
                                      lane / 8 * 8 + 3,
                                      lane ^ 16,
                                      lane ^ 3,
                                      lane + 4 < 32 ? lane + 4 : lane,
                                      lane % 8 < 6 ? lane + 2 : lane,
                                      lane ? lane - 1 : 0,
                                      lane < 16 ? lane ^ 1 : -1};
        for (int i = 0; i < SHUFFLES; i++)
            want(got[i] == wanted[i], "a shuffle reads the wrong lane");
    }
}

void check_votes(cudaStream_t s)
{
    mirror<unsigned> out(s, 32 * VOTES);
    run_votes(out.device, s);
    out.fetch();
    for (unsigned lane = 0; lane < 32; lane++) {
        const unsigned *got = &out.host[lane * VOTES];
        want(got[0] == 0x49249249u && got[1] == 1 && got[2] == 0, "votes of a whole warp");
        want(got[3] == (lane < 16 ? 0x0000AAAAu : 0xAAAA0000u), "a ballot of half a warp");
        want(got[4] == (lane < 16) && got[5] == 0xFFFFFFFFu, "votes behind a ballot of halves");
    }
    mirror<int> n(s, 3 * 5);
    for (unsigned bits : {0u, 0xFFFFFFFFu, 0x80000001u}) {
        run_counts(n.device, 5, 96, bits, s);
        n.fetch();
        for (size_t b = 0; b < 5; b++) {
            want(n.host[b * 3] == 3 * __builtin_popcount(bits), "__syncthreads_count");
            want(n.host[b * 3 + 1] == (bits != 0) && n.host[b * 3 + 2] == (bits == 0xFFFFFFFFu),
                 "__syncthreads_or, _and");
        }
    }
}

/* Rows of different scale: what a row before left in shared memory would show. */
void check_softmax(cudaStream_t s)
{
    const size_t rows = 9, n = 333;
    mirror<float> x(s, rows * n), y(s, rows * n);
    for (size_t i = 0; i < rows * n; i++)
        x.host[i] = number(3, i) * static_cast<float>(1 + i / n % 4);
    for (int live : {32, 128}) {
        run_softmax(y.device, x.send(), static_cast<int>(rows), static_cast<int>(n), live, s);
        y.fetch();
        double error = 0;
        for (size_t r = 0; r < rows; r++) {
            double sum = 0;
            for (size_t i = 0; i < n; i++)
                sum += exp(static_cast<double>(x.host[r * n + i]));
            for (size_t i = 0; i < n; i++)
                error = fmax(error, fabs(exp(static_cast<double>(x.host[r * n + i])) / sum -
                                         static_cast<double>(y.host[r * n + i])));
        }
        want(error < 1e-7, "softmax over static and dynamic shared memory");
    }
}

void check_atomics(cudaStream_t s)
{
    const int n = 5000, bins = 7;
    mirror<int> sums(s, bins), top(s, 1);
    mirror<float> total(s, 1);
    run_atomics(sums.send(), total.send(), top.send(), n, bins, s);
    sums.fetch(), top.fetch(), total.fetch();
    want(top.host[0] == n - 1 && total.host[0] == 0.5f * n, "atomicMax, atomicAdd of floats");
    for (int b = 0; b < bins; b++)
        want(sums.host[static_cast<size_t>(b)] == (n - b + bins - 1) / bins, "atomicAdd of integers");
}

void check_poison(cudaStream_t s)
{
    mirror<int> seen(s, 20);
    run_poison(seen.device, 20, s);
    seen.fetch();
    for (int ok : seen.host)
        want(ok == 1, "static shared memory begins each block as poison");
    mirror<float> fresh(s, 100);
    fresh.fetch();
    for (float f : fresh.host)
        want(std::isnan(f), "device memory begins as poison");
}

template <class Value, class Sum, class Get, class Run>
void check_product(cudaStream_t s, size_t M, size_t N, size_t K, Get value, Run run, const char *what)
{
    mirror<Value> a(s, M * K), b(s, N * K);
    mirror<Sum> c(s, M * N);
    std::vector<double> av(M * K), bv(N * K);
    for (size_t i = 0; i < M * K; i++)
        av[i] = value(number(1, i), a.host[i]);
    for (size_t i = 0; i < N * K; i++)
        bv[i] = value(number(2, i), b.host[i]);
    run(c.device, a.send(), b.send(), static_cast<int>(M), static_cast<int>(N), static_cast<int>(K), s);
    c.fetch();
    double error = 0;
    for (size_t r = 0; r < M; r++)
        for (size_t col = 0; col < N; col++) {
            double sum = 0;
            for (size_t k = 0; k < K; k++)
                sum += av[r * K + k] * bv[col * K + k];
            error = fmax(error, fabs(sum - static_cast<double>(c.host[r * N + col])));
        }
    /* Sums of K products below 1 in f32: K roundings of at most 2^-24 of the sum. */
    want(error <= static_cast<double>(K) * static_cast<double>(K) / 16777216.0, what);
}

void check_products(cudaStream_t s)
{
    check_product<__half, float>(
        s, 64, 48, 160,
        [](float f, __half &out) {
            out = __float2half(f);
            return static_cast<double>(__half2float(out));
        },
        run_product_f16, "product by mma.sync f16");
    check_product<__nv_bfloat16, float>(
        s, 32, 32, 16,
        [](float f, __nv_bfloat16 &out) {
            out = __float2bfloat16(f);
            return static_cast<double>(__bfloat162float(out));
        },
        run_product_bf16, "product by mma.sync bf16");
    check_product<int8_t, int>(
        s, 32, 64, 256,
        [](float f, int8_t &out) {
            out = static_cast<int8_t>(lrintf(f * 127));
            return static_cast<double>(out);
        },
        run_product_s8, "product by mma.sync s8");
}

/* A producer and a consumer stream with an event between them, in many interleavings. */
void check_streams(cudaStream_t s)
{
    const size_t n = 1000;
    cudaStream_t other;
    cudaEvent_t ready;
    must(cudaStreamCreate(&other));
    must(cudaEventCreate(&ready));
    for (uint64_t seed = 0; seed < 8; seed++) {
        simt::config().seed = seed;
        mirror<float> x(s, n, 2), y(other, n, 1);
        y.send();
        x.send();
        run_axpy(x.device, x.device, 1, static_cast<int>(n), s);
        must(cudaEventRecord(ready, s));
        run_axpy(x.device, x.device, 1, static_cast<int>(n), s);
        must(cudaStreamWaitEvent(other, ready, 0));
        must(cudaStreamSynchronize(s));
        run_axpy(y.device, x.device, 1, static_cast<int>(n), other);
        y.fetch();
        want(y.host[0] == 9 && y.host[n - 1] == 9, "two streams and an event");
        must(cudaEventSynchronize(ready));
        want(cudaEventQuery(ready) == cudaSuccess, "an event that has run says so");
    }
    simt::config().seed = 0;
    must(cudaEventDestroy(ready));
    must(cudaStreamDestroy(other));
}

void check_memory(cudaStream_t s)
{
    void *p = nullptr, *q = nullptr;
    char host[16] = {};
    size_t before = simt::device_used();
    simt::device_limit(before + 4096);
    want(cudaMalloc(&p, 4097) == cudaErrorMemoryAllocation, "an allocation past the limit is refused");
    must(cudaMalloc(&p, 16));
    simt::device_limit(size_t{512} << 20);
    want(cudaMemcpyAsync(p, host, 17, cudaMemcpyHostToDevice, s) == cudaErrorInvalidValue,
         "a copy past the end is refused");
    want(cudaMemcpyAsync(host, p, 16, cudaMemcpyHostToDevice, s) == cudaErrorInvalidValue,
         "a copy the wrong way is refused");
    want(cudaMemcpyAsync(p, host, 16, cudaMemcpyDeviceToDevice, s) == cudaErrorInvalidValue,
         "a host source is no device");
    want(cudaMemset(p, 0, 17) == cudaErrorInvalidValue, "a fill past the end is refused");
    want(cudaGetLastError() == cudaErrorInvalidValue && cudaGetLastError() == cudaSuccess,
         "the last error is told once");
    must(cudaFree(p));
    want(cudaFree(p) == cudaErrorInvalidValue && cudaFree(&q) == cudaErrorInvalidValue,
         "only what was allocated is freed");
    (void)cudaGetLastError();
    want(simt::device_used() == before, "freed memory is not counted");
}

const struct {
    const char *name;
    void (*run)(cudaStream_t s);
} CHECKS[] = {{"shuffles", check_shuffles}, {"votes", check_votes},   {"softmax", check_softmax},
              {"atomics", check_atomics},   {"poison", check_poison}, {"products", check_products},
              {"streams", check_streams},   {"memory", check_memory}};

} // namespace

int main()
{
    setvbuf(stdout, nullptr, _IOLBF, 0); /* a mistake ends the process */
    const char *const orders[] = {"forward", "reverse", "random"};
    bool well = true;
    for (const auto &check : CHECKS) {
        all_well = true;
        for (int order = 0; order < 3; order++)
            for (int threads = 1; threads <= 2; threads++) {
                cudaStream_t s;
                simt::config().order = static_cast<simt::schedule>(order);
                simt::config().os_threads = threads;
                must(cudaStreamCreate(&s));
                check.run(s);
                must(cudaStreamDestroy(s));
                if (!all_well)
                    printf("  in %s order, %d OS threads\n", orders[order], threads);
            }
        printf("%s simt: %s\n", all_well ? "PASS" : "FAIL", check.name);
        well = well && all_well;
    }
    return well ? 0 : 1;
}
