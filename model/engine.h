/* The engine: images with their tasks go in, results come out; continuous batching over all of them (design 5).
 *
 * Thread rule: one thread owns an engine and makes all calls. Preprocessing, decoding of files, drawing of
 * regions (drawn_region_init) and parsing of answers happen outside. Determinism: a result depends on (image pixels,
 * task, options, seed) and (model, dtype, backend, device class), never on what else is in the batch. A sequence is a
 * list of at most three segments: system text (once an engine), image rows (once an image, shared by its tasks), own.
 * Each begins on a fresh page; pages are reference counted; prefill chunks end on ATTN_BLOCK borders from the segment's
 * start. Memory: everything lives in the budget of options.backend.memory_bytes; KV pages take what is left. A task
 * that can never fit is refused; one that can't fit now waits. */
#ifndef MODEL_ENGINE_H
#define MODEL_ENGINE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "kernels/backend.h"
#include "model/config.h"
#include "model/tokenizer.h"
#include "model/weights.h"

/* What the tower makes of an image, P x C numbers (engine_feature_count), may be kept by the caller and handed in again
 * in place of the pixels. Rounded to the type in which it is kept whether it is kept or not: so an answer is the same
 * bits either way. With f32 nothing is rounded, and answers are those of an engine that keeps nothing. */
enum feature_type { FEATURES_F32, FEATURES_F16 };
/* An image was encoded: its features, borrowed for the call. On the engine's thread, within engine_step. */
typedef void (*engine_features_fn)(void *ctx, uint64_t image_id, const float *features);

struct engine_options {
    const char *model_dir;
    const char *tower_dir; /* NULL: from the checkpoint folder */
    const char *base_dir;  /* NULL, or the base that model_dir is a delta over */
    struct backend_options backend;
    /* What doesn't fit the memory is halved, down to one sequence and steps of ATTN_BLOCK + 1 rows. */
    int max_sequences;      /* tasks decoding at once; 0 = 64 */
    int max_step_rows;      /* token budget of a step; 0 = 512; raised to max_sequences + ATTN_BLOCK */
    int max_waiting_images; /* images taken in and not finished; engine_submit says ST_BUSY above; 0 = 64 */
    const float *inv_freq;  /* NULL, or head_dim / 2 RoPE frequencies in place of the computed ones (parity) */
    enum feature_type feature_type;
    engine_features_fn on_features; /* NULL: features are not wanted, and not rounded */
    void *features_ctx;
    const volatile sig_atomic_t *stop; /* NULL, or a flag that ends a load that is under way, within one matrix */
    load_progress_fn on_progress;      /* NULL, or told how far the load is; on the caller's thread */
    void *progress_ctx;
};

struct drawn_region; /* model/sampler.h */
struct engine_task {
    uint64_t id;                        /* the caller's; unique among unfinished tasks of the engine */
    const char *prompt;                 /* rendered conversation with one "<image>" (prompt_render) */
    const struct drawn_region *regions; /* drawn with `seed` and the config's sampler, in the order of <region_fea> in
                                           the prompt. Drawing walks all pixels of a region: on the caller's threads */
    int n_regions;
    int max_tokens;                /* >= 1 */
    float temperature, top_p;      /* 0 and 1: greedy */
    uint64_t seed;                 /* of token sampling and of the region sampler's draws */
    const char *const *stop_texts; /* extra stop strings; the answer is cut in front of the first; n_stops may be 0 */
    int n_stops;
    bool repetition_stop;
    bool well_formed_boxes; /* each "[" of the answer begins "[x1, y1, x2, y2]" as kernels/box_automaton.h says */
};
struct engine_image {
    uint64_t id;           /* the caller's; unique among unfinished images */
    const float *pixels;   /* [3][image_size][image_size], preprocess(); or NULL, and */
    const float *features; /* as on_features gave them, of an engine of the same model, dtype and device class */
    const struct engine_task *tasks;
    int n_tasks;
};

enum engine_outcome {
    OUTCOME_OK,
    OUTCOME_TOO_LONG,
    OUTCOME_INVALID,
    OUTCOME_CANCELLED,
    OUTCOME_NO_MEMORY,
    OUTCOME_NON_FINITE, /* a logit was NaN or infinite: the task ended there, its answer would mean nothing */
    OUTCOME_DEVICE
};
struct engine_result {
    uint64_t image_id, task_id;
    enum engine_outcome outcome;
    char why[DIAG_BYTES]; /* where the outcome is not OK */
    enum finish finish;
    int n_prompt; /* positions of the prompt, image rows included */
    int n_tokens;
    int32_t *tokens;     /* generated ids, the stop id included; arrays and text are NULL where the outcome is not OK */
    float *logprob;      /* [n_tokens] */
    float *margin, *top; /* [n_tokens]: top-1 logit minus second; top-1 logit */
    char *text;          /* tokenizer_decode(cleanup = true), cut in front of a stop text */
    size_t *token_end;   /* [n_tokens] */
    int64_t wait_us, prefill_us, decode_us;
};

struct engine;
/* The caller owns *out. Errors name file, tensor, option; a model that can't fit the budget is refused with the
 * numbers. ST_CANCELLED: *o->stop was set before the weights were there. */
MUST_CHECK enum status engine_open(const struct engine_options *o, struct engine **out, struct diag *why);
void engine_close(struct engine *e);

const struct config *engine_config(const struct engine *e);
const struct tokenizer *engine_tokenizer(const struct engine *e);
const struct backend_caps *engine_caps(const struct engine *e);
const char *engine_model_hash(const struct engine *e); /* 64 hex digits */
size_t engine_feature_count(const struct engine *e);
/* A few plain lines: budget, weights, activations, KV pages, recorded steps; what was halved. Borrowed. */
const char *engine_memory_account(const struct engine *e);

/* Copies what it needs. ST_BUSY: too many waiting. Tasks that are invalid or too long yield a result with that outcome;
 * the others run. */
MUST_CHECK enum status engine_submit(struct engine *e, const struct engine_image *image, struct diag *why);
/* Drops what has not finished; each dropped task yields a result OUTCOME_CANCELLED. Unknown ids are ignored. */
void engine_cancel_task(struct engine *e, uint64_t task_id);
void engine_cancel_image(struct engine *e, uint64_t image_id);
bool engine_idle(const struct engine *e); /* nothing waiting, running or unread */

/* Runs one step: encode, prefill chunk and decode rows under the budget. ST_DEVICE: the engine is lost (every
 * unfinished task has a result OUTCOME_DEVICE). ST_OK with nothing to do returns at once. */
MUST_CHECK enum status engine_step(struct engine *e, struct diag *why);
/* Takes a finished result: true and *out filled (engine_result_fini), or false. */
bool engine_take(struct engine *e, struct engine_result *out);
void engine_result_fini(struct engine_result *r);

struct engine_stats {
    int64_t steps, images_encoded, images_restored, prefill_rows, decode_rows, wasted_rows, tokens_out;
    int64_t page_waits; /* steps in which the next task had a slot but no pages: pages are reserved on admission */
    int pages_total, pages_used, sequences;
    int64_t step_us, host_us; /* time in steps, and the share of it outside kernels */
    int64_t encode_us;        /* of it, starting to encode images: all of it where the backend is not async */
};
void engine_stats(const struct engine *e, struct engine_stats *out);

/* Copies of named tensors of every task, for parity: names as in the golden data without the case id (vision,
 * projected, region_features, chosen.k, fps0.k, fps1.k, hidden_last, logits). f32 or i32. While an observer is set the
 * engine reads them back, which costs time and changes no bit. vision and projected come once an image, with task id 0.
 */
typedef void (*engine_observer)(void *ctx, uint64_t image_id, uint64_t task_id, const char *name, bool is_int, int rows,
                                int cols, const void *values);
void engine_observe(struct engine *e, engine_observer fn, void *ctx);

#endif
