/* Mistakes with cuBLASLt: a combination that it does not have, and a plan that takes the first algorithm. */
#include "tests/simt/faults.cuh"

#include <cublasLt.h>

#include <cstdio>
#include <cstring>
#include <initializer_list>

namespace
{

enum { K = 32, N = 16, FEW = 16, MANY = 96 };

struct product {
    cublasLtHandle_t handle = nullptr;
    cublasLtMatmulDesc_t operation = nullptr;
    cublasLtMatmulPreference_t wish = nullptr;
    float *a = nullptr, *b = nullptr, *d = nullptr;
    cudaStream_t s = nullptr;

    product()
    {
        cublasOperation_t transposed = CUBLAS_OP_T;
        size_t bytes = MANY * K * sizeof(float);
        float host[MANY * K];
        for (int i = 0; i < MANY * K; i++)
            host[i] = 1.0f / static_cast<float>(1 + i * 7 % 61);
        cublasLtCreate(&handle);
        cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F);
        cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed);
        cublasLtMatmulPreferenceCreate(&wish);
        cudaStreamCreate(&s);
        for (float **p : {&a, &b, &d}) {
            cudaMalloc(reinterpret_cast<void **>(p), bytes);
            cudaMemcpy(*p, host, bytes, cudaMemcpyHostToDevice);
        }
    }

    /* The first M rows, whose first one comes to `row`; by algorithm number `choice` of the heuristics. */
    cublasStatus_t run(int M, cudaDataType out, int choice, float *row)
    {
        cublasLtMatrixLayout_t la, lb, ld;
        cublasLtMatmulHeuristicResult_t found[8];
        int n = 0;
        float one = 1, zero = 0;
        cublasLtMatrixLayoutCreate(&lb, CUDA_R_32F, K, N, K);
        cublasLtMatrixLayoutCreate(&la, CUDA_R_32F, K, static_cast<uint64_t>(M), K);
        cublasLtMatrixLayoutCreate(&ld, out, N, static_cast<uint64_t>(M), N);
        cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle, operation, lb, la, ld, ld, wish, 8, found, &n);
        if (status == CUBLAS_STATUS_SUCCESS)
            status = cublasLtMatmul(handle, operation, &one, b, lb, a, la, &zero, d, ld, d, ld,
                                    &found[choice < n ? choice : n - 1].algo, a, 0, s);
        cudaMemcpyAsync(row, d, N * sizeof(float), cudaMemcpyDeviceToHost, s);
        cudaStreamSynchronize(s);
        return status;
    }
};

} // namespace

void library_combination(bool fault)
{
    product p;
    float row[N];
    if (p.run(FEW, fault ? CUDA_R_16F : CUDA_R_32F, 2, row) == CUBLAS_STATUS_NOT_SUPPORTED)
        fprintf(stderr, "cuBLASLt says that it is not supported\n");
}

void library_plan(bool fault)
{
    product p;
    float few[N], many[N];
    int choice = fault ? 1 : 2;
    if (p.run(FEW, CUDA_R_32F, choice, few) == CUBLAS_STATUS_SUCCESS &&
        p.run(MANY, CUDA_R_32F, choice, many) == CUBLAS_STATUS_SUCCESS && memcmp(few, many, sizeof few) != 0)
        fprintf(stderr, "a row's bits depend on how many there are\n");
}

void library_split(bool fault)
{
    product p;
    float whole[N], split[N];
    if (p.run(FEW, CUDA_R_32F, 2, whole) == CUBLAS_STATUS_SUCCESS &&
        p.run(FEW, CUDA_R_32F, fault ? 0 : 2, split) == CUBLAS_STATUS_SUCCESS &&
        memcmp(whole, split, sizeof whole) != 0)
        fprintf(stderr, "another algorithm, other bits\n");
}
