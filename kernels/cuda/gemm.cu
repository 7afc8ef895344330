/* Products by cuBLASLt where an algorithm keeps the row rule, else by gemm_own.cu. A plan belongs to (type, N, K) and
 * is made once, when the first such matrix has been loaded: one algorithm for every number of rows, taken from the
 * heuristics for the most rows, without split-K and without a reduction; then rows of the same content must come out
 * bit-equal at every padded number of rows and every place. `--fast` lifts all of that. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/value.cuh"

#include <cublasLt.h>
#include <cstdlib>
#include <initializer_list>

namespace
{

enum { PATTERNS = 16, CANDIDATES = 16, WORKSPACE_ALIGN = 16 };
const size_t WORKSPACE_BYTES = size_t{32} << 20; /* what cuBLAS recommends for sm_90 */

/* Rows that a product is run with: at most a third of them pad, from 32 on. */
const int ROWS[] = {8, 16, 32, 48, 64, 96, 128, 192, 256, 384, GEMM_ROWS};

/* PATTERNS rows again and again, in [-1, 1). */
__global__ void pattern_rows(float *x, int cols)
{
    for (int i = threadIdx.x; i < cols; i += BLOCK) {
        uint32_t h = (blockIdx.x % PATTERNS * 0x9E3779B9u) ^ (static_cast<uint32_t>(i) * 0x85EBCA6Bu);
        h = (h ^ (h >> 15)) * 0x2C1B3C6Du;
        h = (h ^ (h >> 12)) * 0x297A2D39u;
        x[static_cast<size_t>(blockIdx.x) * cols + i] =
            static_cast<float>(static_cast<int32_t>(h ^ (h >> 15))) * (1.0f / 2147483648.0f);
    }
}

/* *unlike becomes 1 where a row's bits are not those of its pattern's first row. */
__global__ void compare_rows(int *unlike, const uint32_t *d, const uint32_t *first, int N)
{
    const uint32_t *row = d + static_cast<size_t>(blockIdx.x) * N;
    for (int i = threadIdx.x; i < N; i += BLOCK)
        if (row[i] != first[static_cast<size_t>(blockIdx.x % PATTERNS) * N + i])
            atomicMax(unlike, 1);
}

struct types {
    cudaDataType_t in, out, scale;
    cublasComputeType_t compute;
};

types types_of(enum dtype d)
{
    switch (d) {
    case DTYPE_F16: return {CUDA_R_16F, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    case DTYPE_BF16: return {CUDA_R_16BF, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    case DTYPE_INT8: return {CUDA_R_8I, CUDA_R_32I, CUDA_R_32I, CUBLAS_COMPUTE_32I};
    case DTYPE_FP8: return {CUDA_R_8F_E4M3, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    default: return {CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F}; /* true f32, no TF32 */
    }
}

} // namespace

struct gemm_plan {
    gemm_plan *next;
    enum dtype type;
    int N, K;
    bool library; /* else the own kernel */
    int offered, taken;
    cublasLtMatmulAlgo_t algorithm;
};

struct gemm_plans {
    cublasLtHandle_t handle;
    void *workspace;
    gemm_plan *first;
};

namespace
{

/* One product as cuBLASLt sees it, column-major: D^T [N, M] = B [N, K] (stored K x N, transposed) x A^T [K, M]. */
struct call {
    cublasLtMatmulDesc_t operation = nullptr;
    cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
    bool well;

    call(enum dtype type, const gemm_args &g)
    {
        types t = types_of(type);
        cublasOperation_t transposed = CUBLAS_OP_T;
        auto K = static_cast<uint64_t>(g.K), N = static_cast<uint64_t>(g.N), M = static_cast<uint64_t>(g.M);
        well = cublasLtMatmulDescCreate(&operation, t.compute, t.scale) == CUBLAS_STATUS_SUCCESS &&
               cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed) ==
                   CUBLAS_STATUS_SUCCESS &&
               cublasLtMatrixLayoutCreate(&b, t.in, K, N, g.ldb) == CUBLAS_STATUS_SUCCESS &&
               cublasLtMatrixLayoutCreate(&a, t.in, K, M, g.lda) == CUBLAS_STATUS_SUCCESS &&
               cublasLtMatrixLayoutCreate(&d, t.out, N, M, g.ldd) == CUBLAS_STATUS_SUCCESS;
    }
    call(const call &) = delete;
    call &operator=(const call &) = delete;
    ~call()
    {
        if (d)
            cublasLtMatrixLayoutDestroy(d);
        if (a)
            cublasLtMatrixLayoutDestroy(a);
        if (b)
            cublasLtMatrixLayoutDestroy(b);
        if (operation)
            cublasLtMatmulDescDestroy(operation);
    }
};

bool run_library(cuda &c, const gemm_plan &p, const gemm_args &g)
{
    call m(p.type, g);
    float one = 1, zero = 0;
    int32_t int_one = 1, int_zero = 0;
    bool ints = p.type == DTYPE_INT8;
    const void *alpha = ints ? static_cast<const void *>(&int_one) : &one;
    const void *beta = ints ? static_cast<const void *>(&int_zero) : &zero;
    return m.well &&
           cublasLtMatmul(c.plans->handle, m.operation, alpha, g.b, m.b, g.a, m.a, beta, g.d, m.d, g.d, m.d,
                          &p.algorithm, c.plans->workspace, WORKSPACE_BYTES, c.stream) == CUBLAS_STATUS_SUCCESS;
}

/* Algorithms for the most rows, best first; how many. */
int find_candidates(cuda &c, const gemm_plan &p, cublasLtMatmulHeuristicResult_t *out)
{
    call m(p.type, {nullptr, nullptr, nullptr, p.K, p.K, p.N, GEMM_ROWS, p.N, p.K});
    cublasLtMatmulPreference_t wish = nullptr;
    uint32_t none = CUBLASLT_REDUCTION_SCHEME_NONE, align = WORKSPACE_ALIGN;
    int n = 0;
    bool well = m.well && cublasLtMatmulPreferenceCreate(&wish) == CUBLAS_STATUS_SUCCESS;
    static const cublasLtMatmulPreferenceAttributes_t alignments[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    for (auto a : alignments)
        well = well && cublasLtMatmulPreferenceSetAttribute(wish, a, &align, sizeof align) == CUBLAS_STATUS_SUCCESS;
    well =
        well && cublasLtMatmulPreferenceSetAttribute(wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &WORKSPACE_BYTES,
                                                     sizeof WORKSPACE_BYTES) == CUBLAS_STATUS_SUCCESS;
    if (!c.fast)
        well = well && cublasLtMatmulPreferenceSetAttribute(wish, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &none,
                                                            sizeof none) == CUBLAS_STATUS_SUCCESS;
    if (well && cublasLtMatmulAlgoGetHeuristic(c.plans->handle, m.operation, m.b, m.a, m.d, m.d, wish, CANDIDATES, out,
                                               &n) != CUBLAS_STATUS_SUCCESS)
        n = 0;
    if (wish)
        cublasLtMatmulPreferenceDestroy(wish);
    return n;
}

bool splits(const cublasLtMatmulAlgo_t &a)
{
    int32_t parts = 0;
    uint32_t scheme = 0;
    size_t written = 0;
    return cublasLtMatmulAlgoConfigGetAttribute(&a, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts, sizeof parts, &written) !=
               CUBLAS_STATUS_SUCCESS ||
           cublasLtMatmulAlgoConfigGetAttribute(&a, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme, sizeof scheme,
                                                &written) != CUBLAS_STATUS_SUCCESS ||
           parts > 1 || scheme != CUBLASLT_REDUCTION_SCHEME_NONE;
}

/* Memory that a check needs. */
struct trial {
    void *x, *copy, *scales, *first, *unlike;
};

/* The most rows first: what depends on their number shows there. */
bool rows_equal(cuda &c, const gemm_plan &p, const trial &t, const void *b)
{
    gemm_args g = {p.type == DTYPE_F32 ? t.x : t.copy, b, t.first, p.K, p.K, p.N, PATTERNS, p.N, p.K};
    int unlike = 0;
    bool well = cuda_well(c, cudaMemsetAsync(t.unlike, 0, sizeof unlike, c.stream)) && run_library(c, p, g);
    g.d = c.product;
    for (size_t i = sizeof ROWS / sizeof *ROWS; i-- > 0 && well && unlike == 0;) {
        g.M = ROWS[i];
        well = run_library(c, p, g);
        LAUNCH(compare_rows, g.M, BLOCK, 0, c.stream, static_cast<int *>(t.unlike),
               static_cast<const uint32_t *>(c.product), static_cast<const uint32_t *>(t.first), p.N);
        well = well && cuda_read(c, &unlike, t.unlike, sizeof unlike, nullptr) == ST_OK;
    }
    return well && unlike == 0;
}

enum status trial_new(cuda &c, const gemm_plan &p, trial *t, struct diag *why)
{
    size_t n = GEMM_ROWS * static_cast<size_t>(p.K);
    enum status s = cuda_alloc(c, n * sizeof(float), &t->x, why);
    if (s == ST_OK)
        s = cuda_alloc(c, n * type_bytes(p.type), &t->copy, why);
    if (s == ST_OK)
        s = cuda_alloc(c, GEMM_ROWS * sizeof(float), &t->scales, why);
    if (s == ST_OK)
        s = cuda_alloc(c, PATTERNS * static_cast<size_t>(p.N) * sizeof(float), &t->first, why);
    if (s == ST_OK)
        s = cuda_alloc(c, sizeof(int), &t->unlike, why);
    if (s != ST_OK)
        return s;
    LAUNCH(pattern_rows, static_cast<int>(GEMM_ROWS), BLOCK, 0, c.stream, static_cast<float *>(t->x), p.K);
    cuda_narrow(c.stream, p.type, t->copy, static_cast<float *>(t->scales), static_cast<const float *>(t->x), GEMM_ROWS,
                p.K, p.K);
    cuda_launched(c, "rows to check products with", GEMM_ROWS, p.K);
    return cuda_state(c, why);
}

/* Sets p's algorithm to the best one that keeps the row rule. */
enum status choose(cuda &c, gemm_plan &p, const void *b, struct diag *why)
{
    cublasLtMatmulHeuristicResult_t found[CANDIDATES];
    trial t = {};
    int n = find_candidates(c, p, found);
    p.offered = n;
    p.taken = -1;
    enum status s = n > 0 && !c.fast ? trial_new(c, p, &t, why) : ST_OK;
    for (int i = 0; s == ST_OK && i < n && !p.library; i++) {
        p.algorithm = found[i].algo;
        p.library = found[i].state == CUBLAS_STATUS_SUCCESS && (c.fast || !splits(found[i].algo)) &&
                    (c.fast || rows_equal(c, p, t, b));
        p.taken = p.library ? i : -1;
    }
    for (void *q : {t.x, t.copy, t.scales, t.first, t.unlike})
        cuda_free(c, q);
    return s == ST_OK ? cuda_state(c, why) : s;
}

} // namespace

int gemm_padded(int n)
{
    int left = n % GEMM_ROWS, whole = n - left, i = 0;
    if (left == 0)
        return n;
    while (ROWS[i] < left)
        i++;
    return whole + ROWS[i];
}

enum status gemm_open(cuda &c, struct diag *why)
{
    void *plans, *workspace;
    enum status s = cuda_head(c, sizeof(gemm_plans), &plans, why);
    if (s == ST_OK)
        s = cuda_alloc(c, WORKSPACE_BYTES, &workspace, why);
    if (s != ST_OK)
        return s;
    if (cuda_gemm_prepare() != cudaSuccess)
        return diag_set(why, ST_DEVICE, "%s: the own products' shared memory is refused", c.base.caps.device);
    c.plans = static_cast<gemm_plans *>(plans);
    c.plans->workspace = workspace;
    if (cublasLtCreate(&c.plans->handle) != CUBLAS_STATUS_SUCCESS)
        return diag_set(why, ST_DEVICE, "%s: cuBLASLt does not start", c.base.caps.device);
    return ST_OK;
}

void gemm_close(cuda &c)
{
    if (c.plans && c.plans->handle)
        cublasLtDestroy(c.plans->handle);
}

enum status gemm_prepare(cuda &c, enum dtype type, int N, int K, const void *b, const gemm_plan **out, struct diag *why)
{
    for (gemm_plan *p = c.plans->first; p; p = p->next)
        if (p->type == type && p->N == N && p->K == K) {
            *out = p;
            return ST_OK;
        }
    void *made;
    enum status s = cuda_head(c, sizeof(gemm_plan), &made, why);
    if (s != ST_OK)
        return s;
    auto *p = static_cast<gemm_plan *>(made);
    p->type = type;
    p->N = N;
    p->K = K;
    s = choose(c, *p, b, why);
    p->next = c.plans->first;
    c.plans->first = p;
    *out = p;
    return s;
}

int gemm_list(const cuda &c, struct product_plan *out, int room)
{
    int n = 0;
    for (const gemm_plan *p = c.plans->first; p; p = p->next, n++)
        if (n < room)
            out[n] = {p->type, p->N, p->K, p->offered, p->taken};
    return n;
}

bool gemm_by_library(const gemm_plan *p)
{
    return p->library;
}

void gemm_run(cuda &c, const gemm_plan *p, const gemm_args &g)
{
    gemm_args padded = g;
    padded.M = gemm_padded(g.M);
    if (!p->library)
        cuda_gemm(c.stream, p->type, g);
    else if (!run_library(c, *p, padded))
        cuda_fail(c, "cuBLASLt refuses a product");
}
