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
    void *pages, *device[4], *host[2];
    enum status s = cuda_alloc(c, page_bytes, &pages, why);
    if (s == ST_OK)
        s = cuda_alloc(c, spans, &device[0], why);
    if (s == ST_OK)
        s = cuda_alloc(c, maps, &device[1], why);
    if (s == ST_OK)
        s = cuda_alloc(c, rows * heads * 2 * sizeof(float), &device[2], why);
    if (s == ST_OK)
        s = cuda_alloc(c, sizeof(step_counts), &device[3], why);
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
    c.counts = static_cast<step_counts *>(device[3]);
    c.host_spans = static_cast<span *>(host[0]);
    c.host_row_span = static_cast<int32_t *>(host[1]);
    return cuda_state(c, why);
}

bool cuda_step_begin(struct backend *be, const struct step *step, bool replay)
{
    cuda &c = *cuda_of(be);
    step_counts counts;
    if (step->rows > c.kv_rows) {
        cuda_fail(c, "a step of more rows than there are");
        return true;
    }
    cuda_attention_plan(*step, step->rows, c.host_spans, c.host_row_span, &counts);
    cuda_write(c, c.counts, &counts, sizeof counts);
    cuda_write(c, c.spans, c.host_spans, static_cast<size_t>(counts.first[MAX_SEGMENTS]) * sizeof(span));
    cuda_write(c, c.row_span, c.host_row_span, static_cast<size_t>(MAX_SEGMENTS * step->rows) * sizeof(int32_t));
    c.recorded.replayed = nullptr;
    for (int i = 0; replay && i < c.recorded.n; i++)
        if (c.recorded.rows[i] == step->rows)
            c.recorded.replayed = c.recorded.graphs[i];
    return !c.recorded.replayed;
}
