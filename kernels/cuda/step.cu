/* The cache, and the description of a step that attention reads. */
#include "kernels/cuda/cuda.cuh"

#include <cstring>

size_t cuda_kv_page_bytes(const struct backend *be, const struct kv_shape *s)
{
    return size_t{2} * KV_PAGE * static_cast<size_t>(s->head_dim) * static_cast<size_t>(s->heads) *
           static_cast<size_t>(s->layers) * be->caps.kv_element_bytes;
}

enum status cuda_kv(struct backend *be, const struct kv_shape *shape, struct diag *why)
{
    cuda &c = *cuda_of(be);
    void *pages, *spans, *row_span;
    size_t bytes = cuda_kv_page_bytes(be, shape) * static_cast<size_t>(shape->n_pages);
    c.row_span_room = MAX_SEGMENTS * c.max_act_rows;
    c.spans_room = c.row_span_room;
    enum status s = cuda_alloc(c, bytes, &pages, why);
    if (s == ST_OK)
        s = cuda_alloc(c, static_cast<size_t>(c.spans_room) * sizeof(span), &spans, why);
    if (s == ST_OK)
        s = cuda_alloc(c, static_cast<size_t>(c.row_span_room) * sizeof(int32_t), &row_span, why);
    if (s != ST_OK)
        return s;
    c.cache = {pages, shape->layers, shape->heads, shape->head_dim};
    c.spans = static_cast<span *>(spans);
    c.row_span = static_cast<int32_t *>(row_span);
    return cuda_state(c, why);
}

/* A pass's part of row_span goes through pinned memory at once. */
static void write_pass(cuda &c, const struct step *step, int pass)
{
    size_t n = static_cast<size_t>(step->n_rows), bytes = n * sizeof(int32_t);
    auto *map = static_cast<int32_t *>(cuda_stage(c, bytes));
    if (!map)
        return;
    memset(map, 0xFF, bytes); /* -1 */
    for (int i = 0; i < step->n_spans; i++)
        for (int row = 0; step->spans[i].pass == pass && row < step->spans[i].n; row++)
            map[step->spans[i].row + row] = i;
    cuda_well(c, cudaMemcpyAsync(c.row_span + static_cast<size_t>(pass) * n, map, bytes, cudaMemcpyHostToDevice,
                                 c.stream));
}

void cuda_step_begin(struct backend *be, const struct step *step)
{
    cuda &c = *cuda_of(be);
    c.n_passes = step->n_spans > 0 ? step->spans[step->n_spans - 1].pass + 1 : 0;
    if (step->n_spans > c.spans_room || c.n_passes * step->n_rows > c.row_span_room ||
        static_cast<size_t>(step->n_rows) * sizeof(int32_t) > STAGE_BYTES) {
        cuda_fail(c, "a step of more rows than there are");
        return;
    }
    cuda_write(c, c.spans, step->spans, static_cast<size_t>(step->n_spans) * sizeof(span));
    for (int pass = 0; pass < c.n_passes && step->n_rows > 0; pass++)
        write_pass(c, step, pass);
}

/* What the step does fails later, if it does: its results are waited for when they are read. */
enum status cuda_step_end(struct backend *be, struct diag *why)
{
    return cuda_state(*cuda_of(be), why);
}
