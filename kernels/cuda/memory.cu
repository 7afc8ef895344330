/* Memory of an instance, on the device and pinned, and the copies between host and device. Each buffer is an allocation
 * of its own, made while a model is loaded: the emulator then guards each one's ends. */
#include "kernels/cuda/cuda.cuh"

#include <cstdlib>
#include <cstring>

struct held_memory {
    held_memory *next;
    void *p;
    size_t bytes;
    bool on_device;
};

static enum status hold(cuda &c, void *p, size_t bytes, bool on_device)
{
    auto *h = static_cast<held_memory *>(malloc(sizeof(held_memory)));
    if (!h)
        return ST_NOMEM;
    *h = {c.held, p, bytes, on_device};
    c.held = h;
    if (on_device)
        c.base.used_bytes += bytes;
    return ST_OK;
}

enum status cuda_alloc(cuda &c, size_t bytes, void **out, struct diag *why)
{
    size_t used = c.base.used_bytes, budget = c.base.caps.memory_bytes;
    if (bytes > budget || used > budget - bytes) {
        c.base.ran_out = true;
        return diag_set(why, ST_NOMEM, "%s: %zu bytes more on top of %zu would pass the memory budget of %zu",
                        c.base.caps.device, bytes, used, budget);
    }
    void *p = nullptr;
    cudaError_t e = cudaMalloc(&p, bytes > 0 ? bytes : 1);
    if (e != cudaSuccess) {
        (void)cudaGetLastError(); /* an allocation that failed leaves the context whole */
        c.base.ran_out |= e == cudaErrorMemoryAllocation;
        return diag_set(why, e == cudaErrorMemoryAllocation ? ST_NOMEM : ST_DEVICE,
                        "%s: %zu bytes more on top of %zu: %s", c.base.caps.device, bytes, used, cudaGetErrorString(e));
    }
    if (hold(c, p, bytes, true) != ST_OK) {
        cudaFree(p);
        return diag_set(why, ST_NOMEM, "%s: no memory on the host", c.base.caps.device);
    }
    *out = p;
    return ST_OK;
}

static void release(cuda &c, held_memory **at)
{
    held_memory *h = *at;
    *at = h->next;
    if (h->on_device) {
        c.base.used_bytes -= h->bytes;
        cudaFree(h->p);
    } else {
        free(h->p);
    }
    free(h);
}

void cuda_free(cuda &c, void *p)
{
    held_memory **at = &c.held;
    while (*at && (*at)->p != p)
        at = &(*at)->next;
    if (p && *at)
        release(c, at);
}

void *cuda_mark(const struct backend *be)
{
    return cuda_of(be)->held;
}

void cuda_forget(struct backend *be, void *mark)
{
    cuda &c = *cuda_of(be);
    while (c.held != mark)
        release(c, &c.held);
    c.cache = {};
    c.kv_rows = c.max_act_rows = 0;
}

void cuda_free_all(cuda &c)
{
    while (c.held)
        release(c, &c.held);
}

enum status cuda_head(cuda &c, size_t bytes, void **out, struct diag *why)
{
    void *p = calloc(1, bytes);
    if (!p || hold(c, p, bytes, false) != ST_OK) {
        free(p);
        return diag_set(why, ST_NOMEM, "%s: no memory on the host", c.base.caps.device);
    }
    *out = p;
    return ST_OK;
}

enum status cuda_reserve(cuda &c, void **p, size_t *have, size_t bytes, struct diag *why)
{
    if (bytes <= *have)
        return ST_OK;
    cuda_free(c, *p);
    *p = nullptr;
    *have = 0;
    enum status s = cuda_alloc(c, bytes, p, why);
    if (s == ST_OK)
        *have = bytes;
    return s;
}

enum status cuda_stage_open(cuda &c, struct diag *why)
{
    staging &st = c.stage;
    void *memory = nullptr, *back = nullptr;
    cudaError_t e = cudaMallocHost(&memory, STAGE_SECTIONS * STAGE_BYTES);
    st.memory = static_cast<char *>(memory);
    if (e == cudaSuccess)
        e = cudaMallocHost(&back, STAGE_BYTES);
    st.back = static_cast<char *>(back);
    for (size_t i = 0; e == cudaSuccess && i < STAGE_SECTIONS; i++)
        e = cudaEventCreateWithFlags(&st.passed[i], cudaEventDisableTiming);
    if (e != cudaSuccess)
        return diag_set(why, ST_NOMEM, "%s: no pinned memory: %s", c.base.caps.device, cudaGetErrorString(e));
    return ST_OK;
}

void cuda_stage_close(cuda &c)
{
    for (size_t i = 0; i < STAGE_SECTIONS; i++)
        if (c.stage.passed[i])
            cudaEventDestroy(c.stage.passed[i]);
    if (c.stage.memory)
        cudaFreeHost(c.stage.memory);
    if (c.stage.back)
        cudaFreeHost(c.stage.back);
}

void *cuda_stage(cuda &c, size_t bytes)
{
    staging &st = c.stage;
    size_t room = (bytes + 15) / 16 * 16;
    if (st.used + room > STAGE_BYTES) {
        if (!cuda_well(c, cudaEventRecord(st.passed[st.section], c.stream)))
            return nullptr;
        st.section = (st.section + 1) % STAGE_SECTIONS;
        st.used = 0;
        if (!cuda_well(c, cudaEventSynchronize(st.passed[st.section])))
            return nullptr;
    }
    char *p = st.memory + st.section * STAGE_BYTES + st.used;
    st.used += room;
    return p;
}

void cuda_write(cuda &c, void *device, const void *host, size_t bytes)
{
    for (size_t at = 0; at < bytes && !c.failed;) {
        size_t n = bytes - at < STAGE_BYTES ? bytes - at : static_cast<size_t>(STAGE_BYTES);
        void *stage = cuda_stage(c, n);
        if (!stage)
            return;
        memcpy(stage, static_cast<const char *>(host) + at, n);
        cuda_well(c, cudaMemcpyAsync(static_cast<char *>(device) + at, stage, n, cudaMemcpyHostToDevice, c.stream));
        at += n;
    }
}

enum status cuda_read(cuda &c, void *host, const void *device, size_t bytes, struct diag *why)
{
    for (size_t at = 0; at < bytes;) {
        size_t n = bytes - at < STAGE_BYTES ? bytes - at : static_cast<size_t>(STAGE_BYTES);
        cuda_well(c, cudaMemcpyAsync(c.stage.back, static_cast<const char *>(device) + at, n, cudaMemcpyDeviceToHost,
                                     c.stream));
        enum status s = cuda_wait(c, why);
        if (s != ST_OK)
            return s;
        memcpy(static_cast<char *>(host) + at, c.stage.back, n);
        at += n;
    }
    return cuda_state(c, why);
}
