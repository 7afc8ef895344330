/* The part of the CUDA runtime that a backend uses, over stream.cc and memory.cc. What is not here does not link. */
#include "tests/simt/counts.h"
#include "tests/simt/memory.cuh"
#include "tests/simt/stream.cuh"

#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

extern "C" {
struct simt_counts simt_counts;
}

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

/* Pinned memory: copies that are captured want it, and find what stands there when they run. */
std::map<const char *, size_t> pinned;

const char *pinned_base(const void *p, size_t n)
{
    auto *at = static_cast<const char *>(p);
    auto found = pinned.upper_bound(at);
    if (found == pinned.begin())
        return nullptr;
    --found;
    return at + n <= found->first + found->second ? found->first : nullptr;
}

/* Host ends of the copies of a capture that is under way: what is there meanwhile must not matter to any launch. */
std::map<char *, size_t> captured_ends;

cudaError_t forbidden(bool counts_as_wait = true)
{
    if (simt::capture_forbids())
        return result(cudaErrorStreamCaptureUnsupported);
    simt_counts.waits += counts_as_wait;
    return cudaSuccess;
}

cudaError_t waited()
{
    simt_counts.waits_ahead += simt::work_is_queued();
    return cudaSuccess;
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
    case cudaDevAttrClockRate: *value = 1000000; return cudaSuccess;
    case cudaDevAttrMemoryClockRate: *value = 1000000; return cudaSuccess;
    case cudaDevAttrGlobalMemoryBusWidth: *value = 256; return cudaSuccess;
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
    if (forbidden(false) != cudaSuccess)
        return last_error;
    simt_counts.allocations++;
    if (simt_counts.refuse > 0 && --simt_counts.refuse == 0)
        return result(cudaErrorMemoryAllocation);
    void *got = simt::device_alloc(bytes);
    if (!got)
        return result(cudaErrorMemoryAllocation);
    *p = got;
    return cudaSuccess;
}

/* Waits for all work, as the real one does. */
cudaError_t cudaFree(void *p)
{
    if (forbidden(false) != cudaSuccess)
        return last_error;
    simt::stream_drain_all();
    return result(!p || simt::device_free(p) ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaMallocHost(void **p, size_t bytes)
{
    if (forbidden(false) != cudaSuccess)
        return last_error;
    simt_counts.allocations++;
    *p = malloc(bytes ? bytes : 1);
    if (!*p)
        return result(cudaErrorMemoryAllocation);
    pinned[static_cast<char *>(*p)] = bytes;
    memset(*p, 0xFF, bytes);
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *p)
{
    if (forbidden(false) != cudaSuccess)
        return last_error;
    simt::stream_drain_all();
    pinned.erase(static_cast<char *>(p));
    free(p);
    return cudaSuccess;
}

/* A copy that is captured: its host end is looked at when it runs, and poisoned when the capture ends. */
static cudaError_t capture_copy(void *to, const void *from, size_t n, cudaMemcpyKind kind, cudaStream_t stream)
{
    bool reads_host = !from_device(kind), writes_host = !to_device(kind);
    const void *host = reads_host ? from : to;
    if ((reads_host || writes_host) && !pinned_base(host, n)) {
        simt::capture_forbids();
        return result(cudaErrorStreamCaptureUnsupported);
    }
    if (reads_host || writes_host)
        captured_ends[static_cast<char *>(const_cast<void *>(host))] = n;
    simt::stream_push_captured(
        stream, "a captured copy",
        [=] {
            if (writes_host)
                memset(to, 0xFF, n);
            simt_counts.copies_back += writes_host;
        },
        [=] { memmove(to, from, n); });
    return cudaSuccess;
}

/* A host destination is poisoned at once: until the copy has run its contents are anybody's guess. */
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, cudaMemcpyKind kind, cudaStream_t stream)
{
    if (n == 0)
        return cudaSuccess;
    if (!copy_fits(to, from, n, kind))
        return result(cudaErrorInvalidValue);
    if (simt::capturing(stream))
        return capture_copy(to, from, n, kind, stream);
    simt_counts.copies_back += !to_device(kind);
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
    if (forbidden() != cudaSuccess)
        return last_error;
    simt_counts.copies_back += !to_device(kind);
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
    if (forbidden() != cudaSuccess)
        return last_error;
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
    if (forbidden() != cudaSuccess)
        return last_error;
    simt::stream_drain(s);
    return waited();
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
    if (forbidden() != cudaSuccess)
        return last_error;
    simt::stream_drain_all();
    return waited();
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
    if (forbidden() != cudaSuccess)
        return last_error;
    simt::event_drain(e);
    return waited();
}

cudaError_t cudaEventQuery(cudaEvent_t e)
{
    return simt::event_poll(e) ? cudaSuccess : cudaErrorNotReady;
}

/* ---- graphs: what a launch needs of them is in stream.cc ---- */

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode)
{
    return simt::capture_begin(s) ? cudaSuccess : result(cudaErrorIllegalState);
}

/* What the host has put where captured copies read is gone by now: a launch takes what stands there then. */
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *out)
{
    for (auto &[p, n] : captured_ends)
        memset(p, 0xFF, n);
    captured_ends.clear();
    *out = reinterpret_cast<cudaGraph_t>(simt::capture_end(s));
    return *out ? cudaSuccess : result(cudaErrorStreamCaptureInvalidated);
}

/* A real graph takes device memory as well; some bytes a node. */
struct ready_graph {
    simt::graph *graph;
    void *memory;
};

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *out, cudaGraph_t g, unsigned long long)
{
    enum { NODE_BYTES = 2048 };
    if (forbidden(false) != cudaSuccess)
        return last_error;
    auto *from = reinterpret_cast<simt::graph *>(g);
    void *memory = simt::device_alloc(simt::graph_size(from) * NODE_BYTES + 1);
    if (!memory)
        return result(cudaErrorMemoryAllocation);
    simt_counts.allocations++;
    *out = reinterpret_cast<cudaGraphExec_t>(new ready_graph{simt::graph_copy(from), memory});
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
    simt::graph_free(reinterpret_cast<simt::graph *>(g));
    return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t)
{
    return forbidden(false);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s)
{
    if (forbidden(false) != cudaSuccess)
        return last_error;
    simt_counts.graph_launches++;
    simt::graph_launch(reinterpret_cast<ready_graph *>(e)->graph, s);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e)
{
    auto *r = reinterpret_cast<ready_graph *>(e);
    simt::device_free(r->memory);
    simt::graph_free(r->graph);
    delete r;
    return cudaSuccess;
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
