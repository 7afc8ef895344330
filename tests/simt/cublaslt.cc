/* The part of cuBLASLt that a backend uses: products of row-major matrices, one with its transpose. Strict: whatever is
 * not in the table below is NOT_SUPPORTED, and the heuristics put first what a real library may well return first - an
 * algorithm that splits K, then one whose order of sums changes with the number of rows - so that a plan which takes
 * what it gets is seen. Results are computed when the stream gets there. */
#include "tests/simt/memory.cuh"
#include "tests/simt/stream.cuh"

#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <cstdlib>
#include <cstring>
#include <memory>

namespace
{

/* What may be multiplied: everything else is NOT_SUPPORTED. */
struct combination {
    cudaDataType_t in, out, scale;
    cublasComputeType_t compute;
    size_t in_bytes;
};
const combination TABLE[] = {
    {CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F, 4},
    {CUDA_R_16F, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F, 2},
    {CUDA_R_16BF, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F, 2},
    {CUDA_R_8I, CUDA_R_32I, CUDA_R_32I, CUBLAS_COMPUTE_32I, 1},
    {CUDA_R_8F_E4M3, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F, 1},
};
enum : size_t { ALIGN = 16 }; /* of rows, in bytes */

struct operation {
    cublasComputeType_t compute;
    cudaDataType_t scale;
    cublasOperation_t transa, transb;
    bool odd; /* an attribute was set that is not in the table */
};
struct layout {
    cudaDataType_t type;
    uint64_t rows, cols;
    int64_t ld;
};
struct preference {
    size_t workspace;
    uint32_t reductions;
};
enum kind : uint64_t { SPLIT_K = 0x5157, UNEVEN, PINNED };
struct algorithm {
    uint64_t kind;
    int32_t parts;
    uint32_t reduction;
};

static_assert(sizeof(operation) <= sizeof(cublasLtMatmulDescOpaque_t), "fits");
static_assert(sizeof(layout) <= sizeof(cublasLtMatrixLayoutOpaque_t), "fits");
static_assert(sizeof(preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t), "fits");
static_assert(sizeof(algorithm) <= sizeof(cublasLtMatmulAlgo_t), "fits");

template <class T, class From> T read(const From *from)
{
    T t;
    memcpy(&t, from, sizeof t);
    return t;
}

template <class Opaque, class T> cublasStatus_t make(Opaque **out, const T &value)
{
    auto *p = static_cast<Opaque *>(calloc(1, sizeof(Opaque)));
    if (!p)
        return CUBLAS_STATUS_ALLOC_FAILED;
    memcpy(static_cast<void *>(p), &value, sizeof value);
    *out = p;
    return CUBLAS_STATUS_SUCCESS;
}

bool aligned(uint64_t n)
{
    return n % ALIGN == 0;
}

/* The row of the table that serves, or NULL. b is [K x N] in columns, a [K x M], d [N x M]. */
const combination *find(const operation &o, const layout &b, const layout &a, const layout &c, const layout &d)
{
    bool fits = !o.odd && o.transa == CUBLAS_OP_T && o.transb == CUBLAS_OP_N && b.rows == a.rows && b.cols == d.rows &&
                a.cols == d.cols && a.type == b.type && c.type == d.type && c.ld == d.ld && a.rows > 0 && a.cols > 0 &&
                b.cols > 0 && a.ld >= static_cast<int64_t>(a.rows) && b.ld >= static_cast<int64_t>(b.rows) &&
                d.ld >= static_cast<int64_t>(d.rows);
    for (const combination &t : TABLE)
        if (fits && a.type == t.in && d.type == t.out && o.scale == t.scale && o.compute == t.compute &&
            aligned(static_cast<uint64_t>(a.ld) * t.in_bytes) && aligned(static_cast<uint64_t>(b.ld) * t.in_bytes) &&
            aligned(static_cast<uint64_t>(d.ld) * 4))
            return &t;
    return nullptr;
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

float widen(float x)
{
    return x;
}
float widen(__half x)
{
    return __half2float(x);
}
float widen(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}
struct e4m3 {
    __nv_fp8_storage_t bits;
};
float widen(e4m3 x)
{
    return __half2float(__half(__nv_cvt_fp8_to_halfraw(x.bits, __NV_E4M3)));
}
int widen(int8_t x)
{
    return x;
}

enum { LANES = 8 };
typedef float float_lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef int int_lanes __attribute__((vector_size(LANES * sizeof(int))));
template <class S> struct lanes_of {
    using type = float_lanes;
};
template <> struct lanes_of<int> {
    using type = int_lanes;
};

/* COLUMNS dot products of a over [from, to), each in LANES strands which are then added in ascending order. */
enum { COLUMNS = 4 };
template <class S> void dots(S *out, const S *a, const S *const *b, size_t from, size_t to)
{
    typename lanes_of<S>::type sum[COLUMNS] = {}, x, y;
    for (size_t k = from; k < to; k += LANES) {
        memcpy(&x, a + k, sizeof x);
        for (int c = 0; c < COLUMNS; c++) {
            memcpy(&y, b[c] + k, sizeof y);
            sum[c] += x * y;
        }
    }
    for (int c = 0; c < COLUMNS; c++)
        for (int i = 0; i < LANES; i++)
            out[c] += sum[c][i];
}

struct job {
    const void *a, *b;
    void *d;
    size_t M, N, K, lda, ldb, ldd;
    algorithm how;
};

template <class T, class S>
std::unique_ptr<S[]> unpacked(const void *from, size_t rows, size_t K, size_t ld, size_t room)
{
    std::unique_ptr<S[]> out(new S[rows * room]());
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < K; k++)
            out[r * room + k] = widen(static_cast<const T *>(from)[r * ld + k]);
    return out;
}

/* Parts of K that are summed on their own. */
size_t parts_of(const job &j)
{
    if (j.how.kind == SPLIT_K)
        return static_cast<size_t>(j.how.parts);
    return j.how.kind == UNEVEN && j.M > 64 ? 2 : 1;
}

template <class T, class S> void multiply(const job &j)
{
    size_t room = (j.K + LANES - 1) / LANES * LANES, parts = parts_of(j);
    size_t part = (room / LANES + parts - 1) / parts * LANES;
    auto a = unpacked<T, S>(j.a, j.M, j.K, j.lda, room), b = unpacked<T, S>(j.b, j.N, j.K, j.ldb, room);
    for (size_t n = 0; n < j.N; n += COLUMNS) {
        const S *columns[COLUMNS];
        for (size_t c = 0; c < COLUMNS; c++)
            columns[c] = &b[(n + c < j.N ? n + c : j.N - 1) * room];
        for (size_t m = 0; m < j.M; m++) {
            S sum[COLUMNS] = {};
            for (size_t k = 0; k < room; k += part)
                dots(sum, &a[m * room], columns, k, k + part < room ? k + part : room);
            for (size_t c = 0; c < COLUMNS && n + c < j.N; c++)
                static_cast<S *>(j.d)[m * j.ldd + n + c] = sum[c];
        }
    }
}

void run(const job &j, cudaDataType_t in)
{
    switch (in) {
    case CUDA_R_32F: return multiply<float, float>(j);
    case CUDA_R_16F: return multiply<__half, float>(j);
    case CUDA_R_16BF: return multiply<__nv_bfloat16, float>(j);
    case CUDA_R_8I: return multiply<int8_t, int>(j);
    default: return multiply<e4m3, float>(j);
    }
}

bool on_device(const void *p, const layout &l, size_t element)
{
    size_t n = (static_cast<size_t>(l.ld) * (l.cols - 1) + l.rows) * element;
    return aligned(reinterpret_cast<uintptr_t>(p)) && simt::device_owns(p, n);
}

} // namespace

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    *handle = static_cast<cublasLtHandle_t>(malloc(1));
    return *handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    free(handle);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute, cudaDataType_t scale)
{
    return make(out, operation{compute, scale, CUBLAS_OP_N, CUBLAS_OP_N, false});
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t p)
{
    free(p);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t p, cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t)
{
    auto o = read<operation>(p);
    if (attribute == CUBLASLT_MATMUL_DESC_TRANSA)
        memcpy(&o.transa, value, sizeof o.transa);
    else if (attribute == CUBLASLT_MATMUL_DESC_TRANSB)
        memcpy(&o.transb, value, sizeof o.transb);
    else
        o.odd = true;
    memcpy(static_cast<void *>(p), &o, sizeof o);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType type, uint64_t rows, uint64_t cols,
                                          int64_t ld)
{
    return make(out, layout{type, rows, cols, ld});
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t p)
{
    free(p);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out)
{
    return make(out, preference{0, CUBLASLT_REDUCTION_SCHEME_MASK});
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p)
{
    free(p);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
                                                    size_t)
{
    auto w = read<preference>(p);
    if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
        memcpy(&w.workspace, value, sizeof w.workspace);
    else if (attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK)
        memcpy(&w.reductions, value, sizeof w.reductions);
    memcpy(static_cast<void *>(p), &w, sizeof w);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t o, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                              cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t wish, int room,
                                              cublasLtMatmulHeuristicResult_t *out, int *n)
{
    *n = 0;
    if (!find(read<operation>(o), read<layout>(a), read<layout>(b), read<layout>(c), read<layout>(d)))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    /* The mask is a wish as to reductions; that K is split in place of one is for the caller to see. */
    uint32_t reduction = read<preference>(wish).reductions & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    const algorithm all[] = {{SPLIT_K, 4, reduction}, {UNEVEN, 1, 0}, {PINNED, 1, 0}};
    for (const algorithm &how : all) {
        if (*n == room)
            break;
        out[*n] = {};
        memcpy(static_cast<void *>(&out[*n].algo), &how, sizeof how);
        out[*n].state = CUBLAS_STATUS_SUCCESS;
        ++*n;
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *p,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute, void *value,
                                                    size_t bytes, size_t *written)
{
    auto how = read<algorithm>(p);
    if (bytes != 4)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (attribute == CUBLASLT_ALGO_CONFIG_SPLITK_NUM)
        memcpy(value, &how.parts, 4);
    else if (attribute == CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME)
        memcpy(value, &how.reduction, 4);
    else
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (written)
        *written = 4;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t o, const void *alpha, const void *A,
                              cublasLtMatrixLayout_t b_layout, const void *B, cublasLtMatrixLayout_t a_layout,
                              const void *beta, const void *C, cublasLtMatrixLayout_t c_layout, void *D,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream)
{
    auto b = read<layout>(b_layout), a = read<layout>(a_layout), d = read<layout>(d_layout);
    const combination *t = find(read<operation>(o), b, a, read<layout>(c_layout), d);
    auto how = algo ? read<algorithm>(algo) : algorithm{};
    const uint32_t one_as_int = 1, zero = 0;
    const float one = 1;
    const void *want = t && t->scale == CUDA_R_32I ? static_cast<const void *>(&one_as_int) : &one;
    if (!t || C != D || memcmp(alpha, want, 4) != 0 || memcmp(beta, &zero, 4) != 0 || how.kind < SPLIT_K ||
        how.kind > PINNED)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!on_device(A, b, t->in_bytes) || !on_device(B, a, t->in_bytes) || !on_device(D, d, 4) ||
        !simt::device_owns(workspace, workspace_bytes))
        return CUBLAS_STATUS_INVALID_VALUE;
    job j = {B,
             A,
             D,
             a.cols,
             b.cols,
             a.rows,
             static_cast<size_t>(a.ld),
             static_cast<size_t>(b.ld),
             static_cast<size_t>(d.ld),
             how};
    cudaDataType_t in = t->in;
    simt::stream_push(stream, "cublasLtMatmul", [=] { run(j, in); });
    return CUBLAS_STATUS_SUCCESS;
}

} // extern "C"
