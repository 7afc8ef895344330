/* The two 16-bit float formats, as bit patterns. Rounding is to nearest, ties to even; subnormals, infinities and NaN
 * are kept. Sources need no alignment: weights come mapped from files. */
#ifndef MODEL_HALF_H
#define MODEL_HALF_H

#include <stddef.h>
#include <stdint.h>

float half_to_f32(uint16_t bits);
uint16_t half_from_f32(float value); /* 65520 and above give infinity */
float bf16_to_f32(uint16_t bits);
uint16_t bf16_from_f32(float value);

/* Runs of n values; `from` of the readers is little-endian bytes. Equal to the functions above, NaN payloads aside. */
void half_read(const void *from, float *to, size_t n);
void half_write(const float *from, uint16_t *to, size_t n);
void bf16_read(const void *from, float *to, size_t n);

#endif
