/* How a mistake is told. */
#include "tests/simt/machine.cuh"
#include "tests/simt/memory.cuh"

#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace simt
{

void die(const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (self && here)
        fprintf(stderr, "simt: %s; %s block (%u,%u,%u) thread (%u,%u,%u)\n", what, here->kernel, here->index.x,
                here->index.y, here->index.z, self->index.x, self->index.y, self->index.z);
    else
        fprintf(stderr, "simt: %s\n", what);
    abort();
}

static void on_fault(int, siginfo_t *info, void *)
{
    char text[256];
    if (const char *machine = describe_machine(info->si_addr))
        die("%s", machine);
    if (device_describe(info->si_addr, text, sizeof text))
        die("%s", text);
    die("access to address %p, which belongs to nobody", info->si_addr);
}

void watch_faults(void *stack, size_t bytes)
{
    stack_t alternate = {};
    sigaltstack(nullptr, &alternate);
    if (alternate.ss_flags & SS_DISABLE) { /* a sanitizer has set its own, and takes it away again */
        alternate = {};
        alternate.ss_sp = stack;
        alternate.ss_size = bytes;
        sigaltstack(&alternate, nullptr);
    }
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);
}

} // namespace simt
