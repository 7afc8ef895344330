/* Streams as lazy queues: work runs only when the host waits for something, and then no more than that needs plus what
 * a seed adds from other streams. So a program that forgets a wait reads poison here, where a real device would mostly
 * have been quick enough. */
#ifndef TESTS_SIMT_STREAM_CUH
#define TESTS_SIMT_STREAM_CUH

#include "tests/simt/machine.cuh"

namespace simt
{

/* Appends work; `run` must own what it reads, but for host memory that CUDA would read later as well. Dies for the
 * default stream, which waits for all others and hides what is missing. */
void stream_push(cudaStream_t stream, const char *what, std::function<void()> run);

cudaStream_t stream_new();
bool stream_end(cudaStream_t s); /* runs what it holds; false where it is none of ours */
void stream_drain(cudaStream_t s);
void stream_drain_all();
/* Gives another stream's work a chance, so that a program that polls gets on; true when s has nothing left. */
bool stream_poll(cudaStream_t s);

cudaEvent_t event_new();
void event_free(cudaEvent_t e);
void event_record(cudaEvent_t e, cudaStream_t s);
/* s goes on behind the record that was the last one at this call. */
void event_wait(cudaEvent_t e, cudaStream_t s);
void event_drain(cudaEvent_t e);
bool event_poll(cudaEvent_t e);

/* Capture: what is pushed to s is kept as a graph instead of queued. A call that a capture forbids spoils all that are
 * under way, on any stream, and capture_end then gives no graph. */
struct graph;
bool capture_begin(cudaStream_t s); /* false: it is capturing already */
graph *capture_end(cudaStream_t s); /* NULL: spoilt, or nothing was begun */
bool capturing(cudaStream_t s);
bool capture_forbids(); /* true where something is being captured, which is thereby spoilt */
/* Work that is done at each launch of a captured item, in front of its queueing. */
void stream_push_captured(cudaStream_t s, const char *what, std::function<void()> at_launch, std::function<void()> run);
size_t graph_size(const graph *g);
graph *graph_copy(const graph *g);
void graph_free(graph *g);
void graph_launch(const graph *g, cudaStream_t s);
bool work_is_queued();

/* Whether a kernel may be launched with this much dynamic shared memory: cudaFuncSetAttribute says so. */
void allow_shared(const void *kernel, size_t bytes);
size_t allowed_shared(const void *kernel);
bool plain_device_pointer(const void *p); /* NULL or in device memory */

} // namespace simt

#endif
