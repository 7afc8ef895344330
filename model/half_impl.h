/* Variants of half.c's runs for instruction sets; half.c picks one. */
#ifndef MODEL_HALF_IMPL_H
#define MODEL_HALF_IMPL_H

#include "model/half.h"

void half_read_avx2(const void *from, float *to, size_t n); /* these two need F16C as well */
void half_write_avx2(const float *from, uint16_t *to, size_t n);

#endif
