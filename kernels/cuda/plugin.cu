/* Opening and closing an instance, and what went wrong in one: the plugin's one symbol is at the end. */
#include "kernels/cuda/cuda.cuh"

#include <cstdio>
#include <cstdlib>
#include <cstring>

/* ---- failures ---------------------------------------------------------------------------------------------------- */

void cuda_fail(cuda &c, const char *what)
{
    if (c.recorded.under_way) { /* nothing has run: it is the recording that fails */
        cuda_record_spoil(c, what);
        return;
    }
    if (c.failed)
        return;
    c.failed = true;
    if (c.last.name)
        diag_set(&c.failure, ST_DEVICE, "%s: %s, at or before %s [%d x %d]", c.base.caps.device, what, c.last.name,
                 c.last.rows, c.last.cols);
    else
        diag_set(&c.failure, ST_DEVICE, "%s: %s", c.base.caps.device, what);
}

bool cuda_well(cuda &c, cudaError_t e)
{
    if (e != cudaSuccess)
        cuda_fail(c, cudaGetErrorString(e));
    return e == cudaSuccess;
}

void cuda_launched(cuda &c, const char *operation, int rows, int cols)
{
    c.last = {operation, rows, cols};
    cuda_well(c, cudaGetLastError());
}

enum status cuda_state(const cuda &c, struct diag *why)
{
    return c.failed ? diag_set(why, ST_DEVICE, "%s", c.failure.text) : ST_OK;
}

enum status cuda_wait(cuda &c, struct diag *why)
{
    if (!c.failed)
        cuda_well(c, cudaStreamSynchronize(c.stream));
    return cuda_state(c, why);
}

/* ---- devices ----------------------------------------------------------------------------------------------------- */

/* Compute capabilities, as 10 x major + minor. */
enum { LEAST_CAPABILITY = 80, FP8_CAPABILITY = 89 };

/* "cuda:1" and "cuda": the number behind the colon, or 0. */
static int device_number(const char *device)
{
    const char *colon = strchr(device, ':');
    return colon ? static_cast<int>(strtol(colon + 1, nullptr, 10)) : 0;
}

static enum status take_device(const char *device, struct diag *why)
{
    int n = 0, number = device_number(device);
    cudaError_t e = cudaGetDeviceCount(&n);
    if (e != cudaSuccess)
        return diag_set(why, ST_MISSING, "device '%s': %s", device, cudaGetErrorString(e));
    if (number < 0 || number >= n)
        return diag_set(why, ST_MISSING, "device '%s': this machine has %d CUDA device%s", device, n,
                        n == 1 ? "" : "s");
    e = cudaSetDevice(number);
    if (e != cudaSuccess)
        return diag_set(why, ST_MISSING, "device '%s': %s", device, cudaGetErrorString(e));
    return ST_OK;
}

static enum status device_memory(const char *device, size_t *bytes, struct diag *why)
{
    size_t left = 0, total = 0;
    enum status s = take_device(device, why);
    if (s != ST_OK)
        return s;
    cudaError_t e = cudaMemGetInfo(&left, &total);
    if (e != cudaSuccess)
        return diag_set(why, ST_MISSING, "device '%s': %s", device, cudaGetErrorString(e));
    *bytes = total;
    return ST_OK;
}

static enum status check_device(cuda &c, const struct backend_options *o, struct diag *why)
{
    int major = 0, minor = 0;
    cudaDeviceProp p = {};
    cudaError_t e = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, c.device);
    if (e == cudaSuccess)
        e = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, c.device);
    if (e == cudaSuccess)
        e = cudaGetDeviceProperties(&p, c.device);
    if (e != cudaSuccess)
        return diag_set(why, ST_MISSING, "device '%s': %s", o->device, cudaGetErrorString(e));
    snprintf(c.base.caps.device, sizeof c.base.caps.device, "%s %.48s", o->device, p.name);
    int capability = 10 * major + minor, least = o->dtype == DTYPE_FP8 ? FP8_CAPABILITY : LEAST_CAPABILITY;
    if (capability < least)
        return diag_set(why, ST_UNSUPPORTED, "%s: compute capability %d.%d; dtype %s needs %d.%d", c.base.caps.device,
                        major, minor, dtype_name(o->dtype), least / 10, least % 10);
    return ST_OK;
}

static enum status check_memory(const cuda &c, const struct backend_options *o, struct diag *why)
{
    size_t left = 0, total = 0, mib = size_t{1} << 20;
    cudaError_t e = cudaMemGetInfo(&left, &total);
    if (e != cudaSuccess)
        return diag_set(why, ST_DEVICE, "%s: %s", c.base.caps.device, cudaGetErrorString(e));
    if (o->memory_bytes > left)
        return diag_set(why, ST_NOMEM, "%s: %zu MiB of %zu MiB are free, the budget asks for %zu MiB (--memory)",
                        c.base.caps.device, left / mib, total / mib, o->memory_bytes / mib);
    return ST_OK;
}

/* ---- what a bench asks ------------------------------------------------------------------------------------------- */

static enum status device_facts_of(const char *device, struct device_facts *out, struct diag *why)
{
    size_t left = 0, total = 0;
    int major = 0, minor = 0, number = device_number(device);
    cudaDeviceProp p = {};
    struct device_facts f = {};
    enum status s = take_device(device, why);
    if (s != ST_OK)
        return s;
    const struct {
        cudaDeviceAttr attribute;
        int *value;
    } facts[] = {{cudaDevAttrComputeCapabilityMajor, &major},       {cudaDevAttrComputeCapabilityMinor, &minor},
                 {cudaDevAttrMultiProcessorCount, &f.processors},   {cudaDevAttrClockRate, &f.clock_khz},
                 {cudaDevAttrMemoryClockRate, &f.memory_clock_khz}, {cudaDevAttrGlobalMemoryBusWidth, &f.bus_bits}};
    cudaError_t e = cudaGetDeviceProperties(&p, number);
    for (size_t i = 0; e == cudaSuccess && i < sizeof facts / sizeof *facts; i++)
        e = cudaDeviceGetAttribute(facts[i].value, facts[i].attribute, number);
    if (e == cudaSuccess)
        e = cudaMemGetInfo(&left, &total);
    if (e != cudaSuccess)
        return diag_set(why, ST_DEVICE, "device '%s': %s", device, cudaGetErrorString(e));
    snprintf(f.name, sizeof f.name, "%.60s", p.name);
    f.capability = 10 * major + minor;
    f.free_bytes = left;
    *out = f;
    return ST_OK;
}

static int products_of(const struct backend *be, struct product_plan *out, int room)
{
    return gemm_list(*cuda_of(be), out, room);
}

static bool is_idle(const struct backend *be)
{
    return cudaStreamQuery(cuda_of(be)->stream) == cudaSuccess;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void close_instance(cuda *c)
{
    if (c->stream)
        cudaStreamSynchronize(c->stream); /* failed or not, all is freed */
    cuda_record_close(*c);
    gemm_close(*c);
    cuda_send_close(*c);
    cuda_stage_close(*c);
    cuda_free_all(*c);
    if (c->stream)
        cudaStreamDestroy(c->stream);
    free(c);
}

void cuda_close(struct backend *be)
{
    close_instance(cuda_of(be));
}

enum status cuda_sync(struct backend *be, struct diag *why)
{
    return cuda_wait(*cuda_of(be), why);
}

static enum status open_parts(cuda &c, struct diag *why)
{
    cudaError_t e = cudaStreamCreateWithFlags(&c.stream, cudaStreamNonBlocking);
    if (e == cudaSuccess)
        e = cuda_region_prepare();
    if (e == cudaSuccess)
        e = cuda_attention_prepare();
    if (e != cudaSuccess)
        return diag_set(why, ST_DEVICE, "%s: %s", c.base.caps.device, cudaGetErrorString(e));
    enum status s = cuda_stage_open(c, why);
    if (s == ST_OK)
        s = cuda_send_open(c, why);
    if (s == ST_OK)
        s = cuda_alloc(c, STAGE_BYTES, &c.upload, why);
    return s == ST_OK ? gemm_open(c, why) : s;
}

static enum status open_instance(const struct backend_options *o, struct backend **out, struct diag *why)
{
    enum status s = take_device(o->device, why);
    if (s != ST_OK)
        return s;
    auto *c = static_cast<cuda *>(calloc(1, sizeof(cuda)));
    if (!c)
        return diag_set(why, ST_NOMEM, "device '%s': no memory on the host", o->device);
    c->device = device_number(o->device);
    c->fast = o->fast;
    c->base.ops = &cuda_operations;
    c->base.dtype = o->dtype;
    c->base.caps.invariant = !o->fast;
    c->base.caps.async = true;
    c->base.caps.memory_bytes = o->memory_bytes;
    c->base.caps.kv_element_bytes = type_bytes(kept_type(o->dtype));
    s = check_device(*c, o, why);
    if (s == ST_OK)
        s = check_memory(*c, o, why);
    if (s == ST_OK)
        s = open_parts(*c, why);
    if (s != ST_OK) {
        close_instance(c);
        return s;
    }
    *out = &c->base;
    return ST_OK;
}

extern "C" {
__attribute__((visibility("default"))) extern const struct backend_plugin ferret_backend_plugin = {
    sizeof(struct backend_plugin),
    sizeof(struct backend_ops),
    sizeof(struct backend_options),
    device_memory,
    open_instance,
    device_facts_of,
    products_of,
    is_idle};
}
