#include "tests/kernels/twin.cuh"

#include <cmath>

/* In double; the rounding in front of the weight is RMSNorm's alone. */
static std::vector<float> expected(enum dtype d, const std::vector<float> &x, int cols, enum norm_kind kind,
                                   const std::vector<float> &weight, const std::vector<float> &bias)
{
    std::vector<float> out(x.size());
    size_t n = static_cast<size_t>(cols);
    for (size_t at = 0; at < x.size(); at += n) {
        double mean = 0, squares = 0;
        for (size_t i = 0; i < n && kind == NORM_LAYER; i++)
            mean += static_cast<double>(x[at + i]) / cols;
        for (size_t i = 0; i < n; i++)
            squares += (static_cast<double>(x[at + i]) - mean) * (static_cast<double>(x[at + i]) - mean);
        double factor = 1 / sqrt(squares / cols + 1e-5);
        for (size_t i = 0; i < n; i++) {
            auto v = static_cast<float>((static_cast<double>(x[at + i]) - mean) * factor);
            out[at + i] = kind == NORM_RMS ? round_to(d, v) * weight[i] : v * weight[i] + bias[i];
        }
    }
    return out;
}

void test_norm(twin &t)
{
    static const int shapes[][2] = {{0, 16}, {1, 1}, {3, 7}, {5, 256}, {2, 1000}, {37, 96}, {2, 4096}};
    for (auto &[rows, cols] : shapes)
        for (enum norm_kind kind : {NORM_RMS, NORM_LAYER})
            for (bool in_place : {false, true}) {
                std::vector<float> x = uneven(1, rows, cols), w = numbers(2, static_cast<size_t>(cols)),
                                   b = numbers(3, w.size());
                size_t n = x.size();
                float *in = t.send(x), *out = in_place ? in : t.room<float>(n);
                void *copy = t.dtype == DTYPE_F32 ? nullptr : t.room<char>(n * copy_bytes(t.dtype));
                bool layer = kind == NORM_LAYER;
                cuda_norm(t.s, t.dtype, out, copy, in, rows, cols, kind, t.send(w), layer ? t.send(b) : nullptr, 1e-5f);
                std::vector<float> got = t.fetch(out, n), want = expected(t.dtype, x, cols, kind, w, b);
                /* A value at a rounding border may fall on its other side: RMSNorm in 8 bits. */
                double bound = t.dtype == DTYPE_F32 || layer ? 1e-6 : 5e-4;
                t.close(got, want, bound, layer ? "LayerNorm" : "RMSNorm");
                if (copy)
                    t.copied(copy, got, "copy of a norm");
                if (!t.be || rows == 0)
                    continue;
                struct act *a = t.act(x, cols);
                op_norm(t.be, a, a, rows, kind, t.vector(w), layer ? t.vector(b) : nullptr, 1e-5f, true);
                t.close(got, t.rows_of(a, rows), bound, "norm against the CPU");
            }
}
