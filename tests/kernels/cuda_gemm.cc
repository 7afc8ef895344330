#include "kernels/cuda/cuda.cuh"
#include "tests/kernels/order.cuh"
#include "tests/kernels/twin.cuh"
#include "kernels/random.h"

#include <cmath>
#include <cstring>

extern "C" const struct backend_plugin ferret_backend_plugin;

namespace
{

/* ---- the own kernels: each type against a plain sum ---------------------------------------------------------------
 */

/* Numbers that every type holds exactly, so that sums are exact as well: any order is right, any slip shows. */
std::vector<float> whole(uint64_t seed, size_t n)
{
    std::vector<float> out = numbers(seed, n);
    for (float &x : out)
        x = rintf(x * 7);
    return out;
}

/* As the device holds them, and what they then stand for times `scale`. */
void *typed(twin &t, enum dtype d, const std::vector<float> &x, int rows, int cols)
{
    auto *scales = t.room<float>(static_cast<size_t>(rows));
    auto *copy = t.room<char>(x.size() * type_bytes(d));
    cuda_narrow(t.s, d, copy, scales, t.send(x), rows, cols, cols);
    return copy;
}

void check_own(twin &t, enum dtype d, int M, int N, int K)
{
    size_t rows = static_cast<size_t>(M), cols = static_cast<size_t>(N), k = static_cast<size_t>(K);
    std::vector<float> a = whole(1, rows * k), b = whole(2, cols * k), want(rows * cols);
    /* A row's largest number is that of the type, so that nothing is scaled. */
    float top = d == DTYPE_INT8 ? 127.0f : d == DTYPE_FP8 ? 448.0f : 7.0f;
    for (size_t r = 0; r < rows; r++)
        a[r * k] = top;
    for (size_t r = 0; r < cols; r++)
        b[r * k] = top;
    for (size_t m = 0; m < rows; m++)
        for (size_t n = 0; n < cols; n++)
            for (size_t i = 0; i < k; i++)
                want[m * cols + n] += a[m * k + i] * b[n * k + i];
    auto *d_out = t.room<float>(rows * cols);
    const void *da = d == DTYPE_F32 ? t.send(a) : typed(t, d, a, M, K),
               *db = d == DTYPE_F32 ? t.send(b) : typed(t, d, b, N, K);
    cuda_gemm(t.s, d, {da, db, d_out, K, K, N, M, N, K});
    std::vector<float> got = t.fetch(d_out, rows * cols);
    for (size_t i = 0; i < got.size() && d == DTYPE_INT8; i++) {
        int32_t sum;
        memcpy(&sum, &got[i], sizeof sum);
        got[i] = static_cast<float>(sum);
    }
    t.close(got, want, 0, dtype_name(d));
}

/* ---- op_linear and op_glu of the whole backend, with its plans, against the CPU's ---------------------------------
 */

struct instance {
    struct backend *be = nullptr;
    twin &t;

    explicit instance(twin &twin_) : t(twin_)
    {
        struct backend_options o = {};
        struct diag why = {};
        o.device = order_device();
        o.dtype = t.dtype;
        o.memory_bytes = size_t{200} << 20;
        if (ferret_backend_plugin.open(&o, &be, &why) != ST_OK)
            t.fail(why.text);
    }
    ~instance()
    {
        backend_close(be);
    }
    instance(const instance &) = delete;
    instance &operator=(const instance &) = delete;
};

/* int8 keeps some 7 bits of a row's largest number, bf16 8; both sides narrow alike, but for ties. */
double bound_of(enum dtype d)
{
    return d == DTYPE_F32 ? 2e-6 : d == DTYPE_INT8 ? 2e-3 : 1e-4;
}

std::vector<float> linear_on(twin &t, struct backend *be, const std::vector<float> &x, int rows, int K,
                             struct weight *w, struct weight *bias, int N, enum epilogue e)
{
    twin on(t, be);
    struct act *in = on.act(x, K), *out = on.act(numbers(9, static_cast<size_t>(rows * N)), N);
    op_linear(be, out, 0, in, rows, w, bias, e);
    return on.rows_of(out, rows);
}

/* All rows at once, against the CPU's, and each of some alone: the same bits. */
void check_linear(instance &i, int rows, int N, int K, enum epilogue e, bool with_bias)
{
    twin &t = i.t, device(t, i.be);
    size_t n = static_cast<size_t>(N);
    std::vector<float> x = uneven(1, rows, K), weights = uneven(2, N, K), b = numbers(3, n);
    struct weight *w = device.weight(WEIGHT_LINEAR, weights, K), *bias = with_bias ? device.vector(b) : nullptr;
    std::vector<float> all = linear_on(t, i.be, x, rows, K, w, bias, N, e);
    if (t.be)
        t.close(all,
                linear_on(t, t.be, x, rows, K, t.weight(WEIGHT_LINEAR, weights, K), with_bias ? t.vector(b) : nullptr,
                          N, e),
                bound_of(t.dtype), "linear");
    for (int row = 0; e != EPI_ADD && row < rows; row += 1 + rows / 3) {
        std::vector<float> one(x.begin() + row * K, x.begin() + (row + 1) * K);
        std::vector<float> alone = linear_on(t, i.be, one, 1, K, w, bias, N, e);
        if (memcmp(alone.data(), &all[static_cast<size_t>(row) * n], n * sizeof(float)) != 0)
            t.fail("a row's bits depend on its company");
    }
}

void check_glu(instance &i, int rows, int F, int K)
{
    twin &t = i.t, device(t, i.be);
    std::vector<float> x = uneven(4, rows, K), weights = uneven(5, 2 * F, K);
    struct act *out = device.act(rows, F);
    op_glu(i.be, out, device.act(x, K), rows, device.weight(WEIGHT_GLU, weights, K));
    if (!t.be)
        return;
    struct act *want = t.act(rows, F);
    op_glu(t.be, want, t.act(x, K), rows, t.weight(WEIGHT_GLU, weights, K));
    t.close(device.rows_of(out, rows), t.rows_of(want, rows), 2 * bound_of(t.dtype), "GLU of the backend");
}

/* Rows side by side, and a width that no library takes. */
void check_wide(instance &i)
{
    twin &t = i.t, device(t, i.be);
    std::vector<float> x = uneven(6, 12, 34), weights = uneven(7, 20, 4 * 34);
    struct act *out = device.act(3, 20), *want = t.act(3, 20);
    op_linear(i.be, out, 0, device.act(x, 34), 3, device.weight(WEIGHT_LINEAR_F32, weights, 4 * 34), nullptr, EPI_NONE);
    op_linear(t.be, want, 0, t.act(x, 34), 3, t.weight(WEIGHT_LINEAR_F32, weights, 4 * 34), nullptr, EPI_NONE);
    t.close(device.rows_of(out, 3), t.rows_of(want, 3), 2e-6, "rows side by side");
}

/* Numbers of a seed are the same bits on both sides: a vector and a matrix in f32, read by a product with unit rows. */
void check_seeded(instance &i)
{
    enum { N = 37, K = 20, UNITS = 3 };
    twin &t = i.t, device(t, i.be);
    std::vector<float> units(UNITS * K), want(UNITS * N);
    const struct weight_seed seed = {N, K, 0x123456789ABCDEFu, 0.3f};
    for (size_t u = 0; u < UNITS; u++) {
        units[u * K + 7 * u] = 1;
        for (size_t n = 0; n < N; n++)
            want[u * N + n] = random_spread(seed.seed, n * K + 7 * u, seed.spread);
    }
    struct backend *const both[] = {i.be, t.be};
    for (struct backend *be : both) {
        twin on(t, be);
        struct weight *w = nullptr, *v = nullptr, *places = nullptr;
        const struct weight_seed vector = {1, N * K, seed.seed, seed.spread},
                                 twice = {1, 2 * N * K, seed.seed, seed.spread};
        struct diag why = {};
        if (backend_weight_seeded(be, WEIGHT_LINEAR_F32, &seed, &w, &why) != ST_OK ||
            backend_weight_seeded(be, WEIGHT_VECTOR, &vector, &v, &why) != ST_OK ||
            backend_weight_seeded(be, WEIGHT_VECTOR, &twice, &places, &why) != ST_OK)
            return t.fail(why.text);
        struct act *out = on.act(UNITS, N);
        op_linear(be, out, 0, on.act(units, K), UNITS, w, nullptr, EPI_NONE);
        t.close(on.rows_of(out, UNITS), want, 0, "seeded matrix");
        struct act *x = on.act(2, N * K), *patches = on.act(1, N * K);
        op_vision_embed(be, x, patches, 1, 1, v, places); /* the class row: twice the vector */
        std::vector<float> row = on.rows_of(x, 1);
        for (size_t k = 0; k < N * K; k++)
            if (row[k] != 2 * random_spread(seed.seed, k, seed.spread))
                return t.fail("seeded vector");
    }
}

} // namespace

void test_gemm(twin &t)
{
    static const int shapes[][3] = {{1, 16, 16}, {16, 16, 48}, {70, 80, 64}, {65, 144, 208}, {3, 48, 320}};
    for (auto &[M, N, K] : shapes) {
        check_own(t, t.dtype, M, N, K);
        if (t.dtype == DTYPE_F16)
            check_own(t, DTYPE_FP8, M, N, K);
    }
    if (t.dtype == DTYPE_F32)
        check_own(t, t.dtype, 67, 69, 33);
    if (cuda_gemm_prepare() != cudaSuccess)
        t.fail("cuda_gemm_prepare");
}

void test_linear(twin &t)
{
    instance i(t);
    if (!i.be)
        return;
    check_linear(i, 1, 16, 16, EPI_NONE, false);
    check_linear(i, 5, 40, 24, EPI_NONE, true);
    check_linear(i, 70, 96, 64, EPI_QUICK_GELU, true);
    check_linear(i, 17, 64, 100, EPI_ADD, false);
    check_linear(i, 600, 32, 48, EPI_NONE, false);
    check_glu(i, 9, 40, 32);
    if (t.be)
        check_wide(i);
    if (t.dtype == DTYPE_F32)
        check_seeded(i);
}
