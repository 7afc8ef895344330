/* The one narrow table of tensor operations that the model runs on. kernels/cpu and kernels/cuda implement it.
 *
 * Legend: T rows of a step (tokens), C channels, H attention heads, D head dim, S vocabulary, R regions,
 * B images, P patches, N points. All matrices are row-major; `rows x cols` means rows of cols values.
 *
 * Rules of the house
 * - One backend instance belongs to one thread at a time (the engine's). It may use a pool of its own inside.
 * - Operations are ordered: each sees the results of all earlier ones. They may run later than the call returns;
 *   only `read` and `sync` wait. Arrays written by the host (array_write) are copied at the call.
 * - Operations allocate nothing. Weights are packed at load, activations and arrays are made once at start.
 * - Row rule (design 5): an output row's bits depend on its own input row and the weights only, never on how many
 *   rows there are or where the row stands. `caps.invariant` says whether this instance keeps it.
 * - Shapes, ranges and handle kinds are checked once in backend.c before a backend's own function runs: a mistake there
 * is a bug of ours and asserts. What can fail at run time (memory, device) is a status.
 * - The residual stream, norms' statistics, softmax, logits, vision features F and the region sampler are f32 in every
 * dtype.
 * - int8: weights per output channel, activations per row (symmetric, scale = max|x| / 127), int32 products with unit
 *   scales, row x channel scale applied by the operation that reads the product.
 */
#ifndef KERNELS_BACKEND_H
#define KERNELS_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum dtype { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_INT8, DTYPE_FP8, DTYPE_COUNT_ };
const char *dtype_name(enum dtype d); /* "f32", "f16", "bf16", "int8", "fp8" */
MUST_CHECK enum status dtype_parse(const char *name, enum dtype *out, struct diag *why);

enum {
    KV_PAGE = 32,     /* positions in a page of the KV cache */
    ATTN_BLOCK = 128, /* positions from a segment's start after which partial attention sums are merged (design 5) */
    MAX_STOP_IDS = 4,
    MAX_SEGMENTS = 3, /* segments of a sequence: system text, image, own (design 5) */
};

/* What the operations can do of the sizes that a checkpoint states. They assert it: whoever reads a checkpoint refuses
 * what lies outside (model/config.c). */
enum {
    MAX_HEAD_DIM = 256,       /* channels of a head, of the decoder and of the tower */
    MAX_REGION_POINTS = 4096, /* points of a region before its first stage */
    MIN_REGION_GRID = 2,      /* patches a side: points are read between four of them */
};

struct backend;
struct weight; /* a packed matrix, vector or embedding table; belongs to its backend and dies with it */
struct act;    /* an activation: max_rows x cols of f32, with the copy in the compute dtype that norms and GLU leave for
                  the next linear */
struct array;  /* int32, uint32 or f32 elements that describe a batch or hold the state of its tasks */

struct backend_options {
    const char *device; /* "cpu", "cuda:0", ...: already resolved, never "auto" */
    enum dtype dtype;
    size_t memory_bytes; /* budget for everything the instance allocates, weights included */
    int threads;         /* CPU: workers of the pool, 0 = one a physical core available to the process */
    const char *isa;     /* CPU: "auto", "scalar", "avx2", "avx512": at most this; others are refused by name */
    bool fast;           /* lifts the row rule; caps.invariant is then false */
};

struct backend_caps {
    char device[64];         /* for people: "cpu avx512 x2" */
    bool invariant;          /* the row rule holds, as self-checked at open */
    bool async;              /* operations run behind the call: the engine keeps one step in flight */
    size_t memory_bytes;     /* the budget in force */
    size_t kv_element_bytes; /* bytes of one K or V number in the cache (f32 dtype: 4, else 2) */
    int recordings;          /* sizes of steps that backend_step_record has kept, */
    int recorded_rows;       /* the largest of them, */
    size_t recorded_bytes;   /* what all take */
    char unrecorded[128];    /* why there are no more; "" where nothing stood in the way */
};

/* ---- life ---------------------------------------------------------------------------------------------------- */

/* Memory that a device has of its own, in bytes; 0 for the CPU. ST_MISSING, with the reason in one sentence, for a
 * device that is not there. "simt" is the CUDA backend under the emulator of tests/simt, where that was built. */
MUST_CHECK enum status backend_device_memory(const char *device, size_t *bytes, struct diag *why);

/* ST_UNSUPPORTED for a dtype or ISA that this device can't do (named), ST_MISSING for an absent device. The caller owns
 * *out. */
MUST_CHECK enum status backend_open(const struct backend_options *o, struct backend **out, struct diag *why);
void backend_close(struct backend *be); /* frees everything it made; NULL is fine */
const struct backend_caps *backend_caps(const struct backend *be);
size_t backend_used_bytes(const struct backend *be);
/* What is made from here on, but for weights, can be given back at once: backend_forget frees it, the cache included,
 * and those handles are gone. No operation may be under way. Nothing may have been recorded since. */
struct backend_mark {
    void *made; /* the backend's own */
};
struct backend_mark backend_mark(const struct backend *be);
void backend_forget(struct backend *be, struct backend_mark mark);
/* Whether something was refused for want of memory, the budget's or the device's own, since this was asked last. */
bool backend_ran_out(struct backend *be);
/* Waits for all operations; ST_DEVICE when one failed. */
MUST_CHECK enum status backend_sync(struct backend *be, struct diag *why);

/* ---- weights ------------------------------------------------------------------------------------------------- */

/* Reads rows [row, row + n) of a matrix as f32 into out (n x cols). Called with ascending rows, each once a pass;
 * passes may repeat (int8 reads twice: scales, then values). Errors name file and tensor. */
typedef enum status (*weight_read_fn)(void *ctx, int row, int n, float *out, struct diag *why);
struct weight_source {
    int rows, cols; /* a linear's [out, in] as checkpoints store it; a vector is 1 x cols */
    weight_read_fn read;
    void *ctx; /* borrowed for the call */
};
enum weight_use {
    WEIGHT_LINEAR,     /* right side of op_linear, in the compute dtype */
    WEIGHT_GLU,        /* rows = [gate; up], each rows/2: right side of op_glu, in the compute dtype */
    WEIGHT_LINEAR_F32, /* right side of op_linear in f32 whatever the dtype (region sampler, lm_head is WEIGHT_LINEAR)
                        */
    WEIGHT_TABLE,      /* embedding rows, gathered by op_embed; values rounded to the compute dtype (int8: bf16) */
    WEIGHT_VECTOR,     /* norm weight or bias, f32 */
};
/* Packs once for this backend; never two copies at rest. ST_NOMEM when the budget would be passed (numbers in *why). */
MUST_CHECK enum status backend_weight(struct backend *be, enum weight_use use, const struct weight_source *src,
                                      struct weight **out, struct diag *why);
/* The same with numbers of a seed's own, made where the weights stand, the same ones on every backend: element i of the
 * rows x cols is random_spread(seed, i, spread) of kernels/random.h, in [-spread, spread). */
struct weight_seed {
    int rows, cols;
    uint64_t seed;
    float spread;
};
MUST_CHECK enum status backend_weight_seeded(struct backend *be, enum weight_use use, const struct weight_seed *seed,
                                             struct weight **out, struct diag *why);

/* ---- activations and arrays ------------------------------------------------------------------------------------ */

MUST_CHECK enum status backend_act(struct backend *be, int max_rows, int cols, struct act **out, struct diag *why);
int act_cols(const struct act *a);
int act_max_rows(const struct act *a);
/* Rows of f32 in and out of a backend. read waits for everything before it. */
MUST_CHECK enum status act_write(struct backend *be, struct act *a, int row, int n, const float *values,
                                 struct diag *why);
MUST_CHECK enum status act_read(struct backend *be, const struct act *a, int row, int n, float *values,
                                struct diag *why);

enum array_kind { ARRAY_I32, ARRAY_F32, ARRAY_U8 };
MUST_CHECK enum status backend_array(struct backend *be, enum array_kind kind, size_t n, struct array **out,
                                     struct diag *why);
/* Copies n elements at `at`; the host buffer is free again on return. */
MUST_CHECK enum status array_write(struct backend *be, struct array *a, size_t at, size_t n, const void *values,
                                   struct diag *why);
MUST_CHECK enum status array_read(struct backend *be, const struct array *a, size_t at, size_t n, void *values,
                                  struct diag *why);

/* Puts a copy of the first n elements on its way to the host, as they stand behind all operations so far; at most
 * ARRAY_SENDS copies of ARRAY_SEND_BYTES are under way. array_receive waits for the oldest of them, and for nothing
 * that was asked for behind it. */
enum { ARRAY_SENDS = 2, ARRAY_SEND_BYTES = 64 << 10 };
void array_send(struct backend *be, const struct array *a, size_t n);
MUST_CHECK enum status array_receive(struct backend *be, void *values, struct diag *why);

/* Copies rows between activations on the device: dst[dst_row .. +n) = src[src_row .. +n). Equal cols. */
void op_copy_rows(struct backend *be, struct act *dst, int dst_row, const struct act *src, int src_row, int n);

/* ---- dense blocks ---------------------------------------------------------------------------------------------- */

enum norm_kind { NORM_RMS, NORM_LAYER };
/* out = norm(x) for `rows` rows. RMS: round(x * rsqrt(mean(x^2) + eps)) * weight, the rounding to the compute dtype
 * before the weight (spec 1.2), bias NULL. LAYER: (x - mean) * rsqrt(var + eps) * weight + bias. out holds f32 values
 * and the compute-dtype copy for op_linear. out may be x (then x is overwritten). f32_only: the copy is skipped (result
 * read by an f32 linear or the host). */
void op_norm(struct backend *be, struct act *out, const struct act *x, int rows, enum norm_kind kind,
             const struct weight *weight, const struct weight *bias, float eps, bool f32_only);

enum epilogue {
    EPI_NONE,       /* out = y */
    EPI_QUICK_GELU, /* out = y * sigmoid(1.702 y), and its compute-dtype copy */
    EPI_ADD,        /* out += y (residual) */
};
/* y = x W^T (+ bias); then the epilogue. x [rows, in]: its compute-dtype copy where x came from
 * op_norm/op_glu/op_attention/EPI_QUICK_GELU, else x's f32 values are converted first. W a WEIGHT_LINEAR or
 * WEIGHT_LINEAR_F32 (then f32 values are used). out has cols >= W rows; out_col: first column written; out is not x.
 * With a WEIGHT_LINEAR_F32, `in` may be k times x's cols: k consecutive rows of x then make one input row. */
void op_linear(struct backend *be, struct act *out, int out_col, const struct act *x, int rows, const struct weight *w,
               const struct weight *bias, enum epilogue epilogue);
/* out [rows, F] = silu(x Wg^T) * (x Wu^T), with its compute-dtype copy. w is WEIGHT_GLU of 2F rows. */
void op_glu(struct backend *be, struct act *out, const struct act *x, int rows, const struct weight *w);

/* ---- vision tower ---------------------------------------------------------------------------------------------- */

/* Patches of normalised pixels: pixels is f32 [B][3][side][side] in an array (ARRAY_F32); out [B*P, 3*patch*patch] with
 * columns in conv-weight order (c, y, x). */
void op_patchify(struct backend *be, struct act *out, const struct array *pixels, int images, int side, int patch);
/* x [B*(P+1), C] = [class; patch_embeddings[b]] + position. class: WEIGHT_VECTOR; position: WEIGHT_TABLE-like f32
 * matrix packed as WEIGHT_VECTOR of (P+1)*C. */
void op_vision_embed(struct backend *be, struct act *x, const struct act *patches, int images, int n_patches,
                     const struct weight *class_embedding, const struct weight *position);
/* Full (bidirectional) attention inside each image: qkv [B*L, 3C] as [q | k | v], H heads; scores scaled by 1/sqrt(D)
 * applied to q. out [B*L, C] with its copy. */
void op_attention_full(struct backend *be, struct act *out, const struct act *qkv, int images, int length, int heads);
/* dst [B*P, C] = x [B*(P+1), C] without each image's class row. */
void op_drop_class(struct backend *be, struct act *dst, const struct act *x, int images, int n_patches);

/* ---- region sampler (spec 4; folded form 4.3) ------------------------------------------------------------------ */

/* Bilinear gather of features at points: features [B*P, C] (grid x grid), out [R*N, C + 2] = (features, x/W, y/H).
 * image: i32 [R] image row of each region; points: f32 [R*N*2], x/W and y/H; transposed: spec 4.3 step 3. */
void op_region_gather(struct backend *be, struct act *out, const struct act *features, const struct array *image,
                      const struct array *points, int regions, int n_points, int grid, bool transposed);
/* points [R*N, C + 2]: columns 0..C-1 of each region's N rows lose their mean, summed in the rows' order; the last two
 * stay. Differences between a region's rows stay what they were, and their products in f32 lose fewer digits. */
void op_region_center(struct backend *be, struct act *points, int regions, int n_points);
/* One stage behind its products: for anchor i of region r (index anchors[r*S+i] into the region's N points) and its K
 * neighbours (neighbours[(r*S+i)*K+k], likewise): v = LayerNorm(ReLU(A[j] - A[anchor] + Bm[i])); out[r*S+i, 0..C) = max
 * or mean over k. A [R*N, C] = products Wf of every point, Bm [R*S, C] = products of the anchors. Columns C, C+1 of out
 * get the anchor's coordinates from `points` ([R*N, >= C+2], same layout). */
void op_region_pool(struct backend *be, struct act *out, const struct act *a, const struct act *bm,
                    const struct act *points, const struct array *anchors, const struct array *neighbours, int regions,
                    int n_points, int n_anchors, int n_neighbours, const struct weight *norm_weight,
                    const struct weight *norm_bias, float eps, bool max_pool);
/* dst[r*S+i] = src[r*N + index[r*S+i]] : all columns. */
void op_region_take(struct backend *be, struct act *dst, const struct act *src, const struct array *index, int regions,
                    int n_points, int n_taken);
/* FPS and kNN over integer pixel coordinates (exact: spec 4.6). xy: i32 [R*N*2] pixels; size: i32 [R*2] = W, H divided
 * by their gcd; start: i32 [R]. anchors out i32 [R*S]; neighbours out i32 [R*S*K], ascending by (distance, index).
 * Point (x, y) scales as (x*H', y*W'). */
void op_region_select(struct backend *be, struct array *anchors, struct array *neighbours, const struct array *xy,
                      const struct array *size, const struct array *start, int regions, int n_points, int n_anchors,
                      int n_neighbours);
/* xy_out[r*S+i] = xy[r*N + anchors[r*S+i]] (pairs), the points of the next stage. */
void op_region_take_xy(struct backend *be, struct array *xy_out, const struct array *xy, const struct array *anchors,
                       int regions, int n_points, int n_taken);

/* ---- decoder ---------------------------------------------------------------------------------------------------- */

struct kv_shape {
    int layers, heads, head_dim, n_pages; /* a page holds KV_PAGE positions of one layer stack: all layers, K and V */
};
/* Bytes of one page for this backend's cache type. */
size_t backend_kv_page_bytes(const struct backend *be, const struct kv_shape *shape);
MUST_CHECK enum status backend_kv(struct backend *be, const struct kv_shape *shape, struct diag *why); /* once */

/* The description of one step, in arrays of padded size. Rows [0, n_rows) are real.
 * A row is one token of one sequence. `slot` is the task's place in the state arrays of `struct tasks`, -1 for a shared
 * prefix. */
struct step {
    int n_rows;
    int rows, samples; /* backend_step_size: rows and sampled rows that the operations of the step are called with */
    struct array *source_kind;  /* i32 [rows]: enum source_kind */
    struct array *source_index; /* i32 [rows]: token id | slot | row of image_rows | row of region_rows */
    struct array *position;     /* i32 [rows]: absolute RoPE position */
    struct array *kv_page;      /* i32 [rows]: page that receives the row's K and V */
    struct array *kv_at;        /* i32 [rows]: place in that page */
    /* Attention as passes over shared segments: in pass p (ascending) a span lets the rows [row, row + n) read one
     * segment's first `length` positions, whose pages stand at pages[page0 ..]; key at segment place i has absolute
     * position base + i and is seen by a row iff base + i <= the row's position. A row is in at most one span of a
     * pass; its partial sums merge blocks of ATTN_BLOCK positions in ascending order, pass after pass. */
    int n_spans;
    const struct span *spans;  /* host memory, n_spans, sorted by pass; copied at the call */
    struct array *pages;       /* i32: page tables of all segments in the step */
    int n_sampled;             /* rows whose logits are wanted */
    struct array *sampled;     /* i32 [n_sampled]: row numbers, ascending */
    struct array *sample_slot; /* i32 [n_sampled]: their tasks' slots */
};
enum source_kind {
    SOURCE_TOKEN,
    SOURCE_SLOT /* last token of that slot, from tasks.last */,
    SOURCE_IMAGE,
    SOURCE_REGION
};
struct span {
    int pass, row, n, page0, base, length;
};

/* x [rows, C]: table row, image row or region row of each token. */
void op_embed(struct backend *be, struct act *x, const struct step *step, const struct weight *table,
              const struct act *image_rows, const struct act *region_rows, const struct array *last_token);
/* RoPE on q and k of qkv [rows, 3C] in place (f32; half-split pairs; angles = position * inv_freq in f32: spec 1.2), K
 * and V written to the cache of `layer`. inv_freq: WEIGHT_VECTOR of D/2. */
void op_rope_append(struct backend *be, struct act *qkv, const struct step *step, int layer,
                    const struct weight *inv_freq);
/* Attention of q over the cache as `step.spans` say. out [rows, C] with its compute-dtype copy. */
void op_attention(struct backend *be, struct act *out, const struct act *qkv, const struct step *step, int layer);
/* dst[i] = src[sampled[i]]: the rows that go on to the final norm and lm_head. */
void op_take_rows(struct backend *be, struct act *dst, const struct act *src, const struct array *rows, int n);

/* State of tasks on the device, one element a slot unless said. The host writes a slot when it starts a task and reads
 * `newest` behind each step. */
struct tasks {
    int n_slots;
    int history;               /* tokens kept a slot: the largest max_tokens */
    struct array *last;        /* i32: last sampled token */
    struct array *count;       /* i32: tokens sampled so far */
    struct array *max_tokens;  /* i32 */
    struct array *finish;      /* i32: enum finish; a finished slot samples nothing and keeps its state */
    struct array *temperature; /* f32; below 0.01 = argmax in f32, first maximum wins (spec 7.1) */
    struct array *top_p;       /* f32; 1 = off */
    struct array *seed;        /* i32 pairs [2*slots]: low and high half of the task's 64-bit seed */
    struct array *stop_ids;    /* i32 [slots * MAX_STOP_IDS], -1 = unused */
    struct array *repetition;  /* i32: 1 = the repetition stop is on */
    struct array *boxes;       /* i32: 1 = boxes are kept well-formed (kernels/box_automaton.h); NULL: nobody's are, */
    struct array *box_state;   /* i32 [slots * BOX_STATE_WORDS]: zeros where a task starts */
    struct array *box_class;   /* i32 [vocab]: enum box_class of each token */
    struct array *tokens;      /* i32 [slots * history]: sampled tokens */
    struct array *newest;      /* i32 [slots * SAMPLED_WORDS]: a struct sampled a slot */
};
/* What the sampling of a token came to. */
struct sampled {
    int32_t token, finish;
    float logprob; /* natural log of the token's probability under the untempered softmax */
    float margin;  /* largest logit minus the second largest, of those that may be sampled; infinite for one alone */
    float top;     /* the largest logit, likewise */
};
enum { SAMPLED_WORDS = sizeof(struct sampled) / sizeof(int32_t) };
enum finish {
    FINISH_NONE,
    FINISH_STOP,
    FINISH_LENGTH,
    FINISH_REPETITION,
    FINISH_NON_FINITE, /* the row's top logit or the token's log-probability is NaN or infinite; before all others */
};
/* Repetition stop, outside of boxes that are kept well-formed: the last `p * r` tokens are r equal cycles of p tokens,
 * for some p <= REPETITION_MAX_CYCLE, r >= REPETITION_MIN_CYCLES, p * r >= REPETITION_MIN_TOKENS. */
enum { REPETITION_MAX_CYCLE = 48, REPETITION_MIN_CYCLES = 4, REPETITION_MIN_TOKENS = 24 };
/* For each sampled row i with slot s = sample_slot[i]: picks the next token from logits[i] (argmax or temperature/top-p
 * with the counter-based generator u = uniform(seed, count), see kernels/random.h), appends the token, updates last,
 * count, finish, box_state and newest. suppress: a token id never sampled, or -1. Where a task's boxes are kept
 * well-formed, tokens that may not follow are never sampled either; log-probabilities count them. */
void op_sample(struct backend *be, const struct act *logits, const struct step *step, struct tasks *tasks, int vocab,
               int suppress);

/* ---- bounds of a step ------------------------------------------------------------------------------------------- */

/* Sets rows and samples from n_rows and n_sampled (at most max_sampled). They may be larger, from a short list of
 * sizes: operations then run over rows that stand behind the real ones, whose descriptions are what earlier steps left
 * there or zeros, and which reach nothing. Activations and arrays of a step are made for the largest. */
void backend_step_size(const struct backend *be, struct step *step, int max_sampled);
/* From here to backend_step_end nothing runs: the operations are kept, for later steps of equal rows and samples whose
 * operations are called with the same handles; n_rows and n_sampled of this step don't count. The cache must be there.
 * *begun is false where a backend keeps none, or has no room for more: then there is nothing to end. */
MUST_CHECK enum status backend_step_record(struct backend *be, const struct step *step, bool *begun, struct diag *why);
/* Begins a step that runs. False, which only happens where replay is asked for: it was recorded, and none of its
 * operations is to be called. */
bool backend_step_begin(struct backend *be, const struct step *step, bool replay);
MUST_CHECK enum status backend_step_end(struct backend *be, struct diag *why);

#endif
