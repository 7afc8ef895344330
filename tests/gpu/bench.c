/* `bench FOLDER DEVICE SIZE [DTYPE...]`: measures of a device, one JSON each (tests/bench/measures.tsv says what they
 * are), on a model of seeded numbers. SIZE: "7b", or "tiny", which proves that it runs and whose speeds mean nothing.
 * Ends with 1, and one sentence, where the device is not there or a product finds no algorithm. */
#include "tests/gpu/bench.h"

#include <string.h>

#include "tests/gpu/seeded/size.h"

enum { MAX_PRODUCTS = 64, FP8_CAPABILITY = 89 };

void gpu_measure(const struct gpu_bench *b, enum dtype dtype, const char *name, double seconds, double flop,
                 double bytes)
{
    char full[64];
    double most_flops = b->limits.flops[dtype], most_bytes = b->limits.bytes;
    snprintf(full, sizeof full, "gpu.%s_%s", name, dtype_name(dtype));
    bool computes = most_flops > 0 && most_bytes > 0 && flop / most_flops > bytes / most_bytes;
    struct measure m = {.name = full, .unit = "us", .value = seconds * 1e6};
    if (computes)
        m = (struct measure){full, "TFLOP/s", flop / seconds / 1e12, most_flops / 1e12, seconds};
    else if (bytes > 0)
        m = (struct measure){full, "GB/s", bytes / seconds / 1e9, most_bytes / 1e9, seconds};
    measure_write(b->folder, &m);
}

/* Rows of 16 bytes are what every algorithm of the library wants. */
static bool is_aligned(const struct product_plan *p)
{
    int element = p->type == DTYPE_F32 ? 4 : p->type == DTYPE_F16 || p->type == DTYPE_BF16 ? 2 : 1;
    return p->K * element % 16 == 0 && p->N % 4 == 0;
}

bool gpu_products(const struct gpu_bench *b, const struct backend *be)
{
    struct product_plan plans[MAX_PRODUCTS];
    int n = b->plugin->products(be, plans, MAX_PRODUCTS);
    bool all = true;
    CHECK(n <= MAX_PRODUCTS);
    printf("\nproducts (rows x K by K x N), one cuBLASLt algorithm for every number of rows\n");
    for (int i = n - 1; i >= 0; i--) {
        const struct product_plan *p = &plans[i];
        char taken[64] = "none qualifies";
        if (p->taken >= 0)
            snprintf(taken, sizeof taken, "number %d of %d", p->taken + 1, p->offered);
        else if (!is_aligned(p))
            snprintf(taken, sizeof taken, "own kernel: rows of no whole 16 bytes");
        all = all && (p->taken >= 0 || !is_aligned(p));
        printf("  %-5s K %6d  N %6d  %s\n", dtype_name(p->type), p->K, p->N, taken);
    }
    if (!all)
        fprintf(stderr, "bench-gpu: a product found no algorithm that gives a row the same bits for every number of "
                        "rows (the table says which): it would run on the backend's own kernel\n");
    return all;
}

static void print_device(const struct gpu_bench *b, bool known)
{
    const struct device_facts *f = &b->facts;
    printf(
        "%s: %s, compute capability %d.%d, %d multiprocessors at %.0f MHz, memory %d bits at %.0f MHz, %zu MiB free\n",
        b->device, f->name, f->capability / 10, f->capability % 10, f->processors, f->clock_khz / 1e3, f->bus_bits,
        f->memory_clock_khz / 1e3, f->free_bytes >> 20);
    printf("limits: %.0f GB/s", b->limits.bytes / 1e9);
    for (int d = 0; d < DTYPE_COUNT_; d++)
        if (b->limits.flops[d] > 0)
            printf(", %s %.1f TFLOP/s", dtype_name((enum dtype)d), b->limits.flops[d] / 1e12);
    puts(known ? "" : "; tests/gpu/limits.c does not know this compute capability: no share of its products' rate");
}

static bool runs(const struct gpu_bench *b, enum dtype dtype)
{
    if (dtype != DTYPE_FP8 || b->facts.capability >= FP8_CAPABILITY)
        return true;
    printf("\nfp8: needs compute capability 8.9\n");
    return false;
}

int main(int argc, char **argv)
{
    struct gpu_bench b = {0};
    enum dtype dtypes[DTYPE_COUNT_] = {DTYPE_BF16, DTYPE_FP8};
    int n = argc > 4 ? 0 : 2;
    bool well = true;
    struct diag refusal = {{0}};
    if (argc < 4 || argc > 4 + DTYPE_COUNT_ || !seeded_config(argv[3], &b.config)) {
        fprintf(stderr, "usage: bench FOLDER DEVICE 7b|tiny [DTYPE...]\n");
        return 2;
    }
    b.folder = argv[1];
    b.device = argv[2];
    b.size = argv[3];
    b.tiny = strcmp(b.size, "7b") != 0;
    b.threads = strncmp(b.device, "cuda", 4) == 0;
    for (int i = 4; i < argc; i++)
        MUST(dtype_parse(argv[i], &dtypes[n++], why));
    if (plugin_load(b.device, &b.plugin, &refusal) != ST_OK ||
        b.plugin->device(b.device, &b.facts, &refusal) != ST_OK) {
        fprintf(stderr, "bench-gpu: %s\n", refusal.text);
        return 1;
    }
    print_device(&b, gpu_limits_of(&b.facts, &b.limits));
    for (int i = 0; i < n; i++) {
        if (!runs(&b, dtypes[i]))
            continue;
        well = gpu_bench_model(&b, dtypes[i]) && well;
        gpu_bench_kernels(&b, dtypes[i], i == 0);
    }
    return well ? 0 : 1;
}
