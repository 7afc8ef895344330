/* The SIMT machine: CUDA threads as fibers of an OS thread, one block at a time on each OS thread.
 *
 * Device code (device.cuh and what it includes) calls barrier, warp_collective and the copies; the stand-in runtime
 * calls run_grid. A thread of a kernel is switched out only where it waits, so between two waits it runs alone in its
 * block: what a missing wait leaves undefined is decided by the schedule, and every test runs under all three.
 * A mistake ends the process with one sentence on stderr that begins with "simt:" and names kernel, block and thread.
 */
#ifndef TESTS_SIMT_MACHINE_CUH
#define TESTS_SIMT_MACHINE_CUH

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include <cuda_runtime.h>

namespace simt
{

enum {
    WARP = 32,
    MAX_THREADS = 1024,
    MAX_WARPS = MAX_THREADS / WARP,
    /* The least of the architectures that are built for: sm_86, sm_89 and sm_120 give a block 99 KiB. */
    SHARED_DEFAULT = 48 * 1024,
    SHARED_OPT_IN = 99 * 1024,
};

enum class schedule { forward, reverse, random };
struct settings {
    schedule order = schedule::forward;
    int os_threads = 1;
    uint64_t seed = 0; /* of the random schedule, and of how streams interleave: 0 runs only what a wait needs */
};
settings &config();

struct shape {
    const char *kernel;
    dim3 grid, block;
    size_t shared_bytes;
};
/* Dies where a launch is outside the limits. */
void check_shape(const shape &s, size_t shared_limit);
/* Runs thread() for every thread of the grid. */
void run_grid(const shape &s, const std::function<void()> &thread);

/* ---- what device code sees ---- */

struct pending_copy {
    void *to;
    const void *from;
    int group;
};
struct fiber {
    void *sp;
    uint3 index;
    unsigned lane, warp;
    const char *waits; /* for what, when it is switched out */
    int line;          /* of the barrier it waits at */
    int group;         /* of the copies issued since the last commit */
    std::vector<pending_copy> copies;
};
struct block {
    uint3 index;
    dim3 dim, grid;
    void *shared; /* dynamic shared memory */
    const char *kernel;
};
extern __thread fiber *self; /* NULL outside a kernel */
extern __thread block *here;

/* Waits for all live threads of the block and returns how many of them voted; all must come from the same line. */
int barrier(int line, bool vote);
/* The last lane of `mask` to arrive runs fn over every lane's slot; lanes must agree on mask and fn. */
using collective = void (*)(uint32_t mask, void **slots);
void warp_collective(const char *name, uint32_t mask, void *slot, collective fn);
/* cp.async: put off to the wait that asks for it, so that a missing wait reads what was there before. */
void copy_async(void *to, const void *from);
void copy_commit();
void copy_wait(int groups_left);

/* ---- faults ---- */

[[noreturn]] void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Names out-of-bounds accesses on the calling OS thread, whose handler runs on `stack`. */
void watch_faults(void *stack, size_t bytes);
/* The block's dynamic shared memory or the fibers' stacks at an address, or NULL. */
const char *describe_machine(const void *address);

} // namespace simt

#endif
