/* Data movement of the vision tower. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/ops.h"

#include <string.h>

struct patch_job {
    struct cpu *cpu;
    struct act *out;
    const float *pixels;
    int images, side, patch;
};

static void patch_rows(void *ctx, int thread)
{
    const struct patch_job *j = ctx;
    int grid = j->side / j->patch, per_image = grid * grid;
    ptrdiff_t plane = (ptrdiff_t)j->side * j->side;
    struct part p = pool_part(j->images * per_image, thread, j->cpu->threads);
    for (int row = p.begin; row < p.end; row++) {
        int image = row / per_image, place = row % per_image;
        const float *from = j->pixels + image * 3 * plane + (ptrdiff_t)(place / grid) * j->patch * j->side +
                            (ptrdiff_t)(place % grid) * j->patch;
        float *to = act_row(j->out, row);
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < j->patch; y++, to += j->patch)
                memcpy(to, from + c * plane + (ptrdiff_t)y * j->side, (size_t)j->patch * sizeof *to);
    }
}

void cpu_patchify(struct backend *be, struct act *out, const struct array *pixels, int images, int side, int patch)
{
    struct patch_job j = {cpu_of(be), out, array_f32(pixels), images, side, patch};
    cpu_run(j.cpu, (int64_t)images * 3 * side * side, patch_rows, &j);
    act_written(out);
}

void cpu_vision_embed(struct backend *be, struct act *x, const struct act *patches, int images, int n_patches,
                      const struct weight *class_embedding, const struct weight *position)
{
    size_t C = (size_t)x->cols;
    int length = n_patches + 1;
    for (int row = 0; row < images * length; row++) {
        int place = row % length;
        const float *from =
            place == 0 ? vector_of(class_embedding) : act_row(patches, row / length * n_patches + place - 1);
        memcpy(act_row(x, row), from, C * sizeof(float));
        cpu_of(be)->simd->add(act_row(x, row), vector_of(position) + (size_t)place * C, x->cols);
    }
    act_written(x);
}

void cpu_drop_class(struct backend *be, struct act *dst, const struct act *x, int images, int n_patches)
{
    for (int i = 0; i < images; i++)
        cpu_copy_rows(be, dst, i * n_patches, x, i * (n_patches + 1) + 1, n_patches);
}
