/* The CUDA kernels, emulated or on a GPU, against the scalar CPU backend. `cuda [ORDER]...`: the first one unless said.
 */
#include "tests/kernels/order.cuh"
#include "tests/kernels/twin.cuh"

#include <cstdio>
#include <cstring>

enum { PLAIN = 1 << DTYPE_F32 | 1 << DTYPE_BF16, F16 = 1 << DTYPE_F16, SCALED = 1 << DTYPE_INT8 | 1 << DTYPE_FP8 };
static const struct {
    const char *name;
    void (*run)(twin &t);
    int dtypes;
} FAMILIES[] = {{"norm", test_norm, PLAIN | F16},
                {"rows", test_rows, PLAIN},
                {"epilogue", test_epilogue, PLAIN | F16},
                {"own products", test_gemm, PLAIN | F16 | 1 << DTYPE_INT8},
                {"linear", test_linear, PLAIN | F16 | SCALED},
                {"region", test_region, PLAIN},
                {"attention", test_attention, PLAIN | F16},
                {"sample", test_sample, PLAIN}};

static bool run_all(int order)
{
    bool all_well = true;
    const char *name = order_name(order), *why = order_take(order);
    if (why) {
        printf("FAIL cuda kernels: %s\n", why);
        return false;
    }
    for (const auto &family : FAMILIES) {
        bool well = true;
        for (enum dtype d : {DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_INT8, DTYPE_FP8}) {
            if (!(family.dtypes >> d & 1))
                continue;
            twin t(d);
            family.run(t);
            well = well && t.well;
        }
        printf("%s cuda kernels: %s, %s order\n", well ? "PASS" : "FAIL", family.name, name);
        all_well = all_well && well;
    }
    return all_well;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, nullptr, _IOLBF, 0); /* a mistake ends the process */
    bool well = true;
    for (int i = 0; i < order_count(); i++) {
        bool wanted = argc == 1 && i == 0;
        for (int a = 1; a < argc; a++)
            wanted = wanted || strcmp(argv[a], order_name(i)) == 0;
        if (wanted)
            well = run_all(i) && well;
    }
    return well ? 0 : 1;
}
