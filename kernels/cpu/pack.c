/* Packing of matrices: the reader's rows become typed blocks. At most one block is held unpacked. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/gemm.h"

#include <string.h>

enum { COLUMN_GROUP = 64, SMALL_GROUP = 16, READ_ROWS = 16 };

static const int piece_rows[] = {1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 640, 768, GEMM_MAX_ROWS};
enum { N_PIECES = sizeof piece_rows / sizeof *piece_rows };

/* The smallest size of the list that holds n; but where that would waste more than a sixteenth (and more than 16 rows)
 * the largest that fits, and the rest goes on its own. */
struct gemm_piece gemm_next_piece(int n, int allocated)
{
    int i = 0;
    while (i < N_PIECES - 1 && piece_rows[i] < n)
        i++;
    int waste = piece_rows[i] - n;
    if (waste > 16 && waste > piece_rows[i] / 16)
        i--;
    while (piece_rows[i] > allocated)
        i--;
    int size = piece_rows[i];
    return (struct gemm_piece){n < size ? n : size, size};
}

int gemm_padded_rows(int n)
{
    int most = n;
    for (int rows = n; rows > 0 && rows > n - GEMM_MAX_ROWS; rows--) {
        int total = 0;
        for (int left = rows; left > 0;) {
            struct gemm_piece p = gemm_next_piece(left, GEMM_MAX_ROWS);
            total += p.run;
            left -= p.taken;
        }
        most = total > most ? total : most;
    }
    return most;
}

/* Cuts [0, n) into groups of columns, the groups evenly into threads, a thread's groups evenly into blocks. */
static int cut_blocks(struct packed *m, int threads, struct packed_block *blocks)
{
    int group = m->rows >= COLUMN_GROUP * threads ? COLUMN_GROUP : SMALL_GROUP;
    int groups = (m->rows + group - 1) / group, n = 0;
    for (int t = 0; t < threads; t++) {
        struct part own = pool_part(groups, t, threads);
        int count = own.end - own.begin, pieces = (count * group + GEMM_BLOCK_COLS - 1) / GEMM_BLOCK_COLS;
        if (m->first)
            m->first[t] = n;
        for (int i = 0; i < pieces; i++, n++) {
            struct part p = pool_part(count, i, pieces);
            int begin = (own.begin + p.begin) * group, end = (own.begin + p.end) * group;
            if (blocks)
                blocks[n] = (struct packed_block){.column = begin, .n = (end < m->rows ? end : m->rows) - begin};
        }
    }
    if (m->first)
        m->first[threads] = n;
    return n;
}

static enum status new_packed(struct cpu *cpu, enum dtype type, int rows, int cols, struct packed **out,
                              struct diag *why)
{
    struct packed m = {.type = type, .rows = rows, .cols = cols};
    size_t blocks = (size_t)cut_blocks(&m, cpu->threads, NULL), threads = (size_t)cpu->threads + 1;
    size_t head = sizeof m + blocks * sizeof *m.blocks;
    size_t bytes = head + threads * sizeof *m.first + (type == DTYPE_INT8 ? (size_t)rows * sizeof(float) : 0);
    void *p;
    enum status s = cpu_alloc(cpu, bytes, &p, why);
    if (s != ST_OK)
        return s;
    struct packed *made = p;
    m.blocks = (struct packed_block *)(made + 1);
    m.first = (int *)(void *)((char *)p + head);
    m.scales = type == DTYPE_INT8 ? (float *)(m.first + threads) : NULL;
    *made = m;
    made->n_blocks = cut_blocks(made, cpu->threads, made->blocks);
    *out = made;
    return ST_OK;
}

/* Reads one block's rows and leaves them in `plain` in the matrix' type. */
static enum status read_block(struct cpu *cpu, const struct weight_source *src, int first_row, struct packed *m,
                              const struct packed_block *b, float *rows, void *plain, struct diag *why)
{
    size_t k = (size_t)m->cols;
    for (int at = 0; at < b->n; at += READ_ROWS) {
        int n = b->n - at < READ_ROWS ? b->n - at : READ_ROWS;
        enum status s = src->read(src->ctx, first_row + b->column + at, n, rows, why);
        if (s != ST_OK)
            return s;
        for (int i = 0; i < n; i++) {
            const float *row = rows + (size_t)i * k;
            size_t to = (size_t)(at + i) * k;
            if (m->type == DTYPE_F32)
                memcpy((float *)plain + to, row, k * sizeof(float));
            else if (m->type == DTYPE_BF16)
                cpu->simd->to_bf16((uint16_t *)plain + to, row, m->cols);
            else
                m->scales[b->column + at + i] = cpu->simd->to_int8((int8_t *)plain + to, row, m->cols);
        }
    }
    return ST_OK;
}

static enum status pack_block(struct cpu *cpu, const struct packed *m, struct packed_block *b, const void *plain,
                              struct diag *why)
{
    if (cpu->gemm) {
        enum status s = gemm_pack(cpu, m->type, m->cols, plain, b, why);
        if (s != ST_UNSUPPORTED)
            return s;
    }
    return own_pack(cpu, m->type, m->cols, plain, b, why);
}

static enum status fill(struct cpu *cpu, const struct weight_source *src, int first_row, struct packed *m, float *rows,
                        void *plain, struct diag *why)
{
    for (int i = 0; i < m->n_blocks; i++) {
        struct packed_block *b = &m->blocks[i];
        enum status s = read_block(cpu, src, first_row, m, b, rows, plain, why);
        if (s == ST_OK)
            s = pack_block(cpu, m, b, plain, why);
        if (s != ST_OK)
            return s;
        cpu->max_block = b->n > cpu->max_block ? b->n : cpu->max_block;
    }
    return ST_OK;
}

enum status pack_matrix(struct cpu *cpu, enum dtype type, const struct weight_source *src, struct packed **out,
                        struct packed **second, struct diag *why)
{
    int rows = second ? src->rows / 2 : src->rows;
    size_t k = (size_t)src->cols;
    struct packed *m[2] = {NULL, NULL};
    void *staging = NULL, *plain = NULL;
    enum status s = cpu_alloc(cpu, READ_ROWS * k * sizeof(float), &staging, why);
    if (s == ST_OK)
        s = cpu_alloc(cpu, (size_t)(rows < GEMM_BLOCK_COLS ? rows : GEMM_BLOCK_COLS) * k * sizeof(float), &plain, why);
    for (int i = 0; s == ST_OK && i < (second ? 2 : 1); i++) {
        s = new_packed(cpu, type, rows, src->cols, &m[i], why);
        if (s == ST_OK)
            s = fill(cpu, src, i * rows, m[i], staging, plain, why);
    }
    cpu_free(cpu, plain);
    cpu_free(cpu, staging);
    if (s != ST_OK)
        return s;
    s = cpu_reserve_scratch(cpu, why);
    if (s != ST_OK)
        return s;
    *out = m[0];
    if (second)
        *second = m[1];
    return ST_OK;
}
