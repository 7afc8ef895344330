/* oneDNN 2 and 3 behind one small face: version 3 made memory descriptors handles and dropped the operation
 * descriptors. Included by gemm.c, and by the bench that compares with it. A `struct desc` is freed with desc_fini;
 * zero-initialised ones are fine. */
#ifndef KERNELS_CPU_DNNL_API_H
#define KERNELS_CPU_DNNL_API_H

#include <oneapi/dnnl/dnnl.h>

#include <stdbool.h>
#include <stddef.h>

#if DNNL_VERSION_MAJOR >= 3

struct desc {
    dnnl_memory_desc_t md;
};

static inline const_dnnl_memory_desc_t desc_view(const struct desc *d)
{
    return d->md;
}

static inline bool desc_plain(struct desc *d, int rows, int cols, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    const dnnl_dims_t dims = {rows, cols};
    return dnnl_memory_desc_create_with_tag(&d->md, 2, dims, type, tag) == dnnl_success;
}

static inline bool desc_query(struct desc *d, const_dnnl_primitive_desc_t pd, dnnl_query_t what)
{
    return dnnl_memory_desc_clone(&d->md, dnnl_primitive_desc_query_md(pd, what, 0)) == dnnl_success;
}

static inline void desc_fini(struct desc *d)
{
    if (d->md)
        dnnl_memory_desc_destroy(d->md);
    d->md = NULL;
}

static inline bool matmul_describe(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const struct desc *x,
                                   const struct desc *weights, const struct desc *y, const_dnnl_primitive_attr_t attr)
{
    return dnnl_matmul_primitive_desc_create(pd, engine, x->md, weights->md, NULL, y->md, attr) == dnnl_success;
}

#else

struct desc {
    dnnl_memory_desc_t md;
};

static inline const dnnl_memory_desc_t *desc_view(const struct desc *d)
{
    return &d->md;
}

static inline bool desc_plain(struct desc *d, int rows, int cols, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    const dnnl_dims_t dims = {rows, cols};
    return dnnl_memory_desc_init_by_tag(&d->md, 2, dims, type, tag) == dnnl_success;
}

static inline bool desc_query(struct desc *d, const_dnnl_primitive_desc_t pd, dnnl_query_t what)
{
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, what, 0);
    if (md)
        d->md = *md;
    return md != NULL;
}

static inline void desc_fini(struct desc *d)
{
    (void)d; /* plain data in this version */
}

static inline bool matmul_describe(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const struct desc *x,
                                   const struct desc *weights, const struct desc *y, const_dnnl_primitive_attr_t attr)
{
    dnnl_matmul_desc_t matmul;
    return dnnl_matmul_desc_init(&matmul, &x->md, &weights->md, NULL, &y->md) == dnnl_success &&
           dnnl_primitive_desc_create(pd, &matmul, attr, engine, NULL) == dnnl_success;
}

#endif

#endif
