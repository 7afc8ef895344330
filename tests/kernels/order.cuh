/* Orders of threads and blocks that the table runs in: three of the emulated machine, a device's own on a GPU. */
#ifndef TESTS_KERNELS_ORDER_CUH
#define TESTS_KERNELS_ORDER_CUH

int order_count();
const char *order_name(int order);
/* From here on; NULL, or why it can't be. */
const char *order_take(int order);
/* What the plugin is to open for the order that was taken. */
const char *order_device();

#endif
