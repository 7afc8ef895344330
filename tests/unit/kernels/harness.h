/* What the kernel tests share: backends of every instruction set, values, and handles made from plain floats. Every
 * failure here fails the running test. Memory of a test stays to the end of its process; backends are closed. */
#ifndef TESTS_UNIT_KERNELS_HARNESS_H
#define TESTS_UNIT_KERNELS_HARNESS_H

#include "kernels/backend.h"

enum { ISA_COUNT = 3 };
/* The backend with 2 threads, or NULL where this processor lacks the instruction set. isa 0..ISA_COUNT-1. */
struct backend *open_isa(int isa, enum dtype dtype);
struct backend *open_with(const char *isa, enum dtype dtype, int threads, size_t memory_bytes);
const char *isa_name(int isa);

/* Zeroed memory that stays reachable to the end of the process. */
void *keep(size_t bytes);
/* n numbers in [-1, 1), the same for the same seed. */
float *values(uint64_t seed, size_t n);
float *zeros(size_t n);

struct weight *weight_of(struct backend *be, enum weight_use use, const float *data, int rows, int cols);
struct act *act_from(struct backend *be, const float *data, int rows, int cols);
struct act *act_empty(struct backend *be, int rows, int cols);
float *rows_of(struct backend *be, const struct act *a, int rows);
struct array *ints(struct backend *be, const int32_t *data, size_t n);
struct array *floats(struct backend *be, const float *data, size_t n);
int32_t *ints_of(struct backend *be, const struct array *a, size_t n);
float *floats_of(struct backend *be, const struct array *a, size_t n);

/* sqrt(sum (got - want)^2 / sum want^2). */
double relative_error(const float *got, const double *want, size_t n);
void expect_close(const float *got, const double *want, size_t n, double bound, const char *what);
void expect_same_bits(const void *a, const void *b, size_t bytes, const char *what);

/* out [rows, n] = x [rows, k] w^T [n, k] in double. */
double *product(const float *x, const float *w, int rows, int k, int n);

#endif
