/* Rows that are moved, not computed: embedding, patches, selection. Bound by bandwidth: 8 bytes a number. */
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/value.cuh"

namespace
{

template <class T> __global__ void embed_rows(float *x, embed_sources from, int cols)
{
    int row = static_cast<int>(blockIdx.x), kind = from.kind[row], index = from.index[row];
    float *out = x + static_cast<size_t>(row) * cols;
    if (kind == SOURCE_IMAGE || kind == SOURCE_REGION) {
        const float *src =
            (kind == SOURCE_IMAGE ? from.image_rows : from.region_rows) + static_cast<size_t>(index) * cols;
        for (int i = threadIdx.x; i < cols; i += BLOCK)
            out[i] = src[i];
        return;
    }
    int token = kind == SOURCE_SLOT ? from.last_token[index] : index;
    const T *src = static_cast<const T *>(from.table) + static_cast<size_t>(token) * cols;
    for (int i = threadIdx.x; i < cols; i += BLOCK)
        out[i] = value<T>::widen(src[i]);
}

__global__ void take_rows(float *dst, const float *src, const int32_t *rows, int cols)
{
    const float *from = src + static_cast<size_t>(rows[blockIdx.x]) * cols;
    for (int i = threadIdx.x; i < cols; i += BLOCK)
        dst[static_cast<size_t>(blockIdx.x) * cols + i] = from[i];
}

__global__ void patch_rows(float *out, const float *pixels, int side, int patch)
{
    int grid = side / patch, cols = 3 * patch * patch;
    int image = blockIdx.x / (grid * grid), place = blockIdx.x % (grid * grid);
    const float *from = pixels + static_cast<size_t>(image) * 3 * side * side;
    for (int i = threadIdx.x; i < cols; i += BLOCK) {
        int c = i / (patch * patch), y = place / grid * patch + i / patch % patch, x = place % grid * patch + i % patch;
        out[static_cast<size_t>(blockIdx.x) * cols + i] = from[(static_cast<size_t>(c) * side + y) * side + x];
    }
}

__global__ void vision_rows(float *x, const float *patches, int n_patches, int cols, const float *class_embedding,
                            const float *position)
{
    int image = blockIdx.x / (n_patches + 1), place = blockIdx.x % (n_patches + 1);
    const float *from =
        place == 0 ? class_embedding : patches + (static_cast<size_t>(image) * n_patches + place - 1) * cols;
    for (int i = threadIdx.x; i < cols; i += BLOCK)
        x[static_cast<size_t>(blockIdx.x) * cols + i] = from[i] + position[static_cast<size_t>(place) * cols + i];
}

__global__ void patch_only_rows(float *dst, const float *x, int n_patches, int cols)
{
    size_t from = blockIdx.x / n_patches * static_cast<size_t>(n_patches + 1) + 1 + blockIdx.x % n_patches;
    for (int i = threadIdx.x; i < cols; i += BLOCK)
        dst[static_cast<size_t>(blockIdx.x) * cols + i] = x[from * cols + i];
}

} // namespace

void cuda_embed(cudaStream_t s, enum dtype d, float *x, int rows, int cols, const embed_sources &from)
{
    if (rows == 0)
        return;
    if (d == DTYPE_F16)
        LAUNCH((embed_rows<__half>), rows, BLOCK, 0, s, x, from, cols);
    else if (d == DTYPE_BF16)
        LAUNCH((embed_rows<__nv_bfloat16>), rows, BLOCK, 0, s, x, from, cols);
    else
        LAUNCH((embed_rows<float>), rows, BLOCK, 0, s, x, from, cols);
}

void cuda_take_rows(cudaStream_t s, float *dst, const float *src, const int32_t *rows, int n, int cols)
{
    if (n > 0)
        LAUNCH(take_rows, n, BLOCK, 0, s, dst, src, rows, cols);
}

void cuda_patchify(cudaStream_t s, float *out, const float *pixels, int images, int side, int patch)
{
    int rows = images * (side / patch) * (side / patch);
    if (rows > 0)
        LAUNCH(patch_rows, rows, BLOCK, 0, s, out, pixels, side, patch);
}

void cuda_vision_embed(cudaStream_t s, float *x, const float *patches, int images, int n_patches, int cols,
                       const float *class_embedding, const float *position)
{
    if (images > 0)
        LAUNCH(vision_rows, images * (n_patches + 1), BLOCK, 0, s, x, patches, n_patches, cols, class_embedding,
               position);
}

void cuda_drop_class(cudaStream_t s, float *dst, const float *x, int images, int n_patches, int cols)
{
    if (images > 0)
        LAUNCH(patch_only_rows, images * n_patches, BLOCK, 0, s, dst, x, n_patches, cols);
}
