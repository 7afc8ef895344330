/* The CPU backend without oneDNN: the own loops take every block. */
#include "kernels/cpu/gemm.h"

#include <stdlib.h>

enum status gemm_open(int threads, struct gemm **out)
{
    (void)threads;
    *out = NULL;
    return ST_OK;
}

void gemm_close(struct gemm *g)
{
    (void)g;
}

enum status gemm_pack(struct cpu *cpu, enum dtype type, int k, const void *plain, struct packed_block *block,
                      struct diag *why)
{
    (void)cpu, (void)type, (void)k, (void)plain, (void)block, (void)why;
    return ST_UNSUPPORTED;
}

enum status gemm_prepare(struct cpu *cpu, const struct packed *m, int rows)
{
    (void)cpu, (void)m, (void)rows;
    return ST_OK;
}

void gemm_run(struct cpu *cpu, int thread, const struct packed_block *block, struct gemm_piece piece, const void *x,
              void *y)
{
    (void)cpu, (void)thread, (void)block, (void)piece, (void)x, (void)y;
    abort();
}
