/* Mistakes with graphs: what is captured is what the arguments were, and what pinned memory holds when a launch runs.
 */
#include "tests/simt/faults.cuh"

#include <cstdio>
#include <cstring>
#include <vector>

namespace
{

/* Whether y is `factor` times i + 1. */
void expect_times(const float *y, float factor, cudaStream_t s)
{
    std::vector<float> got(FAULT_NUMBERS);
    cudaMemcpyAsync(got.data(), y, got.size() * sizeof(float), cudaMemcpyDeviceToHost, s);
    cudaStreamSynchronize(s);
    for (size_t i = 0; i < got.size(); i++)
        if (!(got[i] == factor * static_cast<float>(i + 1))) {
            fprintf(stderr, "wrong result: number %zu is %g\n", i, static_cast<double>(got[i]));
            return;
        }
}

/* Ends a capture and makes it ready; NULL, said on stderr, where that is refused. */
cudaGraphExec_t ready(cudaStream_t s)
{
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    if (cudaStreamEndCapture(s, &graph) != cudaSuccess || cudaGraphInstantiateWithFlags(&exec, graph, 0) != cudaSuccess)
        fprintf(stderr, "the capture is refused\n");
    if (graph)
        cudaGraphDestroy(graph);
    return exec;
}

void launch(cudaGraphExec_t exec, cudaStream_t s)
{
    if (exec)
        cudaGraphLaunch(exec, s);
}

} // namespace

/* Twice and then three times x: a factor that is passed by value is the one of the capture for ever. */
void graph_argument(float *y, const float *x, cudaStream_t s, bool fault)
{
    float factor = 2, *on_device;
    cudaMalloc(reinterpret_cast<void **>(&on_device), sizeof factor);
    cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal);
    if (fault)
        run_times(y, x, factor, s);
    else
        run_times_of(y, x, on_device, s);
    cudaGraphExec_t exec = ready(s);
    for (; factor < 4; factor++) {
        cudaMemcpy(on_device, &factor, sizeof factor, cudaMemcpyHostToDevice);
        launch(exec, s);
        expect_times(y, factor, s);
    }
}

/* A copy from pinned memory is of what stands there at the launch. */
void graph_host_memory(float *y, const float *x, cudaStream_t s, bool fault)
{
    float *pinned, *on_device, factor = 2;
    cudaMalloc(reinterpret_cast<void **>(&on_device), sizeof factor);
    cudaMallocHost(reinterpret_cast<void **>(&pinned), sizeof factor);
    *pinned = factor;
    cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal);
    cudaMemcpyAsync(on_device, pinned, sizeof factor, cudaMemcpyHostToDevice, s);
    run_times_of(y, x, on_device, s);
    cudaGraphExec_t exec = ready(s);
    if (!fault)
        *pinned = factor;
    launch(exec, s);
    expect_times(y, factor, s);
}

void graph_wait(float *y, const float *x, cudaStream_t s, bool fault)
{
    cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal);
    run_times(y, x, 2, s);
    if (fault)
        cudaStreamSynchronize(s);
    launch(ready(s), s);
    cudaStreamSynchronize(s);
}

void graph_allocation(float *y, const float *x, cudaStream_t s, bool fault)
{
    void *more;
    cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal);
    run_times(y, x, 2, s);
    if (fault)
        cudaMalloc(&more, 16);
    launch(ready(s), s);
    cudaStreamSynchronize(s);
}
