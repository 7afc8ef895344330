/* The part of the CUDA runtime that a backend uses, over stream.cc and memory.cc. What is not here does not link. */
#include "tests/simt/memory.cuh"
#include "tests/simt/stream.cuh"

#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <map>

namespace
{

cudaError_t last_error = cudaSuccess;

cudaError_t result(cudaError_t e)
{
    if (e != cudaSuccess)
        last_error = e;
    return e;
}

bool to_device(cudaMemcpyKind kind)
{
    return kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
}

bool from_device(cudaMemcpyKind kind)
{
    return kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
}

/* Host memory that copies under way still read: it may be the destination of a later one. */
std::multimap<const char *, size_t> sources;

void forget_source(const void *from)
{
    sources.erase(sources.find(static_cast<const char *>(from)));
}

bool is_source(const void *to, size_t n)
{
    auto *at = static_cast<const char *>(to);
    for (const auto &[from, bytes] : sources)
        if (from < at + n && at < from + bytes)
            return true;
    return false;
}

/* Device ends lie in one allocation, host ends in none. */
bool copy_fits(const void *to, const void *from, size_t n, cudaMemcpyKind kind)
{
    if (kind == cudaMemcpyDefault || kind == cudaMemcpyHostToHost)
        return false;
    return simt::device_owns(to, n) == to_device(kind) && simt::device_owns(from, n) == from_device(kind);
}

} // namespace

extern "C" {

/* One a schedule: a program chooses its order of threads and streams by the device's number. */
cudaError_t cudaGetDeviceCount(int *n)
{
    *n = 3;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    if (device < 0 || device > 2)
        return result(cudaErrorInvalidDevice);
    simt::config().order = static_cast<simt::schedule>(device);
    simt::config().seed = static_cast<uint64_t>(device);
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int)
{
    switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor: *value = 8; return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor: *value = 9; return cudaSuccess;
    case cudaDevAttrMultiProcessorCount: *value = 4; return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = simt::SHARED_OPT_IN; return cudaSuccess;
    default: return result(cudaErrorInvalidValue);
    }
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int)
{
    *p = {};
    memcpy(p->name, "emulated", sizeof "emulated");
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t e = last_error;
    last_error = cudaSuccess;
    return e;
}

cudaError_t cudaPeekAtLastError(void)
{
    return last_error;
}

const char *cudaGetErrorString(cudaError_t e)
{
    return e == cudaSuccess                 ? "no error"
           : e == cudaErrorMemoryAllocation ? "out of memory"
                                            : "an error of the emulation";
}

cudaError_t cudaMemGetInfo(size_t *left, size_t *total)
{
    *total = simt::device_limit();
    *left = *total - simt::device_used();
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    void *got = simt::device_alloc(bytes);
    if (!got)
        return result(cudaErrorMemoryAllocation);
    *p = got;
    return cudaSuccess;
}

/* Waits for all work, as the real one does. */
cudaError_t cudaFree(void *p)
{
    simt::stream_drain_all();
    return result(!p || simt::device_free(p) ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaMallocHost(void **p, size_t bytes)
{
    *p = malloc(bytes ? bytes : 1);
    if (!*p)
        return result(cudaErrorMemoryAllocation);
    memset(*p, 0xFF, bytes);
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *p)
{
    simt::stream_drain_all();
    free(p);
    return cudaSuccess;
}

/* A host destination is poisoned at once: until the copy has run its contents are anybody's guess. */
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, cudaMemcpyKind kind, cudaStream_t stream)
{
    if (n == 0)
        return cudaSuccess;
    if (!copy_fits(to, from, n, kind))
        return result(cudaErrorInvalidValue);
    if (!to_device(kind) && !is_source(to, n))
        memset(to, 0xFF, n);
    bool reads_host = !from_device(kind);
    if (reads_host)
        sources.emplace(static_cast<const char *>(from), n);
    simt::stream_push(stream, "a copy", [=] {
        memmove(to, from, n);
        if (reads_host)
            forget_source(from);
    });
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t n, cudaMemcpyKind kind)
{
    if (n == 0)
        return cudaSuccess;
    if (!copy_fits(to, from, n, kind))
        return result(cudaErrorInvalidValue);
    simt::stream_drain_all();
    simt::device_open();
    memmove(to, from, n);
    simt::device_close();
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t n, cudaStream_t stream)
{
    if (n && !simt::device_owns(to, n))
        return result(cudaErrorInvalidValue);
    simt::stream_push(stream, "a fill", [=] { memset(to, value, n); });
    return cudaSuccess;
}

cudaError_t cudaMemset(void *to, int value, size_t n)
{
    if (n && !simt::device_owns(to, n))
        return result(cudaErrorInvalidValue);
    simt::stream_drain_all();
    simt::device_open();
    memset(to, value, n);
    simt::device_close();
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *s)
{
    *s = simt::stream_new();
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    return cudaStreamCreate(s);
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    simt::stream_end(s);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    simt::stream_drain(s);
    return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t s)
{
    return simt::stream_poll(s) ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned)
{
    simt::event_wait(e, s);
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    simt::stream_drain_all();
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *e)
{
    *e = simt::event_new();
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned)
{
    return cudaEventCreate(e);
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    simt::event_free(e);
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    simt::event_record(e, s);
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    simt::event_drain(e);
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t e)
{
    return simt::event_poll(e) ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute, int value)
{
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize)
        return cudaSuccess;
    if (value < 0 || value > simt::SHARED_OPT_IN)
        return result(cudaErrorInvalidValue);
    simt::allow_shared(kernel, static_cast<size_t>(value));
    return cudaSuccess;
}

} // extern "C"
