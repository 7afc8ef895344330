/* The CUDA kernels under the SIMT machine against the scalar CPU backend. `cuda [forward|reverse|random]...` */
#include "tests/kernels/twin.cuh"
#include "tests/simt/machine.cuh"

#include <cstdio>
#include <cstring>

static const struct {
    const char *name;
    void (*run)(twin &t);
    bool f16; /* has a part that needs no CPU twin */
} FAMILIES[] = {{"norm", test_norm, true},      {"rows", test_rows, false},           {"epilogue", test_epilogue, true},
                {"region", test_region, false}, {"attention", test_attention, false}, {"sample", test_sample, false}};

static bool run_all(simt::schedule order, const char *name)
{
    bool all_well = true;
    simt::config().order = order;
    simt::config().os_threads = 2;
    for (const auto &family : FAMILIES) {
        bool well = true;
        for (enum dtype d : {DTYPE_F32, DTYPE_BF16, DTYPE_F16}) {
            if (d == DTYPE_F16 && !family.f16)
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
