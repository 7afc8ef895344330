#include "tests/kernels/twin.cuh"
#include "kernels/random.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "cuda kernels: %s\n", what);
        abort();
    }
}

twin::twin(enum dtype d) : twin(d, d)
{
}

twin::twin(enum dtype d, enum dtype reference) : dtype(d), be(nullptr)
{
    struct backend_options o = {};
    o.device = "cpu";
    o.dtype = reference;
    o.memory_bytes = size_t{1} << 30;
    o.threads = 1;
    o.isa = "scalar";
    struct diag why = {};
    must(cudaStreamCreate(&s) == cudaSuccess, "no stream");
    if (reference != DTYPE_F16 && reference != DTYPE_FP8)
        must(backend_open(&o, &be, &why) == ST_OK, why.text);
}

twin::twin(const twin &like, struct backend *other) : s(nullptr), dtype(like.dtype), be(other), borrowed(true)
{
}

twin::~twin()
{
    if (borrowed)
        return;
    for (void *p : held)
        cudaFree(p);
    cudaStreamDestroy(s);
    backend_close(be);
}

void *twin::send_bytes(const void *from, size_t n)
{
    void *p = nullptr;
    must(cudaMalloc(&p, n) == cudaSuccess, "no device memory");
    held.push_back(p);
    if (from && n) {
        sources.push_back(std::make_unique<char[]>(n));
        memcpy(sources.back().get(), from, n);
        must(cudaMemcpyAsync(p, sources.back().get(), n, cudaMemcpyHostToDevice, s) == cudaSuccess,
             "a copy is refused");
    }
    return p;
}

void twin::fetch_bytes(void *to, const void *from, size_t n)
{
    must(cudaMemcpyAsync(to, from, n, cudaMemcpyDeviceToHost, s) == cudaSuccess, "a copy is refused");
    must(cudaStreamSynchronize(s) == cudaSuccess && cudaGetLastError() == cudaSuccess, "the device failed");
}

struct act *twin::act(int rows, int cols)
{
    struct act *a = nullptr;
    struct diag why = {};
    must(backend_act(be, rows, cols, &a, &why) == ST_OK, why.text);
    return a;
}

struct act *twin::act(const std::vector<float> &values, int cols)
{
    int rows = static_cast<int>(values.size()) / cols;
    struct act *a = act(rows, cols);
    struct diag why = {};
    must(act_write(be, a, 0, rows, values.data(), &why) == ST_OK, why.text);
    return a;
}

namespace
{

struct reader {
    const float *values;
    int cols;
};

enum status read_rows(void *ctx, int row, int n, float *out, struct diag *)
{
    auto *r = static_cast<reader *>(ctx);
    size_t cols = static_cast<size_t>(r->cols);
    memcpy(out, r->values + static_cast<size_t>(row) * cols, static_cast<size_t>(n) * cols * sizeof *out);
    return ST_OK;
}

} // namespace

struct weight *twin::weight(enum weight_use use, const std::vector<float> &values, int cols)
{
    reader r = {values.data(), cols};
    struct weight_source source = {static_cast<int>(values.size()) / cols, cols, read_rows, &r};
    struct weight *w = nullptr;
    struct diag why = {};
    must(backend_weight(be, use, &source, &w, &why) == ST_OK, why.text);
    return w;
}

struct weight *twin::vector(const std::vector<float> &values)
{
    return weight(WEIGHT_VECTOR, values, static_cast<int>(values.size()));
}

static struct array *array_of(struct backend *be, enum array_kind kind, const void *values, size_t n)
{
    struct array *a = nullptr;
    struct diag why = {};
    must(backend_array(be, kind, n, &a, &why) == ST_OK && array_write(be, a, 0, n, values, &why) == ST_OK, why.text);
    return a;
}

struct array *twin::ints(const std::vector<int32_t> &values)
{
    return array_of(be, ARRAY_I32, values.data(), values.size());
}

struct array *twin::floats(const std::vector<float> &values)
{
    return array_of(be, ARRAY_F32, values.data(), values.size());
}

std::vector<float> twin::rows_of(const struct act *a, int rows)
{
    std::vector<float> out(static_cast<size_t>(rows) * static_cast<size_t>(act_cols(a)));
    struct diag why = {};
    must(act_read(be, a, 0, rows, out.data(), &why) == ST_OK, why.text);
    return out;
}

std::vector<int32_t> twin::ints_of(const struct array *a, size_t n)
{
    std::vector<int32_t> out(n);
    struct diag why = {};
    must(array_read(be, a, 0, n, out.data(), &why) == ST_OK, why.text);
    return out;
}

std::vector<float> twin::floats_of(const struct array *a, size_t n)
{
    std::vector<float> out(n);
    struct diag why = {};
    must(array_read(be, a, 0, n, out.data(), &why) == ST_OK, why.text);
    return out;
}

void twin::fail(const char *what)
{
    printf("  %s: %s\n", dtype_name(dtype), what);
    well = false;
}

void twin::close(const std::vector<float> &got, const std::vector<float> &want, double bound, const char *what)
{
    double error = 0, size = 0;
    for (size_t i = 0; i < want.size(); i++) {
        if ((got[i] == want[i] && std::isinf(want[i])) || (std::isnan(got[i]) && std::isnan(want[i])))
            continue;
        double w = static_cast<double>(want[i]), d = static_cast<double>(got[i]) - w;
        error += d * d;
        size += w * w;
    }
    error = size > 0 ? sqrt(error / size) : sqrt(error);
    if (got.size() == want.size() && error <= bound)
        return;
    char text[200];
    snprintf(text, sizeof text, "%s: relative error %.3g, allowed %.3g", what, error, bound);
    fail(text);
}

void twin::same(const std::vector<int32_t> &got, const std::vector<int32_t> &want, const char *what)
{
    if (got != want)
        fail(what);
}

void twin::copied(const void *copy, const std::vector<float> &values, const char *what)
{
    if (dtype == DTYPE_F32)
        return;
    std::vector<uint16_t> got = fetch(static_cast<const uint16_t *>(copy), values.size());
    for (size_t i = 0; i < values.size(); i++) {
        __half_raw h;
        __nv_bfloat16_raw b;
        h.x = b.x = got[i];
        float f = dtype == DTYPE_F16 ? __half2float(__half(h)) : __bfloat162float(__nv_bfloat16(b));
        if (!(f == round_to(dtype, values[i])))
            return fail(what);
    }
}

std::vector<float> numbers(uint64_t seed, size_t n)
{
    std::vector<float> out(n);
    for (size_t i = 0; i < n; i++)
        out[i] = random_uniform(seed, i) * 2 - 1;
    return out;
}

std::vector<float> uneven(uint64_t seed, int rows, int cols)
{
    std::vector<float> out = numbers(seed, static_cast<size_t>(rows) * static_cast<size_t>(cols));
    for (size_t i = 0; i < out.size(); i++)
        out[i] *= powf(3.0f, static_cast<float>(i / static_cast<size_t>(cols) % 5) - 2);
    return out;
}

float round_to(enum dtype d, float x)
{
    return d == DTYPE_F16    ? __half2float(__float2half_rn(x))
           : d == DTYPE_BF16 ? __bfloat162float(__float2bfloat16_rn(x))
                             : x;
}

size_t copy_bytes(enum dtype d)
{
    return d == DTYPE_F32 ? 4 : 2;
}
