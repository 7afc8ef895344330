/* Opening and closing a CPU backend. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libgomp's barriers are invisible to the thread sanitizer: its builds use the own loops. */
#if defined(__SANITIZE_THREAD__)
enum { ONE_DNN_ALLOWED = 0 };
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
enum { ONE_DNN_ALLOWED = 0 };
#else
enum { ONE_DNN_ALLOWED = 1 };
#endif
#else
enum { ONE_DNN_ALLOWED = 1 };
#endif

static void cpu_close(struct backend *be)
{
    struct cpu *cpu = cpu_of(be);
    pool_close(cpu->pool);
    gemm_close(cpu->gemm);
    cpu_free_all(cpu);
    free(cpu->scratch);
    free(cpu);
}

void cpu_fail(struct cpu *cpu, const char *what)
{
    snprintf(cpu->failure.text, sizeof cpu->failure.text, "cpu: %s", what);
    atomic_store(&cpu->failed, true);
}

static enum status cpu_sync(struct backend *be, struct diag *why)
{
    struct cpu *cpu = cpu_of(be);
    return atomic_load(&cpu->failed) ? diag_set(why, ST_DEVICE, "%s", cpu->failure.text) : ST_OK;
}

/* Nothing here costs less for being known beforehand: steps are as long as they are, and never recorded. */
static void cpu_step_size(const struct backend *be, struct step *step, int max_sampled)
{
    (void)be;
    (void)max_sampled;
    step->rows = step->n_rows;
    step->samples = step->n_sampled;
}

static enum status cpu_step_record(struct backend *be, const struct step *step, bool *begun, struct diag *why)
{
    (void)be;
    (void)step;
    (void)why;
    *begun = false;
    return ST_OK;
}

static bool cpu_step_begin(struct backend *be, const struct step *step, bool replay)
{
    (void)be;
    (void)step;
    (void)replay;
    return true;
}

static const struct backend_ops cpu_ops = {
    .close = cpu_close,
    .mark = cpu_mark,
    .forget = cpu_forget,
    .sync = cpu_sync,
    .weight = cpu_weight_new,
    .weight_seeded = cpu_weight_seeded,
    .act = cpu_act_new,
    .act_write = cpu_act_write,
    .act_read = cpu_act_read,
    .array = cpu_array_new,
    .array_write = cpu_array_write,
    .array_read = cpu_array_read,
    .array_send = cpu_array_send,
    .array_receive = cpu_array_receive,
    .kv_page_bytes = cpu_kv_page_bytes,
    .kv = cpu_kv,
    .step_size = cpu_step_size,
    .step_record = cpu_step_record,
    .step_begin = cpu_step_begin,
    .step_end = cpu_sync,
    .copy_rows = cpu_copy_rows,
    .norm = cpu_norm,
    .linear = cpu_linear,
    .glu = cpu_glu,
    .patchify = cpu_patchify,
    .vision_embed = cpu_vision_embed,
    .attention_full = cpu_attention_full,
    .drop_class = cpu_drop_class,
    .region_gather = cpu_region_gather,
    .region_center = cpu_region_center,
    .region_pool = cpu_region_pool,
    .region_take = cpu_region_take,
    .region_select = cpu_region_select,
    .region_take_xy = cpu_region_take_xy,
    .embed = cpu_embed,
    .rope_append = cpu_rope_append,
    .attention = cpu_attention,
    .take_rows = cpu_take_rows,
    .sample = cpu_sample,
};

static enum status check_options(const struct backend_options *o, const struct simd **simd, struct diag *why)
{
    const char *isa = o->isa ? o->isa : "auto";
    if (o->dtype != DTYPE_F32 && o->dtype != DTYPE_BF16 && o->dtype != DTYPE_INT8)
        return diag_set(why, ST_UNSUPPORTED, "cpu: dtype %s is not supported; use f32, bf16 or int8",
                        dtype_name(o->dtype));
    *simd = simd_select(isa);
    if (!*simd)
        return diag_set(why, ST_UNSUPPORTED, "cpu: instruction set '%s' is not available here; this processor has %s",
                        isa, simd_select("auto")->name);
    return ST_OK;
}

enum status cpu_open(const struct backend_options *o, struct backend **out, struct diag *why)
{
    const struct simd *simd;
    enum status s = check_options(o, &simd, why);
    if (s != ST_OK)
        return s;
    struct cpu *cpu = calloc(1, sizeof *cpu);
    if (!cpu)
        return diag_set(why, ST_NOMEM, "cpu: no memory for a backend");
    cpu->base.ops = &cpu_ops;
    cpu->base.dtype = o->dtype;
    cpu->simd = simd;
    cpu->fast = o->fast;
    cpu->threads = o->threads > 0 ? o->threads : pool_default_threads();
    cpu->base.caps = (struct backend_caps){
        .invariant = !o->fast, .memory_bytes = o->memory_bytes, .kv_element_bytes = o->dtype == DTYPE_F32 ? 4 : 2};
    snprintf(cpu->base.caps.device, sizeof cpu->base.caps.device, "cpu %s x%d", simd->name, cpu->threads);
    cpu->scratch = calloc((size_t)cpu->threads, sizeof *cpu->scratch);
    s = cpu->scratch ? pool_open(cpu->threads, &cpu->pool) : ST_NOMEM;
    /* Below AVX-512 oneDNN's results depend on the number of rows. */
    if (s == ST_OK && ONE_DNN_ALLOWED && strcmp(simd->name, "avx512") == 0)
        s = gemm_open(cpu->threads, &cpu->gemm);
    if (s != ST_OK)
        diag_set(why, s, "cpu: no memory for %d threads", cpu->threads);
    else
        s = cpu_reserve_scratch(cpu, why);
    if (s != ST_OK) {
        cpu_close(&cpu->base);
        return s;
    }
    *out = &cpu->base;
    return ST_OK;
}
