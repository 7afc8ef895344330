/* Masks as COCO writes them: runs down the columns, zeros first. */
#include "model/region_impl.h"

#include <stdlib.h>

/* Positives begin..end-1 of the mask counted down the columns. */
static enum status add_range(struct run_list *out, int64_t begin, int64_t end, int height)
{
    enum status s = ST_OK;
    while (s == ST_OK && begin < end) {
        int x = (int)(begin / height), y = (int)(begin % height);
        int64_t rows = end - begin < height - y ? end - begin : height - y;
        s = run_list_add(out, x, y, y + (int)rows - 1);
        begin += rows;
    }
    return s;
}

enum status region_fill_mask(const struct region_spec *s, int width, int height, struct run_list *out, struct diag *why)
{
    if (s->rle_size[0] != height || s->rle_size[1] != width)
        return diag_set(why, ST_INVALID, "region: the mask's size [H, W] is [%d, %d], the image's [%d, %d]",
                        s->rle_size[0], s->rle_size[1], height, width);
    int64_t at = 0, total = (int64_t)width * height;
    enum status status = ST_OK;
    for (size_t i = 0; status == ST_OK && i < s->n_rle; i++) {
        int64_t end = at + s->rle[i];
        if (end > total)
            return diag_set(why, ST_INVALID, "region: the mask's runs exceed its %lld pixels", (long long)total);
        if (i % 2)
            status = add_range(out, at, end, height);
        at = end;
    }
    if (status == ST_LIMIT)
        return diag_set(why, status, "region: more than %d runs in the mask", REGION_MAX_RUNS);
    if (status == ST_OK && at != total)
        return diag_set(why, ST_INVALID, "region: the mask's runs hold %lld of %lld pixels", (long long)at,
                        (long long)total);
    return status;
}

/* One number: groups of five bits from the lowest on, 32 marks "more follows", the last group's bit 16 is the sign. */
static enum status read_number(const char *counts, size_t len, size_t *at, int64_t *out)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 35; shift += 5) {
        if (*at == len)
            return ST_FORMAT;
        int c = counts[(*at)++] - 48;
        if (c < 0 || c > 63)
            return ST_FORMAT;
        value |= (uint64_t)(c & 31) << shift;
        if (c & 32)
            continue;
        if (c & 16)
            value |= ~UINT64_C(0) << (shift + 5);
        *out = (int64_t)value;
        return ST_OK;
    }
    return ST_FORMAT;
}

enum status region_rle_decode(const char *counts, size_t len, uint32_t **runs, size_t *n, struct diag *why)
{
    uint32_t *list = malloc((len ? len : 1) * sizeof *list); /* a number takes at least one byte */
    if (!list)
        return ST_NOMEM;
    size_t used = 0;
    for (size_t at = 0; at < len; used++) {
        size_t from = at;
        int64_t value = 0;
        enum status s = read_number(counts, len, &at, &value);
        /* From the fourth on, numbers are differences to the one two before. */
        if (s == ST_OK && used > 2)
            value += list[used - 2];
        if (s != ST_OK || value < 0 || value > UINT32_MAX) {
            free(list);
            return diag_set(why, ST_FORMAT, "region: no run length at byte %zu of the mask's counts", from);
        }
        list[used] = (uint32_t)value;
    }
    *runs = list;
    *n = used;
    return ST_OK;
}
