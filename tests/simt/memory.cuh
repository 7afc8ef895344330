/* Device memory: each allocation ends against a page that nobody may touch, begins as NaN, and is closed to the host
 * while no device work runs. An address is never given out twice, so that a use after free is found as well. */
#ifndef TESTS_SIMT_MEMORY_CUH
#define TESTS_SIMT_MEMORY_CUH

#include <cstddef>

namespace simt
{

void device_limit(size_t bytes); /* what may be allocated in all; 512 MiB unless said */
size_t device_limit();
size_t device_used();
void *device_alloc(size_t bytes); /* aligned to 16 bytes only; NULL past the limit */
bool device_free(void *p);        /* false where p is none of ours */
bool device_owns(const void *p, size_t bytes);

/* Device work runs between the two. */
void device_open();
void device_close();
/* Dies where bytes around an allocation were written. */
void device_check(const char *after);

/* Says what is wrong with an access to this address; false where it is not in device memory. */
bool device_describe(const void *address, char *text, size_t size);

} // namespace simt

#endif
