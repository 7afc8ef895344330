/* Products y = x W^T on packed matrices. A matrix is cut along its output channels into blocks; each block belongs to
 * one thread for good, and is packed either for oneDNN (gemm.c) or for the own loops (gemm_own.c). */
#ifndef KERNELS_CPU_GEMM_H
#define KERNELS_CPU_GEMM_H

#include "kernels/backend.h"

struct cpu;
struct gemm;       /* oneDNN: engine, streams, primitives */
struct gemm_shape; /* primitives of one (type, k, n) */

enum {
    GEMM_MAX_ROWS = 1024,  /* rows of one product; more go in pieces */
    GEMM_BLOCK_COLS = 512, /* output channels of a block at most */
    OWN_NEAR_ROWS = 144,   /* rows of x that the own loops keep near: with PANEL_RUN a third of a small second cache */
};

struct packed_block {
    int column, n;
    void *data;
    struct gemm_shape *shape; /* NULL: packed for the own loops */
    void *memory;             /* oneDNN's handle of data */
};

struct packed {
    enum dtype type; /* DTYPE_F32, DTYPE_BF16 or DTYPE_INT8 */
    int rows, cols;  /* output channels N, inputs K */
    float *scales;   /* int8: of each output channel */
    int n_blocks;
    struct packed_block *blocks;
    int *first; /* [threads + 1]: thread t owns blocks [first[t], first[t + 1]) */
};

/* Rows that the next product takes of n > 0 left, and the number it runs with: from a fixed list, >= taken, and at most
 * `allocated` >= 1 of x. */
struct gemm_piece {
    int taken, run;
};
struct gemm_piece gemm_next_piece(int n, int allocated);
/* Rows for which an activation of n is allocated, so that products may run padded. */
int gemm_padded_rows(int n);

/* pack.c: reads rows [row, row + n) of src into a packed matrix. */
MUST_CHECK enum status pack_matrix(struct cpu *cpu, enum dtype type, const struct weight_source *src,
                                   struct packed **out, struct packed **second, struct diag *why);

/* gemm.c: oneDNN. gemm_open gives NULL in *out where it can't be used at all. */
MUST_CHECK enum status gemm_open(int threads, struct gemm **out);
void gemm_close(struct gemm *g);
/* Packs one block from plain [n][k] values of `type`. ST_UNSUPPORTED where oneDNN has no fast code for this shape or
 * does not keep the row rule: use the own loops. */
MUST_CHECK enum status gemm_pack(struct cpu *cpu, enum dtype type, int k, const void *plain, struct packed_block *block,
                                 struct diag *why);
/* Makes what products of a piece of `rows` need; to be called before the threads run. */
MUST_CHECK enum status gemm_prepare(struct cpu *cpu, const struct packed *m, int rows);
/* y [piece.run][block.n], f32 or int32 for int8. x has piece.run rows of k. */
void gemm_run(struct cpu *cpu, int thread, const struct packed_block *block, struct gemm_piece piece, const void *x,
              void *y);

/* gemm_own.c: the same for the own loops. */
MUST_CHECK enum status own_pack(struct cpu *cpu, enum dtype type, int k, const void *plain, struct packed_block *block,
                                struct diag *why);
void own_run(struct cpu *cpu, int thread, enum dtype type, int k, const struct packed_block *block, int rows,
             const void *x, void *y);

#endif
