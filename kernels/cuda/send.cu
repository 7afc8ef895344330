/* Copies on their way to the host: into pinned memory, an event behind each, so that reading one step waits for no
 * later one. */
#include "kernels/cuda/cuda.cuh"

#include <cstring>

enum status cuda_send_open(cuda &c, struct diag *why)
{
    cudaError_t e = cudaSuccess;
    for (int i = 0; e == cudaSuccess && i < ARRAY_SENDS; i++) {
        void *memory = nullptr;
        e = cudaMallocHost(&memory, ARRAY_SEND_BYTES);
        c.sent.memory[i] = static_cast<char *>(memory);
        if (e == cudaSuccess)
            e = cudaEventCreateWithFlags(&c.sent.arrived[i], cudaEventDisableTiming);
    }
    return e == cudaSuccess
               ? ST_OK
               : diag_set(why, ST_NOMEM, "%s: no pinned memory: %s", c.base.caps.device, cudaGetErrorString(e));
}

void cuda_send_close(cuda &c)
{
    for (int i = 0; i < ARRAY_SENDS; i++) {
        if (c.sent.arrived[i])
            cudaEventDestroy(c.sent.arrived[i]);
        if (c.sent.memory[i])
            cudaFreeHost(c.sent.memory[i]);
    }
}

void cuda_array_send(struct backend *be, const struct array *a, size_t n)
{
    cuda &c = *cuda_of(be);
    int at = c.sent.next;
    c.sent.next = (at + 1) % ARRAY_SENDS;
    c.sent.bytes[at] = n * sizeof(int32_t);
    if (c.failed)
        return;
    cuda_well(c, cudaMemcpyAsync(c.sent.memory[at], reinterpret_cast<const cuda_array *>(a)->data, c.sent.bytes[at],
                                 cudaMemcpyDeviceToHost, c.stream));
    cuda_well(c, cudaEventRecord(c.sent.arrived[at], c.stream));
}

/* backend.c has counted this one off: the oldest stands as many places back as were under way with it. */
enum status cuda_array_receive(struct backend *be, void *values, struct diag *why)
{
    cuda &c = *cuda_of(be);
    int oldest = (c.sent.next + 2 * ARRAY_SENDS - be->sends - 1) % ARRAY_SENDS;
    if (!c.failed && cuda_well(c, cudaEventSynchronize(c.sent.arrived[oldest])))
        memcpy(values, c.sent.memory[oldest], c.sent.bytes[oldest]);
    return cuda_state(c, why);
}
