/* The CUDA operations beside the scalar CPU backend: values, device copies, handles, comparisons. A failed comparison
 * is printed and remembered; what a case makes lives to its end. */
#ifndef TESTS_KERNELS_TWIN_CUH
#define TESTS_KERNELS_TWIN_CUH

#include "kernels/cuda/ops.cuh"

#include <memory>
#include <vector>

struct twin {
    cudaStream_t s;
    enum dtype dtype;
    struct backend *be; /* the scalar CPU backend of that dtype; NULL for f16 and FP8, which it can't do */
    bool well = true;

    explicit twin(enum dtype d);
    /* Beside the CPU in another dtype, for those that it can't do. */
    twin(enum dtype d, enum dtype reference);
    /* The same conveniences on another backend, borrowed. */
    twin(const twin &like, struct backend *other);
    ~twin();
    twin(const twin &) = delete;
    twin &operator=(const twin &) = delete;

    /* Device memory that holds these, freed with the twin. */
    template <class T> T *send(const std::vector<T> &values)
    {
        return static_cast<T *>(send_bytes(values.data(), values.size() * sizeof(T)));
    }
    template <class T> T *room(size_t n)
    {
        return static_cast<T *>(send_bytes(nullptr, n * sizeof(T)));
    }
    template <class T> std::vector<T> fetch(const T *device, size_t n)
    {
        std::vector<T> host(n);
        fetch_bytes(host.data(), device, n * sizeof(T));
        return host;
    }

    struct act *act(const std::vector<float> &values, int cols);
    struct act *act(int rows, int cols);
    struct weight *weight(enum weight_use use, const std::vector<float> &values, int cols);
    struct weight *vector(const std::vector<float> &values);
    struct array *ints(const std::vector<int32_t> &values);
    struct array *floats(const std::vector<float> &values);
    std::vector<float> rows_of(const struct act *a, int rows);
    std::vector<int32_t> ints_of(const struct array *a, size_t n);
    std::vector<float> floats_of(const struct array *a, size_t n);

    /* sqrt(sum (got - want)^2 / sum want^2) <= bound; 0 asks for equal values. */
    void close(const std::vector<float> &got, const std::vector<float> &want, double bound, const char *what);
    void same(const std::vector<int32_t> &got, const std::vector<int32_t> &want, const char *what);
    /* The copy in the compute dtype is the f32 result rounded. */
    void copied(const void *copy, const std::vector<float> &values, const char *what);
    void fail(const char *what);

  private:
    bool borrowed = false;
    std::vector<void *> held;
    /* Sources of copies that have not run: streams are lazy. */
    std::vector<std::unique_ptr<char[]>> sources;
    void *send_bytes(const void *from, size_t n);
    void fetch_bytes(void *to, const void *from, size_t n);
};

/* n numbers in [-1, 1), the same for the same seed. */
std::vector<float> numbers(uint64_t seed, size_t n);
/* Rows of very different size, so that one row's leftovers show in the next. */
std::vector<float> uneven(uint64_t seed, int rows, int cols);
float round_to(enum dtype d, float x);
size_t copy_bytes(enum dtype d); /* of one number of the compute dtype */

void test_norm(twin &t);
void test_rows(twin &t);
void test_epilogue(twin &t);
void test_region(twin &t);
void test_attention(twin &t);
void test_gemm(twin &t);
void test_linear(twin &t);
void test_sample(twin &t);

#endif
