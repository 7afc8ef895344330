/* The cache, and the description of a step that attention reads. */
#include "kernels/cuda/cuda.cuh"

size_t cuda_kv_page_bytes(const struct backend *be, const struct kv_shape *s)
{
    return size_t{2} * KV_PAGE * static_cast<size_t>(s->head_dim) * static_cast<size_t>(s->heads) *
           static_cast<size_t>(s->layers) * be->caps.kv_element_bytes;
}

enum status cuda_kv(struct backend *be, const struct kv_shape *shape, struct diag *why)
{
    cuda &c = *cuda_of(be);
    c.kv_rows = c.max_act_rows;
    size_t rows = static_cast<size_t>(c.kv_rows), heads = static_cast<size_t>(shape->heads);
    size_t spans = MAX_SEGMENTS * rows * sizeof(span), maps = MAX_SEGMENTS * rows * sizeof(int32_t);
    size_t page_bytes = cuda_kv_page_bytes(be, shape) * static_cast<size_t>(shape->n_pages);
    void *pages, *device[3], *host[2];
    enum status s = cuda_alloc(c, page_bytes, &pages, why);
    if (s == ST_OK)
        s = cuda_alloc(c, spans, &device[0], why);
    if (s == ST_OK)
        s = cuda_alloc(c, maps, &device[1], why);
    if (s == ST_OK)
        s = cuda_alloc(c, rows * heads * 2 * sizeof(float), &device[2], why);
    if (s == ST_OK)
        s = cuda_head(c, spans, &host[0], why);
    if (s == ST_OK)
        s = cuda_head(c, maps, &host[1], why);
    if (s != ST_OK)
        return s;
    c.cache = {pages, shape->layers, shape->heads, shape->head_dim};
    c.spans = static_cast<span *>(device[0]);
    c.row_span = static_cast<int32_t *>(device[1]);
    c.attention_state = static_cast<float *>(device[2]);
    c.host_spans = static_cast<span *>(host[0]);
    c.host_row_span = static_cast<int32_t *>(host[1]);
    return cuda_state(c, why);
}

void cuda_step_begin(struct backend *be, const struct step *step)
{
    cuda &c = *cuda_of(be);
    if (step->n_rows > c.kv_rows) {
        cuda_fail(c, "a step of more rows than there are");
        return;
    }
    cuda_attention_plan(*step, c.host_spans, c.host_row_span, &c.attention);
    int n_passes = c.attention.n_passes;
    cuda_write(c, c.spans, c.host_spans, static_cast<size_t>(c.attention.first[n_passes]) * sizeof(span));
    cuda_write(c, c.row_span, c.host_row_span, static_cast<size_t>(n_passes * step->n_rows) * sizeof(int32_t));
}

/* What the step does fails later, if it does: its results are waited for when they are read. */
enum status cuda_step_end(struct backend *be, struct diag *why)
{
    return cuda_state(*cuda_of(be), why);
}
