/* Inside of the engine: state shared by its files. engine.c opens, closes and accounts; engine_submit.c takes images
 * in and drops them; engine_step.c runs steps; engine_result.c turns ended tasks into results. */
#ifndef MODEL_ENGINE_IMPL_H
#define MODEL_ENGINE_IMPL_H

#include "model/decoder.h"
#include "model/engine.h"
#include "model/sampler.h"
#include "model/scheduler.h"
#include "model/vision.h"
#include "model/weights.h"

enum {
    ENGINE_ENCODE_BATCH = 4, /* four images fill a GPU's products and stall decoding for a few steps at most */
    ENGINE_REGION_BATCH = 16,
};

struct engine_prefix {
    struct sched_prefix sched;
    int refs; /* tasks; the template's own prefix has one more */
    int32_t *ids;
    struct engine_prefix *next;
};

struct result_node {
    struct engine_result result;
    struct result_node *next;
};

struct image_job;
struct task_job {
    struct sched_task sched; /* first: a scheduled task is its job */
    uint64_t id;
    struct image_job *image;
    struct engine_prefix *prefix;
    int32_t *ids; /* the whole prompt; sched.own points into it */
    struct drawn_region *regions;
    float temperature, top_p;
    uint64_t seed;
    bool repetition_stop, well_formed_boxes;
    char **stops;
    int n_stops;
    struct detokenizer *detokenizer; /* where there are stops */
    char *text;                      /* of the tokens read so far */
    size_t text_len, text_cap;
    int n_prompt, n_tokens; /* n_tokens: read from the device */
    int64_t submitted_us, started_us, first_us;
    struct result_node *result; /* made on submission with room for max_tokens, so that an ending can't fail */
    struct task_job *next;      /* of the image; ended ones are gone */
};
struct image_job {
    struct sched_image sched; /* first */
    uint64_t id;
    float *pixels;   /* NULL where the image came with features */
    float *features; /* NULL where it came with pixels */
    struct task_job *tasks;
    struct image_job *next;
};

/* Sampled rows of a step whose results have not been read. */
struct flight {
    int n;
    struct flight_row {
        struct task_job *task; /* NULL: ended meanwhile */
        int slot;
    } * rows;
};

struct engine {
    struct config *config;
    struct tokenizer *tokenizer;
    struct backend *be;
    struct weights weights;
    struct vision vision;
    struct sampler sampler;
    struct decoder decoder;
    struct act *features, *image_rows, *region_rows;
    enum feature_type feature_type;
    engine_features_fn on_features;
    void *features_ctx;
    float *host_features; /* of one image, where on_features is set */
    struct scheduler *scheduler;
    char hash[65];
    char *account;

    int32_t *box_classes;  /* of the tokenizer's ids, or NULL, and */
    struct diag boxes_why; /* why boxes can't be kept well-formed */
    bool too_few_pages;
    int halvings; /* of what was asked for, since it did not fit */
    int max_sequences, max_rows, image_slots, encode_batch, region_batch, n_pages, max_waiting_images;
    struct image_job *images;
    int n_images;
    struct engine_prefix *prefixes;
    struct result_node *results, **results_end;

    struct flight planned, in_flight; /* of the step being built; of the step behind it */
    struct sampled *sampled;          /* [max_sequences]: what was read of a step */
    bool lost;
    struct diag lost_why;
    engine_observer observer;
    void *observer_ctx;
    struct engine_stats stats;
};

/* engine_result.c ---------------------------------------------------------------------------------------------- */
/* Ends a task that was submitted: its result is queued, what it holds given back, its memory freed; likewise its image
 * after its last task. why may be NULL. */
void engine_end_task(struct engine *e, struct task_job *t, enum engine_outcome outcome, enum finish finish,
                     const char *why);
/* The same for a task whose newest token came from logits that are NaN or infinite: what followed would mean nothing.
 */
void engine_end_non_finite(struct engine *e, struct task_job *t);
/* Ends all tasks after a failure of the device. */
void engine_lose(struct engine *e, const struct diag *why);
void engine_queue_result(struct engine *e, struct result_node *node);
/* Feeds a token to the stop texts: true in *stop when one is complete. */
MUST_CHECK enum status engine_match_stops(struct task_job *t, int32_t token, bool *stop);
/* Makes room in a task's result for the tokens that it may get; keeps one that was read. */
MUST_CHECK enum status engine_room_for_tokens(struct task_job *t);
void engine_keep_token(struct task_job *t, const struct sampled *sampled);
/* Frees a job that the scheduler doesn't know (any more). */
void task_job_free(struct engine *e, struct task_job *t);

/* engine_submit.c ---------------------------------------------------------------------------------------------- */
/* The shared record of the ids in front of an image; one reference more. */
MUST_CHECK enum status engine_hold_prefix(struct engine *e, const int32_t *ids, int n, struct engine_prefix **out);
void engine_release_prefix(struct engine *e, struct engine_prefix *prefix);

/* engine_observe.c --------------------------------------------------------------------------------------------- */
MUST_CHECK enum status engine_show_image(struct engine *e, const struct image_job *image, int slot, struct diag *why);
/* Choices of region `index` of a task, which stood at `place` of a traced batch. */
void engine_show_choice(struct engine *e, const struct task_job *t, int index, int place,
                        const struct sampler_trace *trace);
MUST_CHECK enum status engine_show_regions(struct engine *e, const struct task_job *t, struct diag *why);
/* The rows of a step that end a prompt. */
void engine_show_step(struct engine *e, const struct plan *plan, const struct decoder_trace *trace);

#endif
