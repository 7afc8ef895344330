/* Steps as graphs: what a step of one size launches is captured once, while the model is loaded, and replayed as a
 * whole. Everything that differs between two steps of a size stands in device memory, so nothing that was captured goes
 * stale. The sizes are those of products (gemm_padded). Graphs take memory that only the device can tell; where one
 * passes the budget, it and larger sizes are launched piece by piece, to the same bits. */
#include "kernels/cuda/cuda.cuh"

#include <cstdio>

void cuda_step_size(const struct backend *, struct step *step, int max_sampled)
{
    int most = gemm_padded(max_sampled);
    step->rows = gemm_padded(step->n_rows);
    step->samples = step->rows < most ? step->rows : most;
}

void cuda_record_spoil(cuda &c, const char *what)
{
    if (!c.recorded.spoilt)
        snprintf(c.base.caps.unrecorded, sizeof c.base.caps.unrecorded, "%s", what);
    c.recorded.spoilt = true;
}

void cuda_record_close(cuda &c)
{
    for (int i = 0; i < c.recorded.n; i++)
        cudaGraphExecDestroy(c.recorded.graphs[i]);
    c.recorded.n = 0;
}

enum status cuda_step_record(struct backend *be, const struct step *step, bool *begun, struct diag *why)
{
    cuda &c = *cuda_of(be);
    *begun = false;
    if (c.failed || c.recorded.closed || c.recorded.n == MAX_RECORDINGS || step->rows > c.kv_rows)
        return cuda_state(c, why);
    enum status s = cuda_wait(c, why);
    if (s != ST_OK)
        return s;
    cudaError_t e = cudaStreamBeginCapture(c.stream, cudaStreamCaptureModeThreadLocal);
    if (e != cudaSuccess) {
        (void)cudaGetLastError();
        cuda_record_spoil(c, cudaGetErrorString(e));
        c.recorded.closed = true;
        return ST_OK;
    }
    c.recorded.under_way = step->rows;
    c.recorded.spoilt = false;
    *begun = true;
    return ST_OK;
}

/* Makes a graph ready to run and counts what it takes. */
static cudaError_t make_ready(cuda &c, cudaGraph_t graph, cudaGraphExec_t *out, size_t *bytes)
{
    size_t before = 0, after = 0, total = 0;
    cudaError_t e = cudaMemGetInfo(&before, &total);
    if (e == cudaSuccess)
        e = cudaGraphInstantiateWithFlags(out, graph, 0);
    if (e == cudaSuccess)
        e = cudaGraphUpload(*out, c.stream);
    if (e == cudaSuccess)
        e = cudaStreamSynchronize(c.stream);
    if (e == cudaSuccess)
        e = cudaMemGetInfo(&after, &total);
    *bytes = before > after ? before - after : 0;
    return e;
}

static void keep(cuda &c, cudaGraph_t graph, int rows)
{
    recordings &r = c.recorded;
    cudaGraphExec_t exec = nullptr;
    size_t bytes = 0, budget = c.base.caps.memory_bytes, used = c.base.used_bytes;
    cudaError_t e = make_ready(c, graph, &exec, &bytes);
    bool fits = used <= budget && bytes <= budget - used;
    if (e != cudaSuccess || !fits) {
        (void)cudaGetLastError(); /* what was launched by hand so far goes on being so */
        cuda_record_spoil(c, e == cudaSuccess || e == cudaErrorMemoryAllocation ? "no memory for more"
                                                                                : cudaGetErrorString(e));
        if (exec)
            cudaGraphExecDestroy(exec);
        return;
    }
    r.rows[r.n] = rows;
    r.graphs[r.n++] = exec;
    c.base.used_bytes += bytes;
    c.base.caps.recordings = r.n;
    c.base.caps.recorded_rows = rows;
    c.base.caps.recorded_bytes += bytes;
}

static void end_recording(cuda &c)
{
    recordings &r = c.recorded;
    cudaGraph_t graph = nullptr;
    cudaError_t e = cudaStreamEndCapture(c.stream, &graph);
    int rows = r.under_way;
    r.under_way = 0;
    if (e != cudaSuccess) {
        (void)cudaGetLastError();
        cuda_record_spoil(c, cudaGetErrorString(e));
    }
    if (!r.spoilt)
        keep(c, graph, rows);
    if (graph)
        cudaGraphDestroy(graph);
    r.closed = r.spoilt;
}

/* What the step does fails later, if it does: its results are waited for when they are read. */
enum status cuda_step_end(struct backend *be, struct diag *why)
{
    cuda &c = *cuda_of(be);
    if (c.recorded.under_way) {
        end_recording(c);
        return cuda_state(c, why);
    }
    if (c.recorded.replayed && !c.failed) {
        cuda_well(c, cudaGraphLaunch(c.recorded.replayed, c.stream));
        c.last = {"a step", 0, 0};
    }
    c.recorded.replayed = nullptr;
    return cuda_state(c, why);
}
