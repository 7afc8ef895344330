#include "tests/simt/memory.cuh"
#include "tests/simt/machine.cuh"

#include <sys/mman.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(ADDRESS_SANITIZED)
#include <sanitizer/asan_interface.h>
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

namespace simt
{

namespace
{

enum : size_t { PAGE = 4096, ARENA = size_t{256} << 30, ALIGN = 16 };

struct allocation {
    char *pages;
    size_t page_bytes, bytes;
    bool freed;
};

struct arena {
    std::recursive_mutex lock;
    char *begin, *next;
    std::map<char *, allocation> all; /* by what cudaMalloc returned */
    size_t used, limit = size_t{512} << 20;
    int open, key; /* key: of protection, -1 where the processor has none */

    arena()
    {
        void *p = mmap(nullptr, ARENA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            die("no address space for device memory");
        begin = next = static_cast<char *>(p);
        used = 0;
        open = 0;
        key = pkey_alloc(0, PKEY_DISABLE_ACCESS);
    }
};

arena &device()
{
    static arena a;
    return a;
}

/* Bytes in front of and behind an allocation, in its own pages. */
void margins(char *p, const allocation &a, void (*fn)(char *, size_t))
{
    fn(a.pages, static_cast<size_t>(p - a.pages));
    fn(p + a.bytes, a.page_bytes - static_cast<size_t>(p - a.pages) - a.bytes);
}

void forbid(char *p, size_t n)
{
    ASAN_POISON_MEMORY_REGION(p, n);
}

void allow(char *p, size_t n)
{
    ASAN_UNPOISON_MEMORY_REGION(p, n);
}

/* Under the address sanitizer the access itself is reported. */
bool untouched(const char *p, size_t n)
{
    return n == 0 || SANITIZED || (static_cast<unsigned char>(*p) == 0xFF && memcmp(p, p + 1, n - 1) == 0);
}

/* A processor with protection keys opens and closes everything for the calling thread, and for those that it starts,
 * by one register; elsewhere every page is changed. */
void protect_all(arena &d, bool open)
{
    if (d.key >= 0) {
        pkey_set(d.key, open ? 0 : PKEY_DISABLE_ACCESS);
        return;
    }
    for (auto &[p, a] : d.all)
        if (!a.freed)
            mprotect(a.pages, a.page_bytes, open ? PROT_READ | PROT_WRITE : PROT_NONE);
}

void make_pages(arena &d, const allocation &a)
{
    if (d.key >= 0)
        pkey_mprotect(a.pages, a.page_bytes, PROT_READ | PROT_WRITE, d.key);
    else
        mprotect(a.pages, a.page_bytes, PROT_READ | PROT_WRITE);
    if (!d.open)
        protect_all(d, true);
    memset(a.pages, 0xFF, a.page_bytes);
    if (!d.open)
        protect_all(d, false);
}

} // namespace

void device_limit(size_t bytes)
{
    device().limit = bytes;
}

size_t device_limit()
{
    return device().limit;
}

size_t device_used()
{
    return device().used;
}

void *device_alloc(size_t bytes)
{
    arena &d = device();
    std::lock_guard<std::recursive_mutex> hold(d.lock);
    size_t room = (bytes + PAGE - 1) / PAGE * PAGE;
    if (bytes > d.limit - d.used || d.next + room + 2 * PAGE > d.begin + ARENA)
        return nullptr;
    allocation a = {d.next + PAGE, room, bytes, false};
    char *p = a.pages + room - (bytes + ALIGN - 1) / ALIGN * ALIGN;
    d.next = a.pages + room;
    d.used += bytes;
    d.all[p] = a;
    make_pages(d, a);
    margins(p, a, forbid);
    return p;
}

bool device_free(void *p)
{
    arena &d = device();
    std::lock_guard<std::recursive_mutex> hold(d.lock);
    auto found = d.all.find(static_cast<char *>(p));
    if (found == d.all.end() || found->second.freed)
        return false;
    allocation &a = found->second;
    margins(found->first, a, allow);
    mprotect(a.pages, a.page_bytes, PROT_NONE);
    madvise(a.pages, a.page_bytes, MADV_DONTNEED);
    a.freed = true;
    d.used -= a.bytes;
    return true;
}

bool device_owns(const void *p, size_t bytes)
{
    arena &d = device();
    std::lock_guard<std::recursive_mutex> hold(d.lock);
    auto *at = const_cast<char *>(static_cast<const char *>(p));
    auto found = d.all.upper_bound(at);
    if (found == d.all.begin())
        return false;
    --found;
    return !found->second.freed && at + bytes <= found->first + found->second.bytes;
}

void device_open()
{
    arena &d = device();
    if (d.open++ == 0)
        protect_all(d, true);
}

void device_close()
{
    arena &d = device();
    if (--d.open == 0)
        protect_all(d, false);
}

void device_check(const char *after)
{
    for (auto &[p, a] : device().all) {
        auto front = static_cast<size_t>(p - a.pages);
        if (!a.freed && !(untouched(a.pages, front) && untouched(p + a.bytes, a.page_bytes - front - a.bytes)))
            die("out of bounds: bytes around an allocation of %zu bytes were written by %s", a.bytes, after);
    }
}

bool device_describe(const void *address, char *text, size_t size)
{
    arena &d = device();
    auto *at = const_cast<char *>(static_cast<const char *>(address));
    if (at < d.begin || at >= d.begin + ARENA)
        return false;
    auto found = d.all.upper_bound(at);
    if (found == d.all.begin()) {
        snprintf(text, size, "out of bounds: in front of all device memory");
        return true;
    }
    --found;
    const allocation &a = found->second;
    auto past = static_cast<size_t>(at - found->first);
    if (a.freed)
        snprintf(text, size, "use of device memory after it was freed (%zu bytes in an allocation of %zu)", past,
                 a.bytes);
    else if (past < a.bytes)
        snprintf(text, size, "the host touches device memory (byte %zu of an allocation of %zu)", past, a.bytes);
    else
        snprintf(text, size, "out of bounds: byte %zu of an allocation of %zu bytes", past, a.bytes);
    return true;
}

} // namespace simt
