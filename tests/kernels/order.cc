#include "tests/kernels/order.cuh"
#include "tests/simt/machine.cuh"

/* The emulated devices are one an order (tests/simt/cudart.cc). */
static const struct {
    const char *name, *device;
} ORDERS[] = {{"forward", "simt:0"}, {"reverse", "simt:1"}, {"random", "simt:2"}};

int order_count()
{
    return sizeof ORDERS / sizeof *ORDERS;
}

const char *order_name(int order)
{
    return ORDERS[order].name;
}

const char *order_take(int order)
{
    simt::config().order = static_cast<simt::schedule>(order);
    simt::config().os_threads = 2;
    return nullptr;
}

const char *order_device()
{
    return ORDERS[static_cast<int>(simt::config().order)].device;
}
