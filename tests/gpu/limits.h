/* What a card can do at most, from what its driver says of it: the roof that measures are shares of. */
#ifndef TESTS_GPU_LIMITS_H
#define TESTS_GPU_LIMITS_H

#include "kernels/plugin.h"

struct gpu_limits {
    double bytes;               /* a second, of its memory */
    double flops[DTYPE_COUNT_]; /* a second, of products in a type: dense, f32 sums (int8: integer ones), the highest
                                   clock; 0: the type has no tensor cores there */
};
/* False for a compute capability that the table does not know; bytes are set all the same. */
bool gpu_limits_of(const struct device_facts *f, struct gpu_limits *out);

#endif
