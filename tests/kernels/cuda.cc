/* The CUDA kernels under the SIMT machine against the scalar CPU backend. `cuda [forward|reverse|random]...` */
#include "tests/kernels/twin.cuh"
#include "tests/simt/machine.cuh"

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
                {"attention", test_attention, PLAIN},
                {"sample", test_sample, PLAIN}};

static bool run_all(simt::schedule order, const char *name)
{
    bool all_well = true;
    simt::config().order = order;
    simt::config().os_threads = 2;
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
    static const char *const names[] = {"forward", "reverse", "random"};
    bool well = true;
    for (int i = 0; i < 3; i++) {
        bool wanted = argc == 1 && i == 0;
        for (int a = 1; a < argc; a++)
            wanted = wanted || strcmp(argv[a], names[i]) == 0;
        if (wanted)
            well = run_all(static_cast<simt::schedule>(i), names[i]) && well;
    }
    return well ? 0 : 1;
}
