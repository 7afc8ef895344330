/* Inside of the CUDA backend: what its host code shares. Legend as in kernels/backend.h. Everything runs on one stream
 * of the instance's own; nothing is allocated once a model is loaded. */
#ifndef KERNELS_CUDA_CUDA_CUH
#define KERNELS_CUDA_CUDA_CUH

#include "kernels/cuda/ops.cuh"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
extern "C" {
#include "kernels/plugin.h"
}
#pragma GCC diagnostic pop

enum : size_t {
    STAGE_SECTIONS = 4,
    STAGE_BYTES = size_t{2} << 20, /* of a section; a write larger than it goes in pieces */
};
enum {
    GEMM_ROWS = 512, /* rows of one product at most: longer activations go in pieces */
    GEMM_ALIGN = 16, /* N and K of matrices that are no f32 are padded to multiples of this */
};

struct held_memory;
struct gemm_plans;
struct gemm_plan;

/* Pinned memory on the way to the device: a section is written again when the copies out of it have run. */
struct staging {
    char *memory;
    size_t section, used;
    cudaEvent_t passed[STAGE_SECTIONS];
    char *back; /* one section, of what is read */
};

/* What is on its way to the host (array_send): pinned, and an event behind each copy. */
struct sendings {
    char *memory[ARRAY_SENDS];
    size_t bytes[ARRAY_SENDS];
    cudaEvent_t arrived[ARRAY_SENDS];
    int next;
};

/* Steps that were recorded as graphs, one a size. */
enum { MAX_RECORDINGS = 32 };
struct recordings {
    int n, rows[MAX_RECORDINGS];
    cudaGraphExec_t graphs[MAX_RECORDINGS];
    int under_way;            /* rows of the step that is being recorded, or 0 */
    bool spoilt, closed;      /* this one can't be kept; there are to be no more */
    cudaGraphExec_t replayed; /* what the step that was begun runs as, or NULL */
};

/* What was put on the stream last, for messages. */
struct last_operation {
    const char *name;
    int rows, cols;
};

struct cuda {
    struct backend base;
    int device;
    cudaStream_t stream;
    staging stage;
    sendings sent;
    recordings recorded;
    held_memory *held;
    gemm_plans *plans;
    bool fast;

    bool failed; /* an operation failed: every later wait says so */
    struct diag failure;
    last_operation last;

    void *product, *upload; /* of the widest product; f32 rows that become weights */
    size_t product_bytes;
    int max_act_rows;

    kv_cache cache;
    step_counts *counts; /* of the step */
    span *spans;         /* of the step, and which of them a row is in: [MAX_SEGMENTS][its rows] */
    int32_t *row_span;
    span *host_spans; /* the same on the way there */
    int32_t *host_row_span;
    float *attention_state;
    int kv_rows; /* most rows of a step */
};

struct cuda_weight {
    struct weight base;
    enum dtype type;
    int rows, cols; /* padded */
    void *data;
    float *scales;         /* int8, FP8: one a row */
    const gemm_plan *plan; /* NULL for tables and vectors */
};

struct cuda_act {
    struct act base;
    float *values;
    void *copy;    /* [padded_rows][padded_cols] of the compute dtype, NULL in f32 */
    float *scales; /* int8, FP8: one a row of the copy */
    int padded_rows, padded_cols;
    int copied; /* rows whose copy is up to date */
};

struct cuda_array {
    struct array base;
    void *data;
};

inline cuda *cuda_of(struct backend *be)
{
    return reinterpret_cast<cuda *>(be);
}
inline const cuda *cuda_of(const struct backend *be)
{
    return reinterpret_cast<const cuda *>(be);
}
/* The copy of a const activation is a cache. */
inline cuda_act *act_of(const struct act *a)
{
    return reinterpret_cast<cuda_act *>(const_cast<struct act *>(a));
}
inline const cuda_weight *weight_of(const struct weight *w)
{
    return reinterpret_cast<const cuda_weight *>(w);
}
inline const float *vector_of(const struct weight *w)
{
    return w ? static_cast<const float *>(weight_of(w)->data) : nullptr;
}
inline int32_t *ints_of(const struct array *a)
{
    return static_cast<int32_t *>(reinterpret_cast<const cuda_array *>(a)->data);
}
inline float *floats_of(const struct array *a)
{
    return static_cast<float *>(reinterpret_cast<const cuda_array *>(a)->data);
}
inline int round_up(int n, int unit)
{
    return (n + unit - 1) / unit * unit;
}

/* memory.cu: device memory counts against the budget and is freed as a whole at the end. */
MUST_CHECK enum status cuda_alloc(cuda &c, size_t bytes, void **out, struct diag *why);
void cuda_free(cuda &c, void *p);                                                      /* early; NULL is fine */
MUST_CHECK enum status cuda_head(cuda &c, size_t bytes, void **out, struct diag *why); /* zeroed host memory */
void cuda_free_all(cuda &c);
void *cuda_mark(const struct backend *be);
void cuda_forget(struct backend *be, void *mark);
/* Makes *p hold at least `bytes`; what was in it is lost. */
MUST_CHECK enum status cuda_reserve(cuda &c, void **p, size_t *have, size_t bytes, struct diag *why);
MUST_CHECK enum status cuda_stage_open(cuda &c, struct diag *why);
void cuda_stage_close(cuda &c);
/* Pinned room for at most STAGE_BYTES, to be filled and copied from before the next call; NULL after a failure. */
void *cuda_stage(cuda &c, size_t bytes);
/* The host's buffer is free again on return. */
void cuda_write(cuda &c, void *device, const void *host, size_t bytes);
/* Waits for everything before it. */
MUST_CHECK enum status cuda_read(cuda &c, void *host, const void *device, size_t bytes, struct diag *why);

/* send.cu */
MUST_CHECK enum status cuda_send_open(cuda &c, struct diag *why);
void cuda_send_close(cuda &c);
/* record.cu: whether what was recorded is thrown away; frees everything. */
void cuda_record_spoil(cuda &c, const char *what);
void cuda_record_close(cuda &c);

/* plugin.cu: failures. Keeps the first one, with what was put on the stream last. */
bool cuda_well(cuda &c, cudaError_t e);
void cuda_fail(cuda &c, const char *what);
/* To be called behind each launch. */
void cuda_launched(cuda &c, const char *operation, int rows, int cols);
MUST_CHECK enum status cuda_state(const cuda &c, struct diag *why);
MUST_CHECK enum status cuda_wait(cuda &c, struct diag *why);

/* Type that values of the compute dtype are kept in outside of products: caches, tables, copies of norms. */
inline enum dtype kept_type(enum dtype d)
{
    return d == DTYPE_INT8 || d == DTYPE_FP8 ? DTYPE_BF16 : d;
}
inline bool has_scales(enum dtype d)
{
    return d == DTYPE_INT8 || d == DTYPE_FP8;
}
inline size_t type_bytes(enum dtype d)
{
    return d == DTYPE_F32 ? 4 : has_scales(d) ? 1 : 2;
}

/* gemm.cu: rows that a product of n rows is run with. */
int gemm_padded(int n);
MUST_CHECK enum status gemm_open(cuda &c, struct diag *why);
void gemm_close(cuda &c);
/* How products of a type with an N x K matrix are made; to be called when that matrix is loaded. Lives as long as c. */
MUST_CHECK enum status gemm_prepare(cuda &c, enum dtype type, int N, int K, const void *b, const gemm_plan **out,
                                    struct diag *why);
/* All plans; how many. */
int gemm_list(const cuda &c, struct product_plan *out, int room);
/* By cuBLASLt, which reads and writes gemm_padded(M) rows and wants all rows aligned to 16 bytes; else exactly M. */
bool gemm_by_library(const gemm_plan *p);
/* N and K of g are the plan's. */
void gemm_run(cuda &c, const gemm_plan *p, const gemm_args &g);

/* The members of the table. activation.cu */
enum status cuda_act_new(struct backend *be, int max_rows, int cols, struct act **out, struct diag *why);
enum status cuda_act_write(struct backend *be, struct act *a, int row, int n, const float *values, struct diag *why);
enum status cuda_act_read(struct backend *be, const struct act *a, int row, int n, float *values, struct diag *why);
enum status cuda_array_new(struct backend *be, enum array_kind kind, size_t n, struct array **out, struct diag *why);
enum status cuda_array_write(struct backend *be, struct array *a, size_t at, size_t n, const void *values,
                             struct diag *why);
enum status cuda_array_read(struct backend *be, const struct array *a, size_t at, size_t n, void *values,
                            struct diag *why);
/* weight.cu */
enum status cuda_weight_new(struct backend *be, enum weight_use use, const struct weight_source *src,
                            struct weight **out, struct diag *why);
enum status cuda_weight_seeded(struct backend *be, enum weight_use use, const struct weight_seed *seed,
                               struct weight **out, struct diag *why);
/* linear.cu */
void cuda_linear(struct backend *be, struct act *out, int out_col, const struct act *x, int rows,
                 const struct weight *w, const struct weight *bias, enum epilogue epilogue);
void cuda_op_glu(struct backend *be, struct act *out, const struct act *x, int rows, const struct weight *w);
/* step.cu */
size_t cuda_kv_page_bytes(const struct backend *be, const struct kv_shape *shape);
enum status cuda_kv(struct backend *be, const struct kv_shape *shape, struct diag *why);
bool cuda_step_begin(struct backend *be, const struct step *step, bool replay);
/* send.cu */
void cuda_array_send(struct backend *be, const struct array *a, size_t n);
enum status cuda_array_receive(struct backend *be, void *values, struct diag *why);
/* record.cu */
void cuda_step_size(const struct backend *be, struct step *step, int max_sampled);
enum status cuda_step_record(struct backend *be, const struct step *step, bool *begun, struct diag *why);
enum status cuda_step_end(struct backend *be, struct diag *why);
/* operations.cu: the table, all members in it */
extern const struct backend_ops cuda_operations;

#endif
