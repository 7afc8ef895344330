/* Products by oneDNN, the only file that includes its header (through dnnl_api.h, which knows the versions). Every
 * primitive runs on one OpenMP thread: the pool's threads each call it for their own blocks. Row counts come from a
 * fixed list (gemm_next_piece), because a primitive made for any row count would take another, slower path that breaks
 * the row rule. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/dnnl_api.h"
#include "kernels/cpu/gemm.h"

#include <stdlib.h>
#include <string.h>

/* libgomp's; its header is missing beside clang. */
extern void omp_set_num_threads(int n);

enum { LAYOUT_ROWS = 192 /* the row count whose preferred weight layout is taken for all */ };

/* One primitive and, for each thread, handles to feed it. */
struct product {
    int rows;
    dnnl_primitive_t primitive;
    struct operands {
        dnnl_memory_t x, y, scratch;
    } * operands;
    struct product *next;
};

struct gemm_shape {
    enum dtype type;
    int k, n;
    struct desc packed;
    bool checked, usable; /* usable: fast, and keeps the row rule where that is asked for */
    struct product *products;
    struct gemm_shape *next;
};

struct gemm {
    int threads;
    dnnl_engine_t engine;
    dnnl_stream_t *streams;
    struct gemm_shape *shapes;
    struct held_memory {
        dnnl_memory_t memory;
        struct held_memory *next;
    } * held; /* handles of packed blocks */
    size_t scratch_bytes;
    void **scratch; /* one a thread, shared by all primitives */
};

static dnnl_data_type_t input_type(enum dtype type)
{
    return type == DTYPE_F32 ? dnnl_f32 : type == DTYPE_BF16 ? dnnl_bf16 : dnnl_s8;
}

enum status gemm_open(int threads, struct gemm **out)
{
    struct gemm *g = calloc(1, sizeof *g);
    if (!g)
        return ST_NOMEM;
    g->threads = threads;
    g->streams = calloc((size_t)threads, sizeof *g->streams);
    g->scratch = calloc((size_t)threads, sizeof *g->scratch);
    bool ok = g->streams && g->scratch && dnnl_engine_create(&g->engine, dnnl_cpu, 0) == dnnl_success;
    for (int t = 0; ok && t < threads; t++)
        ok = dnnl_stream_create(&g->streams[t], g->engine, dnnl_stream_default_flags) == dnnl_success;
    if (!ok) {
        gemm_close(g);
        return ST_NOMEM;
    }
    *out = g;
    return ST_OK;
}

static void free_product(struct product *p, int threads)
{
    for (int t = 0; p->operands && t < threads; t++) {
        dnnl_memory_destroy(p->operands[t].x);
        dnnl_memory_destroy(p->operands[t].y);
        dnnl_memory_destroy(p->operands[t].scratch);
    }
    free(p->operands);
    dnnl_primitive_destroy(p->primitive);
    free(p);
}

static void free_shape(struct gemm_shape *s, int threads)
{
    while (s->products) {
        struct product *p = s->products;
        s->products = p->next;
        free_product(p, threads);
    }
    desc_fini(&s->packed);
    free(s);
}

void gemm_close(struct gemm *g)
{
    if (!g)
        return;
    while (g->shapes) {
        struct gemm_shape *s = g->shapes;
        g->shapes = s->next;
        free_shape(s, g->threads);
    }
    while (g->held) {
        struct held_memory *h = g->held;
        g->held = h->next;
        dnnl_memory_destroy(h->memory);
        free(h);
    }
    for (int t = 0; t < g->threads; t++) {
        if (g->streams)
            dnnl_stream_destroy(g->streams[t]);
        if (g->scratch)
            free(g->scratch[t]);
    }
    free(g->streams);
    free(g->scratch);
    dnnl_engine_destroy(g->engine);
    free(g);
}

/* The best code for `rows` rows against `weights`; NULL where there is none. The caller destroys it. */
static dnnl_primitive_desc_t describe(const struct gemm *g, const struct gemm_shape *s, int rows,
                                      const struct desc *weights)
{
    struct desc x = {0}, y = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    omp_set_num_threads(1); /* decides at creation how a primitive splits its work */
    bool ok = desc_plain(&x, rows, s->k, input_type(s->type), dnnl_ab) &&
              desc_plain(&y, rows, s->n, s->type == DTYPE_INT8 ? dnnl_s32 : dnnl_f32, dnnl_ab) &&
              dnnl_primitive_attr_create(&attr) == dnnl_success &&
              dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user) == dnnl_success &&
              matmul_describe(&pd, g->engine, &x, weights, &y, attr);
    dnnl_primitive_attr_destroy(attr);
    desc_fini(&x);
    desc_fini(&y);
    return ok ? pd : NULL;
}

/* Whether the code is one of the packed kernels; gemm:jit and the reference code are not wanted. */
static bool is_fast(const_dnnl_primitive_desc_t pd)
{
    const char *name = NULL;
    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) == dnnl_success && name &&
           strncmp(name, "brg", 3) == 0;
}

static bool grow_scratch(struct gemm *g, size_t bytes)
{
    if (bytes <= g->scratch_bytes)
        return true;
    for (int t = 0; t < g->threads; t++) {
        void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
        if (!p)
            return false;
        free(g->scratch[t]);
        g->scratch[t] = p;
    }
    g->scratch_bytes = bytes;
    return true;
}

static bool make_operand(dnnl_memory_t *memory, const struct gemm *g, const struct desc *d)
{
    return dnnl_memory_create(memory, desc_view(d), g->engine, DNNL_MEMORY_NONE) == dnnl_success;
}

static bool make_operands(struct gemm *g, struct product *p, const_dnnl_primitive_desc_t pd)
{
    struct desc x = {0}, y = {0}, scratch = {0};
    p->operands = calloc((size_t)g->threads, sizeof *p->operands);
    bool ok = p->operands && desc_query(&x, pd, dnnl_query_src_md) && desc_query(&y, pd, dnnl_query_dst_md) &&
              desc_query(&scratch, pd, dnnl_query_scratchpad_md) &&
              grow_scratch(g, dnnl_memory_desc_get_size(desc_view(&scratch)));
    for (int t = 0; ok && t < g->threads; t++) {
        struct operands *o = &p->operands[t];
        ok = make_operand(&o->x, g, &x) && make_operand(&o->y, g, &y) && make_operand(&o->scratch, g, &scratch);
    }
    desc_fini(&x);
    desc_fini(&y);
    desc_fini(&scratch);
    return ok;
}

static struct product *find_product(const struct gemm_shape *s, int rows)
{
    struct product *p = s->products;
    while (p && p->rows != rows)
        p = p->next;
    return p;
}

static bool make_product(struct gemm *g, struct gemm_shape *s, int rows)
{
    dnnl_primitive_desc_t pd = describe(g, s, rows, &s->packed);
    struct product *p = calloc(1, sizeof *p);
    bool ok =
        pd && p && is_fast(pd) && dnnl_primitive_create(&p->primitive, pd) == dnnl_success && make_operands(g, p, pd);
    dnnl_primitive_desc_destroy(pd);
    if (!ok) {
        if (p)
            free_product(p, g->threads);
        return false;
    }
    p->rows = rows;
    p->next = s->products;
    s->products = p;
    return true;
}

/* The shape's entry, made with its weight layout when new, and as checked and not usable where oneDNN has
 * nothing fast. NULL where memory is short. */
static struct gemm_shape *shape_for(struct gemm *g, enum dtype type, int k, int n)
{
    struct gemm_shape *s = g->shapes;
    while (s && (s->type != type || s->k != k || s->n != n))
        s = s->next;
    if (s)
        return s;
    s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    *s = (struct gemm_shape){.type = type, .k = k, .n = n};
    struct desc any = {0};
    dnnl_primitive_desc_t pd = NULL;
    if (desc_plain(&any, k, n, input_type(type), dnnl_format_tag_any))
        pd = describe(g, s, LAYOUT_ROWS, &any);
    s->checked = !(pd && is_fast(pd) && desc_query(&s->packed, pd, dnnl_query_weights_md));
    dnnl_primitive_desc_destroy(pd);
    desc_fini(&any);
    s->next = g->shapes;
    g->shapes = s;
    return s;
}

static bool run_product(struct gemm *g, int thread, const struct product *p, const struct packed_block *b,
                        const void *x, void *y)
{
    struct operands *o = &p->operands[thread];
    dnnl_memory_set_data_handle(o->x, (void *)(uintptr_t)x);
    dnnl_memory_set_data_handle(o->y, y);
    dnnl_memory_set_data_handle(o->scratch, g->scratch[thread]);
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, o->x}, {DNNL_ARG_WEIGHTS, b->memory}, {DNNL_ARG_DST, o->y}, {DNNL_ARG_SCRATCHPAD, o->scratch}};
    omp_set_num_threads(1); /* a setting of the calling thread; costs nothing */
    return dnnl_primitive_execute(p->primitive, g->streams[thread], 4, args) == dnnl_success;
}

/* A spread of ordinary numbers of both signs, in f32 or as the upper halves that bf16 is. */
static void fill_inputs(char *x, size_t n, size_t element)
{
    for (size_t i = 0; i < n; i++) {
        float v = (float)(int32_t)((uint32_t)i * 2654435761u) * 0x1p-31f;
        memcpy(x + i * element, (char *)&v + (sizeof v - element), element);
    }
}

/* Compares rows of one packed block over row counts bit by bit. ST_UNSUPPORTED where one differs. */
static enum status compare_rows(struct gemm *g, struct gemm_shape *s, const struct packed_block *b)
{
    enum { MOST = 256 };
    static const int counts[] = {1, 2, 8, 24, 64, 192};
    size_t element = s->type == DTYPE_F32 ? 4 : 2, inputs = (size_t)MOST * (size_t)s->k;
    size_t outputs = (size_t)MOST * (size_t)s->n;
    char *x = aligned_alloc(64, (inputs * element + 63) / 64 * 64);
    float *want = malloc(outputs * sizeof(float)), *got = malloc(outputs * sizeof(float));
    bool memory = x && want && got, same = memory && make_product(g, s, MOST);
    if (same) {
        fill_inputs(x, inputs, element);
        same = run_product(g, 0, find_product(s, MOST), b, x, want);
    }
    for (size_t c = 0; same && c < sizeof counts / sizeof *counts; c++) {
        same = (find_product(s, counts[c]) || make_product(g, s, counts[c])) &&
               run_product(g, 0, find_product(s, counts[c]), b, x, got) &&
               memcmp(want, got, (size_t)counts[c] * (size_t)s->n * sizeof(float)) == 0;
    }
    free(x);
    free(want);
    free(got);
    return !memory ? ST_NOMEM : same ? ST_OK : ST_UNSUPPORTED;
}

static bool reorder(struct gemm *g, const struct desc *from, const void *data, dnnl_memory_t to,
                    const struct desc *to_desc)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t source = NULL;
    bool ok = dnnl_memory_create(&source, desc_view(from), g->engine, (void *)(uintptr_t)data) == dnnl_success &&
              dnnl_reorder_primitive_desc_create(&pd, desc_view(from), g->engine, desc_view(to_desc), g->engine,
                                                 NULL) == dnnl_success &&
              dnnl_primitive_create(&primitive, pd) == dnnl_success;
    if (ok) {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, to}};
        ok = dnnl_primitive_execute(primitive, g->streams[0], 2, args) == dnnl_success;
    }
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(pd);
    dnnl_memory_destroy(source);
    return ok;
}

static bool hold(struct gemm *g, dnnl_memory_t memory)
{
    struct held_memory *h = malloc(sizeof *h);
    if (!h)
        return false;
    *h = (struct held_memory){memory, g->held};
    g->held = h;
    return true;
}

static enum status fill_block(struct cpu *cpu, struct gemm_shape *s, const void *plain, struct packed_block *b,
                              struct diag *why)
{
    struct gemm *g = cpu->gemm;
    struct desc from = {0};
    dnnl_memory_t memory = NULL;
    enum status st = cpu_alloc(cpu, dnnl_memory_desc_get_size(desc_view(&s->packed)), &b->data, why);
    if (st != ST_OK)
        return st;
    bool ok = desc_plain(&from, s->k, s->n, input_type(s->type), dnnl_ba) &&
              dnnl_memory_create(&memory, desc_view(&s->packed), g->engine, b->data) == dnnl_success && hold(g, memory);
    if (!ok) {
        dnnl_memory_destroy(memory);
        desc_fini(&from);
        return diag_set(why, ST_NOMEM, "cpu: oneDNN has no memory for a block of %d x %d", s->n, s->k);
    }
    b->memory = memory;
    ok = reorder(g, &from, plain, memory, &s->packed);
    desc_fini(&from);
    if (!ok)
        return diag_set(why, ST_DEVICE, "cpu: oneDNN can't pack a block of %d x %d", s->n, s->k);
    return ST_OK;
}

/* Whether products of this shape may be used; asked once, with the first block that has it. */
static enum status check_shape(struct cpu *cpu, struct gemm_shape *s, const struct packed_block *b)
{
    enum status st = ST_OK;
    if (!make_product(cpu->gemm, s, 1))
        st = ST_UNSUPPORTED;
    else if (s->type != DTYPE_INT8 && !cpu->fast) /* integer sums are exact in any order */
        st = compare_rows(cpu->gemm, s, b);
    s->checked = st != ST_NOMEM;
    s->usable = st == ST_OK;
    return st;
}

enum status gemm_pack(struct cpu *cpu, enum dtype type, int k, const void *plain, struct packed_block *block,
                      struct diag *why)
{
    /* Without VNNI oneDNN adds pairs of products in 16 bits, which can overflow. */
    if (type == DTYPE_INT8 && !__builtin_cpu_supports("avx512vnni"))
        return ST_UNSUPPORTED;
    struct gemm_shape *s = shape_for(cpu->gemm, type, k, block->n);
    if (!s)
        return diag_set(why, ST_NOMEM, "cpu: no memory for products of %d x %d", block->n, k);
    if (s->checked && !s->usable)
        return ST_UNSUPPORTED;
    enum status st = fill_block(cpu, s, plain, block, why);
    if (st == ST_OK && !s->checked && (st = check_shape(cpu, s, block)) == ST_NOMEM)
        st = diag_set(why, st, "cpu: no memory to check products of %d x %d", block->n, k);
    if (st == ST_OK) {
        block->shape = s;
        return ST_OK;
    }
    cpu_free(cpu, block->data);
    block->data = NULL;
    return st;
}

enum status gemm_prepare(struct cpu *cpu, const struct packed *m, int rows)
{
    for (int i = 0; i < m->n_blocks; i++) {
        struct gemm_shape *s = m->blocks[i].shape;
        if (s && !find_product(s, rows) && !make_product(cpu->gemm, s, rows))
            return ST_DEVICE;
    }
    return ST_OK;
}

void gemm_run(struct cpu *cpu, int thread, const struct packed_block *block, struct gemm_piece piece, const void *x,
              void *y)
{
    const struct product *p = find_product(block->shape, piece.run);
    if (!p || !run_product(cpu->gemm, thread, p, block, x, y))
        cpu_fail(cpu, "oneDNN could not run a product");
}
