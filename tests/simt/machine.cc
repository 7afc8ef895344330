/* Fibers, warps, blocks. */
#include "tests/simt/machine.cuh"

#include <link.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

extern "C" {
/* Static shared variables stand in a section of their own of the thread-local image, so that each block begins with
 * poison in them. Weak: a program may have none. */
extern char __start_simt_shared[] __attribute__((weak));
extern char __stop_simt_shared[] __attribute__((weak));
}

namespace simt
{

namespace
{

enum : size_t {
    STACK = 64 << 10,
    PAGE = 4096,
    FAULT_STACK = 64 << 10,
    SHARED_ROOM = (SHARED_OPT_IN + PAGE - 1) / PAGE * PAGE
};

struct warp {
    uint32_t ready, live, wait;
    void *slot[WARP];
    uint32_t mask[WARP];
    collective fn[WARP];
};

/* One an OS thread at work. */
struct machine {
    fiber fibers[MAX_THREADS];
    warp warps[MAX_WARPS];
    block at;
    char *stacks, *shared, *fault_stack;
    void *main_sp;
    int n_warps, live, arrived, line, votes, result;
    uint64_t random;
    const std::function<void()> *thread;
};

__thread machine *mine;

/* Callee-saved registers only: a switch costs some nanoseconds, where ucontext costs two system calls. */
__attribute__((naked, noinline)) void switch_to(void **, void *)
{
    asm("pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "movq %rsp, (%rdi); movq %rsi, %rsp\n"
        "popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp; ret");
}

char *guarded(size_t bytes, size_t every)
{
    void *p = mmap(nullptr, bytes + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        die("no memory for %zu bytes of stacks", bytes);
    for (size_t at = 0; at <= bytes; at += every)
        mprotect(static_cast<char *>(p) + at, PAGE, PROT_NONE);
    return static_cast<char *>(p);
}

machine *machine_new()
{
    auto *m = new machine();
    m->stacks = guarded(STACK * MAX_THREADS, STACK);
    m->shared = guarded(PAGE + SHARED_ROOM, PAGE + SHARED_ROOM) + PAGE;
    m->fault_stack = new char[FAULT_STACK];
    return m;
}

/* Machines outlive the OS threads that run them: a thousand guard pages are set once. */
struct garage {
    std::mutex lock;
    std::vector<machine *> idle;

    ~garage()
    {
        for (machine *m : idle) {
            delete[] m->fault_stack;
            delete m;
        }
    }
};
garage &parked()
{
    static garage g;
    return g;
}

machine *machine_take()
{
    std::lock_guard<std::mutex> hold(parked().lock);
    if (parked().idle.empty())
        return machine_new();
    machine *m = parked().idle.back();
    parked().idle.pop_back();
    return m;
}

void machine_return(machine *m)
{
    std::lock_guard<std::mutex> hold(parked().lock);
    parked().idle.push_back(m);
}

uint32_t draw(machine &m, uint32_t below)
{
    m.random = m.random * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(m.random >> 33) % below;
}

unsigned pick_lane(machine &m, uint32_t ready)
{
    if (config().order == schedule::forward)
        return static_cast<unsigned>(__builtin_ctz(ready));
    if (config().order == schedule::reverse)
        return 31u - static_cast<unsigned>(__builtin_clz(ready));
    for (uint32_t skip = draw(m, static_cast<uint32_t>(__builtin_popcount(ready))); skip; skip--)
        ready &= ready - 1;
    return static_cast<unsigned>(__builtin_ctz(ready));
}

/* Stays in a warp while it has ready lanes, unless the order is random. */
fiber *next_ready(machine &m)
{
    int first = self ? static_cast<int>(self->warp) : 0;
    if (config().order == schedule::reverse && !self)
        first = m.n_warps - 1;
    if (config().order == schedule::random)
        first = static_cast<int>(draw(m, static_cast<uint32_t>(m.n_warps)));
    for (int i = 0; i < m.n_warps; i++) {
        int w = config().order == schedule::reverse ? (first + m.n_warps - i) % m.n_warps : (first + i) % m.n_warps;
        if (m.warps[w].ready)
            return &m.fibers[w * WARP + static_cast<int>(pick_lane(m, m.warps[w].ready))];
    }
    return nullptr;
}

[[noreturn]] void die_deadlock(machine &m)
{
    fiber *other = nullptr;
    for (int i = 0; i < m.n_warps * WARP; i++) {
        fiber &f = m.fibers[i];
        bool live = m.warps[f.warp].live >> f.lane & 1;
        if (live && (f.waits != self->waits || f.line != self->line))
            other = &f;
    }
    if (other)
        die("deadlock: this thread waits at %s line %d, thread (%u,%u,%u) at %s line %d", self->waits, self->line,
            other->index.x, other->index.y, other->index.z, other->waits, other->line);
    die("deadlock: this thread waits at %s for lanes that never come", self->waits);
}

/* The caller has cleared its ready bit. */
void yield()
{
    machine &m = *mine;
    fiber *me = self, *next = next_ready(m);
    if (!next)
        die_deadlock(m);
    if (next == me)
        return;
    self = next;
    switch_to(&me->sp, next->sp);
}

void unready(machine &m)
{
    m.warps[self->warp].ready &= ~(1u << self->lane);
}

void release(machine &m)
{
    m.result = m.votes;
    m.arrived = m.votes = 0;
    for (int i = 0; i < m.n_warps; i++)
        m.warps[i].ready = m.warps[i].live;
}

/* Runs the collective of a lane once all live lanes of its mask are there. */
void try_complete(warp &w, unsigned lane)
{
    uint32_t mask = w.mask[lane] & w.live;
    if ((w.wait & mask) != mask)
        return;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        if (w.mask[l] != w.mask[lane] || w.fn[l] != w.fn[lane])
            die("lanes %u and %d of a warp disagree on mask or operation of a collective (masks %08x, %08x)", lane, l,
                w.mask[lane], w.mask[l]);
    }
    w.fn[lane](mask, w.slot);
    w.wait &= ~mask;
    w.ready |= mask;
}

void fiber_main()
{
    machine &m = *mine;
    (*m.thread)();
    fiber *me = self;
    warp &w = m.warps[me->warp];
    unready(m);
    me->copies.clear();
    w.live &= ~(1u << me->lane);
    m.live--;
    for (uint32_t rest = w.wait; rest; rest &= rest - 1)
        if (w.wait >> __builtin_ctz(rest) & 1)
            try_complete(w, static_cast<unsigned>(__builtin_ctz(rest)));
    if (m.live && m.arrived == m.live)
        release(m);
    if (!m.live) {
        void *unused;
        switch_to(&unused, m.main_sp);
    }
    yield();
    abort(); /* a thread that has ended is never ready */
}

/* Stacks are spread over cache sets, or every switch would miss. */
void fiber_start(machine &m, int i)
{
    char *top = m.stacks + static_cast<size_t>(i + 1) * STACK - 64 - static_cast<size_t>(i % 61) * 192;
    auto **sp = reinterpret_cast<void **>(reinterpret_cast<uintptr_t>(top) & ~uintptr_t{15});
    *--sp = nullptr;
    *--sp = reinterpret_cast<void *>(fiber_main);
    sp -= 6;
    memset(sp, 0, 6 * sizeof *sp);
    m.fibers[i].sp = sp;
}

struct range {
    char *begin;
    size_t bytes;
};

/* The calling thread's copy of the static shared variables, in the program or the plugin that has them. */
int find_static_shared(dl_phdr_info *info, size_t, void *out)
{
    auto *r = static_cast<range *>(out);
    for (int i = 0; i < info->dlpi_phnum && info->dlpi_tls_data; i++) {
        const ElfW(Phdr) &part = info->dlpi_phdr[i];
        auto *image = reinterpret_cast<char *>(info->dlpi_addr + part.p_vaddr);
        if (part.p_type == PT_TLS && __start_simt_shared >= image && __stop_simt_shared <= image + part.p_memsz) {
            r->begin = static_cast<char *>(info->dlpi_tls_data) + (__start_simt_shared - image);
            r->bytes = static_cast<size_t>(__stop_simt_shared - __start_simt_shared);
            return 1;
        }
    }
    return 0;
}

/* After `mine` has been touched: a plugin's variables are made for a thread when it first touches one. */
range static_shared()
{
    range r = {nullptr, 0};
    if (__start_simt_shared)
        dl_iterate_phdr(find_static_shared, &r);
    return r;
}

/* No instrumentation: red zones between the variables are poisoned like them. */
__attribute__((no_sanitize("address"), noinline)) void poison(char *p, size_t n)
{
    for (volatile char *at = p; at < p + n; at++)
        *at = static_cast<char>(0xFF);
}

void run_block(machine &m, const shape &s, uint3 index, const range &statics)
{
    int n = static_cast<int>(s.block.x * s.block.y * s.block.z);
    m.n_warps = (n + WARP - 1) / WARP;
    m.live = n;
    m.arrived = m.votes = 0;
    /* The end of what was asked for lies against the guard page. */
    m.at = {index, s.block, s.grid, m.shared + SHARED_ROOM - (s.shared_bytes + 15) / 16 * 16, s.kernel};
    memset(m.at.shared, 0xFF, (s.shared_bytes + 15) / 16 * 16);
    poison(statics.begin, statics.bytes);
    for (int i = 0; i < m.n_warps; i++) {
        int lanes = n - i * WARP;
        m.warps[i].live = m.warps[i].ready = lanes >= WARP ? ~0u : (1u << lanes) - 1;
        m.warps[i].wait = 0;
    }
    for (int i = 0; i < n; i++) {
        auto u = static_cast<unsigned>(i);
        fiber &f = m.fibers[i];
        f.index = {u % s.block.x, u / s.block.x % s.block.y, u / (s.block.x * s.block.y)};
        f.lane = u % WARP;
        f.warp = u / WARP;
        f.group = 0;
        fiber_start(m, i);
    }
    self = nullptr;
    self = next_ready(m);
    here = &m.at;
    switch_to(&m.main_sp, self->sp);
    self = nullptr;
    here = nullptr;
}

void run_blocks(const shape &s, const std::function<void()> &thread, std::atomic<size_t> &taken, size_t n)
{
    machine *m = machine_take();
    mine = m;
    m->thread = &thread;
    m->random = config().seed + 1;
    watch_faults(m->fault_stack, FAULT_STACK);
    range statics = static_shared();
    for (size_t i; (i = taken++) < n;) {
        size_t at = config().order == schedule::reverse ? n - 1 - i : i;
        auto x = static_cast<unsigned>(at % s.grid.x), y = static_cast<unsigned>(at / s.grid.x % s.grid.y);
        auto z = static_cast<unsigned>(at / (static_cast<size_t>(s.grid.x) * s.grid.y));
        run_block(*m, s, {x, y, z}, statics);
    }
    mine = nullptr;
    machine_return(m);
}

} // namespace

__thread fiber *self;
__thread block *here;

settings &config()
{
    static settings s;
    return s;
}

void check_shape(const shape &s, size_t shared_limit)
{
    const dim3 &g = s.grid, &b = s.block;
    if (!g.x || !g.y || !g.z || g.x > 0x7FFFFFFFu || g.y > 65535 || g.z > 65535)
        die("%s: launch of a grid of %u x %u x %u blocks", s.kernel, g.x, g.y, g.z);
    if (!b.x || !b.y || !b.z || b.x > 1024 || b.y > 1024 || b.z > 64 || uint64_t{b.x} * b.y * b.z > MAX_THREADS)
        die("%s: launch of blocks of %u x %u x %u threads", s.kernel, b.x, b.y, b.z);
    if (s.shared_bytes > shared_limit)
        die("%s: launch with %zu bytes of shared memory, %zu allowed", s.kernel, s.shared_bytes, shared_limit);
}

void run_grid(const shape &s, const std::function<void()> &thread)
{
    size_t n = static_cast<size_t>(s.grid.x) * s.grid.y * s.grid.z;
    std::atomic<size_t> taken{0};
    std::vector<std::thread> others;
    auto work = [&] { run_blocks(s, thread, taken, n); };
    for (int i = 1; i < config().os_threads && static_cast<size_t>(i) < n; i++)
        others.emplace_back(work);
    work();
    for (std::thread &t : others)
        t.join();
}

__attribute__((noinline)) int barrier(int line, bool vote)
{
    machine &m = *mine;
    if (m.arrived && m.line != line)
        die("divergent barrier: this thread is at line %d, others wait at line %d", line, m.line);
    m.line = line;
    self->waits = "__syncthreads";
    self->line = line;
    m.votes += vote;
    unready(m);
    if (++m.arrived == m.live)
        release(m);
    yield();
    asm volatile("" ::: "memory");
    return m.result;
}

__attribute__((noinline)) void warp_collective(const char *name, uint32_t mask, void *slot, collective fn)
{
    machine &m = *mine;
    unsigned lane = self->lane;
    warp &w = m.warps[self->warp];
    if (!(mask >> lane & 1))
        die("%s: the calling lane is not in its mask %08x", name, mask);
    self->waits = name;
    self->line = 0;
    w.slot[lane] = slot;
    w.mask[lane] = mask;
    w.fn[lane] = fn;
    w.wait |= 1u << lane;
    unready(m);
    try_complete(w, lane);
    yield();
    asm volatile("" ::: "memory");
}

void copy_async(void *to, const void *from)
{
    if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) & 15)
        die("cp.async: an address is not a multiple of 16 bytes");
    self->copies.push_back({to, from, self->group});
}

void copy_commit()
{
    self->group++;
}

void copy_wait(int groups_left)
{
    size_t kept = 0;
    for (const pending_copy &c : self->copies) {
        if (c.group < self->group - groups_left)
            memcpy(c.to, c.from, 16);
        else
            self->copies[kept++] = c;
    }
    self->copies.resize(kept);
}

const char *describe_machine(const void *address)
{
    auto *p = static_cast<const char *>(address);
    if (!mine)
        return nullptr;
    if (p >= mine->stacks && p < mine->stacks + STACK * MAX_THREADS + PAGE)
        return "a thread's stack of 64 KiB is used up";
    if (p >= mine->shared - PAGE && p < mine->shared + SHARED_ROOM + PAGE)
        return "out of bounds of dynamic shared memory";
    return nullptr;
}

} // namespace simt
