/* Each mistake that the machine claims to find, made once. A fault runs in a child process under every schedule, and
 * at least one of them must give the diagnosis; without its mistake the same code is right under all. */
#include "tests/simt/faults.cuh"
#include "tests/simt/stream.cuh"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace
{

enum : size_t { N = FAULT_NUMBERS, BYTES = N * sizeof(float) };

/* What a case works with: x holds i + 1, y is as fresh as it comes. */
struct bench {
    cudaStream_t s, other;
    float *x, *y;
    std::vector<float> host;

    bench() : host(N)
    {
        for (size_t i = 0; i < N; i++)
            host[i] = static_cast<float>(i + 1);
        cudaStreamCreate(&s);
        cudaStreamCreate(&other);
        cudaMalloc(reinterpret_cast<void **>(&x), BYTES);
        cudaMalloc(reinterpret_cast<void **>(&y), BYTES);
        cudaMemcpy(x, host.data(), BYTES, cudaMemcpyHostToDevice);
    }
    void fetch(const float *from, cudaStream_t stream)
    {
        cudaMemcpyAsync(host.data(), from, BYTES, cudaMemcpyDeviceToHost, stream);
        cudaStreamSynchronize(stream);
    }
    /* Whether y, brought to the host, is factor times x. */
    void expect(const float *got, float factor)
    {
        for (size_t i = 0; i < N; i++)
            if (!(got[i] == factor * static_cast<float>(i + 1))) {
                fprintf(stderr, "wrong result: number %zu is %g\n", i, static_cast<double>(got[i]));
                return;
            }
    }
    void expect_reversed()
    {
        fetch(y, s);
        std::vector<float> back(N);
        for (size_t i = 0; i < N; i++)
            back[i] = host[i / FAULT_THREADS * FAULT_THREADS + FAULT_THREADS - 1 - i % FAULT_THREADS];
        expect(back.data(), 1);
    }
};

void barrier(bench &b, bool fault)
{
    run_reverse(b.y, b.x, !fault, b.s);
    b.expect_reversed();
}

void static_barrier(bench &b, bool fault)
{
    run_reverse_static(b.y, b.x, !fault, b.s);
    b.expect_reversed();
}

void copy_wait(bench &b, bool fault)
{
    run_fetch(b.y, b.x, !fault, b.s);
    b.fetch(b.y, b.s);
    b.expect(b.host.data(), 1);
}

/* Far behind the end is another page, one number behind it is not: margins are looked at when a kernel has ended. */
void out_of_bounds_far(bench &b, bool fault)
{
    run_shift(b.y, b.x, fault ? 2000 : 0, b.s);
    b.fetch(b.y, b.s);
}

void out_of_bounds_front(bench &b, bool fault)
{
    run_shift(b.y, b.x, fault ? -1 : 0, b.s);
    b.fetch(b.y, b.s);
}

void out_of_bounds_read(bench &b, bool fault)
{
    run_shift(b.y, b.x + (fault ? 4 : 0), 0, b.s);
    b.fetch(b.y, b.s);
}

void out_of_bounds_margin(bench &b, bool fault)
{
    float *odd;
    cudaMalloc(reinterpret_cast<void **>(&odd), BYTES - (fault ? 4 : 0));
    run_shift(odd, b.x, 0, b.s);
    cudaStreamSynchronize(b.s);
}

void out_of_bounds_shared(bench &b, bool fault)
{
    run_fill_shared(b.y, 400, fault ? 100 : 99, b.s);
    b.fetch(b.y, b.s);
}

template <int HOW> void divergence(bench &b, bool fault)
{
    run_diverge(b.y, fault ? HOW : static_cast<int>(DIVERGE_NONE), b.s);
    b.fetch(b.y, b.s);
}

void event_wait(bench &b, bool fault)
{
    cudaEvent_t ready;
    cudaEventCreate(&ready);
    run_scale(b.x, b.s);
    cudaEventRecord(ready, b.s);
    if (!fault)
        cudaStreamWaitEvent(b.other, ready, 0);
    run_shift(b.y, b.x, 0, b.other);
    b.fetch(b.y, b.other);
    b.expect(b.host.data(), 2);
}

void pinned_reuse(bench &b, bool fault)
{
    float *pinned;
    cudaMallocHost(reinterpret_cast<void **>(&pinned), BYTES);
    memcpy(pinned, b.host.data(), BYTES);
    cudaMemcpyAsync(b.y, pinned, BYTES, cudaMemcpyHostToDevice, b.s);
    if (!fault)
        cudaStreamSynchronize(b.s);
    memset(pinned, 0, BYTES);
    b.fetch(b.y, b.s);
    b.expect(b.host.data(), 1);
    cudaFreeHost(pinned);
}

void early_read(bench &b, bool fault)
{
    cudaMemcpyAsync(b.host.data(), b.x, BYTES, cudaMemcpyDeviceToHost, b.s);
    if (!fault)
        cudaStreamSynchronize(b.s);
    b.expect(b.host.data(), 1);
    cudaStreamSynchronize(b.s);
}

void host_access(bench &b, bool fault)
{
    const float *from = fault ? b.x : b.host.data();
    b.expect(from, 1);
}

void host_argument(bench &b, bool fault)
{
    run_shift(b.y, fault ? b.host.data() : b.x, 0, b.s);
    b.fetch(b.y, b.s);
}

void use_after_free(bench &b, bool fault)
{
    float *gone;
    cudaMalloc(reinterpret_cast<void **>(&gone), BYTES);
    float **where = fault ? &gone : &b.x;
    run_shift(b.y, *where, 0, b.s);
    b.fetch(b.y, b.s);
    cudaFree(gone);
    run_shift(b.y, *where, 0, b.s);
    b.fetch(b.y, b.s);
}

void default_stream(bench &b, bool fault)
{
    run_shift(b.y, b.x, 0, fault ? nullptr : b.s);
    cudaStreamSynchronize(b.s);
}

template <void RUN(float *y, const float *x, cudaStream_t s, bool fault)> void graph(bench &b, bool fault)
{
    RUN(b.y, b.x, b.s, fault);
}

template <void RUN(bool fault)> void library(bench &, bool fault)
{
    RUN(fault);
}

template <int BLOCKS, int THREADS, int SHARED> void limits(bench &b, bool fault)
{
    if (fault)
        run_shape(b.x, BLOCKS, THREADS, SHARED, b.s);
    cudaStreamSynchronize(b.s);
}

const struct {
    const char *name, *diagnosis;
    void (*run)(bench &b, bool fault);
} CASES[] = {
    {"missing barrier", "wrong result", barrier},
    {"missing barrier, static shared memory", "wrong result", static_barrier},
    {"missing cp.async wait", "wrong result", copy_wait},
    {"write far out of bounds", "out of bounds: byte 8", out_of_bounds_far},
    {"write in front of an allocation", "out of bounds", out_of_bounds_front},
    {"read out of bounds", "out of bounds: byte 1024 of an allocation of 1024", out_of_bounds_read},
    {"write one number out of bounds", "out of bounds", out_of_bounds_margin},
    {"shared memory out of bounds", "out of bounds of dynamic shared memory; fill_shared block", out_of_bounds_shared},
    {"divergent barrier", "divergent barrier", divergence<DIVERGE_BARRIER>},
    {"divergent shuffle", "deadlock", divergence<DIVERGE_SHUFFLE>},
    {"different masks", "disagree on mask", divergence<DIVERGE_MASK>},
    {"lane outside its mask", "not in its mask", divergence<DIVERGE_OUTSIDE>},
    {"barrier against shuffle", "deadlock", divergence<DIVERGE_MIXED>},
    {"missing event wait", "wrong result", event_wait},
    {"reused pinned buffer", "wrong result", pinned_reuse},
    {"host reads before a wait", "wrong result", early_read},
    {"host touches device memory", "the host touches device memory", host_access},
    {"host pointer as an argument", "not device memory", host_argument},
    {"use after free", "not device memory", use_after_free},
    {"default stream", "default stream", default_stream},
    {"stale graph argument", "wrong result", graph<graph_argument>},
    {"host memory that a graph reads", "wrong result", graph<graph_host_memory>},
    {"wait inside a capture", "the capture is refused", graph<graph_wait>},
    {"allocation inside a capture", "the capture is refused", graph<graph_allocation>},
    {"illegal cuBLASLt combination", "not supported", library<library_combination>},
    {"plan that takes an uneven algorithm", "depend on how many", library<library_plan>},
    {"plan that takes split-K", "other bits", library<library_split>},
    {"launch of no block", "launch of a grid", limits<0, 32, 0>},
    {"launch of 1025 threads", "launch of blocks", limits<1, 1025, 0>},
    {"launch with too much shared memory", "bytes of shared memory", limits<1, 32, 49153>},
};

const struct {
    simt::schedule order;
    uint64_t seed;
} SCHEDULES[] = {{simt::schedule::forward, 0}, {simt::schedule::reverse, 1}, {simt::schedule::random, 2}};

/* What the child says on stderr. */
std::string outcome(size_t at, size_t schedule, bool fault)
{
    int ends[2];
    if (pipe(ends))
        return "no pipe";
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        simt::config().order = SCHEDULES[schedule].order;
        simt::config().seed = SCHEDULES[schedule].seed;
        simt::watch_faults(malloc(64 << 10), 64 << 10);
        bench b;
        CASES[at].run(b, fault);
        _exit(0);
    }
    close(ends[1]);
    std::string said;
    char part[512];
    for (ssize_t n; (n = read(ends[0], part, sizeof part)) > 0;)
        said.append(part, static_cast<size_t>(n));
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return said;
}

bool check(size_t at)
{
    bool found = false;
    std::string last;
    for (size_t schedule = 0; schedule < 3; schedule++) {
        last = outcome(at, schedule, true);
        /* The address sanitizer may be quicker, and names the line as well. */
        bool bounds = strstr(CASES[at].diagnosis, "out of bounds") != nullptr;
        found = found || last.find(CASES[at].diagnosis) != std::string::npos ||
                (bounds && last.find("AddressSanitizer") != std::string::npos);
        std::string right = outcome(at, schedule, false);
        if (!right.empty()) {
            printf("  without the mistake: %s", right.c_str());
            return false;
        }
    }
    if (!found)
        printf("  wanted \"%s\", got: %s\n", CASES[at].diagnosis, last.c_str());
    return found;
}

} // namespace

int main()
{
    bool well = true;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        bool ok = check(i);
        printf("%s simt fault: %s\n", ok ? "PASS" : "FAIL", CASES[i].name);
        well = well && ok;
    }
    return well ? 0 : 1;
}
