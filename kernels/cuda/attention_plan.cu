/* A step's spans as attention takes them: pieces of at most a tile's rows, and rows that read nothing. */
#include "kernels/cuda/ops.cuh"

static void add_pieces(const span &s, span *spans, int *n, int32_t *row_span)
{
    for (int at = 0, rows; at < s.n; at += rows) {
        rows = s.n - at < ATTENTION_TILE ? s.n - at : static_cast<int>(ATTENTION_TILE);
        span piece = s;
        piece.row += at;
        piece.n = rows;
        for (int row = piece.row; row < piece.row + rows; row++)
            row_span[row] = *n;
        spans[(*n)++] = piece;
    }
}

static bool reads_nothing(const struct step &step, int row)
{
    for (int i = 0; i < step.n_spans; i++)
        if (row >= step.spans[i].row && row < step.spans[i].row + step.spans[i].n)
            return false;
    return true;
}

void cuda_attention_plan(const struct step &step, int rows, span *spans, int32_t *row_span, step_counts *out)
{
    int n = 0, next = 0;
    *out = {};
    out->rows = step.n_rows;
    out->sampled = step.n_sampled;
    for (int i = 0; i < MAX_SEGMENTS * rows; i++)
        row_span[i] = -1;
    for (int pass = 0; pass < MAX_SEGMENTS; pass++) {
        int32_t *of_pass = row_span + pass * rows;
        out->first[pass] = n;
        for (; next < step.n_spans && step.spans[next].pass == pass; next++)
            add_pieces(step.spans[next], spans, &n, of_pass);
        for (int row = 0; pass == 0 && row < step.n_rows; row++)
            if (of_pass[row] < 0 && reads_nothing(step, row))
                add_pieces({0, row, 1, 0, 0, 0}, spans, &n, of_pass);
        out->first[pass + 1] = n;
    }
}
