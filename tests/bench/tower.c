/* The vision tower and the region sampler at their published sizes, f32, random weights. A tower layer is the
 * difference of four layers and two, 1 and 8 images at once, in GFLOP/s of its linear layers against oneDNN's own
 * largest product of the tower; the sampler runs 8 regions at once, against the machine's f32 peak, and its
 * multiply-adds are counted against those of the unfolded form. `tower FOLDER`. */
#include <unistd.h>

#include "model/sampler.h"
#include "model/vision.h"
#include "tests/bench/alone.h"
#include "tests/bench/stack.h"

enum {
    IMAGES = 8,
    REGIONS = 8,
    LAYERS = 4,
    FEW = 2,
    ROUNDS = 4,
    SAMPLER_TURNS = 4,
    WIDTH = 1024,
    MLP = 4096,
    OUT = 4096
};

struct tower {
    struct config config;
    struct backend *be;
    struct vision_layer layers[LAYERS];
    struct vision_weights vision_weights;
    struct sampler_weights sampler_weights;
    struct vision vision;
    struct sampler sampler;
    struct act *region_rows;
    float *pixels, *noise;
};

static struct weight *linear(struct tower *t, enum weight_use use, int rows, int cols)
{
    return stack_pack(t->be, use, t->noise, rows, cols);
}

static struct weight *vector(struct tower *t, int n)
{
    return stack_pack(t->be, WEIGHT_VECTOR, NULL, 1, n);
}

static void load_vision(struct tower *t)
{
    const struct vision_config *c = &t->config.vision;
    int C = c->hidden, P = c->grid * c->grid;
    for (int i = 0; i < LAYERS; i++)
        t->layers[i] = (struct vision_layer){.norm1 = vector(t, C),
                                             .norm1_bias = vector(t, C),
                                             .qkv = linear(t, WEIGHT_LINEAR, 3 * C, C),
                                             .qkv_bias = vector(t, 3 * C),
                                             .out = linear(t, WEIGHT_LINEAR, C, C),
                                             .out_bias = vector(t, C),
                                             .norm2 = vector(t, C),
                                             .norm2_bias = vector(t, C),
                                             .fc1 = linear(t, WEIGHT_LINEAR, c->mlp, C),
                                             .fc1_bias = vector(t, c->mlp),
                                             .fc2 = linear(t, WEIGHT_LINEAR, C, c->mlp),
                                             .fc2_bias = vector(t, C)};
    t->vision_weights = (struct vision_weights){.patch = linear(t, WEIGHT_LINEAR, C, 3 * c->patch_size * c->patch_size),
                                                .class_embedding = vector(t, C),
                                                .position = stack_pack(t->be, WEIGHT_VECTOR, NULL, 1, (P + 1) * C),
                                                .pre_norm = vector(t, C),
                                                .pre_norm_bias = vector(t, C),
                                                .layers = t->layers,
                                                .projector = linear(t, WEIGHT_LINEAR, t->config.decoder.hidden, C),
                                                .projector_bias = vector(t, t->config.decoder.hidden)};
}

static void load_sampler(struct tower *t)
{
    const struct sampler_config *c = &t->config.sampler;
    int C = c->feature_dim;
    for (int i = 0; i < c->n_stages; i++)
        t->sampler_weights.stages[i] = (struct stage_weights){.fold = linear(t, WEIGHT_LINEAR_F32, C, C + 2),
                                                              .anchor = linear(t, WEIGHT_LINEAR_F32, C, C + 2),
                                                              .anchor_bias = vector(t, C),
                                                              .norm = vector(t, C),
                                                              .norm_bias = vector(t, C)};
    int last = c->stage_points[c->n_stages - 1];
    t->sampler_weights.flatten = linear(t, WEIGHT_LINEAR_F32, C, last * (C + 2));
    t->sampler_weights.flatten_bias = vector(t, C);
    t->sampler_weights.dim = linear(t, WEIGHT_LINEAR_F32, t->config.decoder.hidden, C);
    t->sampler_weights.dim_bias = vector(t, t->config.decoder.hidden);
}

static void tower_open(struct tower *t, float *noise)
{
    *t = (struct tower){.noise = noise,
                        .config = {.decoder = {.hidden = OUT},
                                   .vision = {.hidden = WIDTH,
                                              .layers = LAYERS,
                                              .heads = 16,
                                              .mlp = MLP,
                                              .image_size = 336,
                                              .patch_size = 14,
                                              .grid = 24,
                                              .run_layers = LAYERS,
                                              .layer_norm_eps = 1e-5f},
                                   .sampler = {.feature_dim = WIDTH,
                                               .points = 512,
                                               .n_stages = 2,
                                               .stage_points = {128, 32},
                                               .stage_neighbors = {24, 24},
                                               .max_pool = true,
                                               .transposed = true}}};
    struct backend_options o = {.device = "cpu", .dtype = DTYPE_F32, .isa = "auto", .memory_bytes = (size_t)4 << 30};
    size_t pixels = (size_t)3 * 336 * 336;
    CHECK(backend_open(&o, &t->be, NULL) == ST_OK && (t->pixels = malloc(pixels * sizeof *t->pixels)));
    for (size_t i = 0; i < pixels; i++)
        t->pixels[i] = noise[i % STACK_NOISE];
    load_vision(t);
    load_sampler(t);
    CHECK(vision_init(&t->vision, t->be, &t->config, &t->vision_weights, IMAGES, NULL) == ST_OK);
    CHECK(sampler_init(&t->sampler, t->be, &t->config, &t->sampler_weights, REGIONS, NULL) == ST_OK);
    CHECK(backend_act(t->be, REGIONS, OUT, &t->region_rows, NULL) == ST_OK);
}

static void tower_close(struct tower *t)
{
    sampler_fini(&t->sampler);
    backend_close(t->be);
    free(t->pixels);
}

static double encode(struct tower *t, int layers, int images)
{
    const float *pixels[IMAGES];
    for (int i = 0; i < images; i++)
        pixels[i] = t->pixels;
    t->config.vision.run_layers = layers;
    struct watch w = watch_start();
    CHECK(vision_encode(&t->vision, pixels, images, NULL) == ST_OK && backend_sync(t->be, NULL) == ST_OK);
    return watch_seconds(&w, cpu_of(t->be)->threads);
}

static void measure_tower(struct tower *t, const char *folder)
{
    static const int counts[] = {1, IMAGES};
    int rows = 577, threads = cpu_of(t->be)->threads;
    double times[2][2] = {{0}}, alone = 0, product = 2.0 * IMAGES * rows * WIDTH * MLP;
    struct alone a;
    bool other = alone_open(&a, DTYPE_F32, threads, IMAGES * rows, WIDTH, MLP);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 2; i++) {
            times[i][0] = less(times[i][0], encode(t, FEW, counts[i]));
            times[i][1] = less(times[i][1], encode(t, LAYERS, counts[i]));
        }
        if (other) {
            omp_set_num_threads(threads);
            struct watch w = watch_start();
            alone_run(&a);
            alone = more(alone, product / watch_seconds(&w, threads) / 1e9);
            usleep(ALONE_SETTLE_US);
        }
    }
    if (other)
        alone_close(&a);
    for (int i = 0; i < 2; i++) {
        double layer = (times[i][1] - times[i][0]) / (LAYERS - FEW);
        double flop = 2.0 * counts[i] * rows * (4.0 * WIDTH * WIDTH + 2.0 * WIDTH * MLP);
        measure_write(folder, &(struct measure){i ? "cpu.vision" : "cpu.vision1", "GFLOP/s",
                                                layer > 0 ? flop / layer / 1e9 : 0, alone, 0});
    }
}

/* Multiply-adds of a region, as it runs here: each point once through the folded product, each anchor once, then the
 * two products behind the last stage. */
static double folded_macs(const struct sampler_config *c)
{
    double C = c->feature_dim, macs = 0;
    for (int i = 0; i < c->n_stages; i++)
        macs += ((i ? c->stage_points[i - 1] : c->points) + c->stage_points[i]) * (C + 2) * C;
    return macs + c->stage_points[c->n_stages - 1] * (C + 2) * C + C * OUT;
}

/* As the published code runs it: every neighbour of every anchor through both products of a stage. */
static double plain_macs(const struct sampler_config *c)
{
    double C = c->feature_dim, macs = c->stage_points[c->n_stages - 1] * C * C + C * OUT;
    for (int i = 0; i < c->n_stages; i++)
        macs += (double)c->stage_points[i] * c->stage_neighbors[i] * ((C + 2) * (C + 2) + 2 * (C + 2) * C);
    return macs;
}

static void measure_sampler(struct tower *t, const char *folder)
{
    struct region_spec spec = {.kind = REGION_BOX, .box = {40, 30, 520, 400}};
    struct region region;
    struct drawn_region drawn[REGIONS];
    const struct drawn_region *list[REGIONS];
    int slots[REGIONS] = {0};
    int32_t rows[REGIONS];
    const struct sampler_config *c = &t->config.sampler;
    double seconds = 0, peak = 0;
    CHECK(region_make(&spec, 640, 480, &region, NULL) == ST_OK);
    for (int i = 0; i < REGIONS; i++) {
        CHECK(drawn_region_init(&drawn[i], c, &region, (uint64_t)i) == ST_OK);
        list[i] = &drawn[i];
        rows[i] = i;
    }
    for (int round = 0; round < ROUNDS * SAMPLER_TURNS; round++) {
        struct watch w = watch_start();
        CHECK(sampler_run(&t->sampler, t->vision.features, list, slots, rows, REGIONS, t->region_rows, NULL, NULL) ==
                  ST_OK &&
              backend_sync(t->be, NULL) == ST_OK);
        seconds = less(seconds, watch_seconds(&w, cpu_of(t->be)->threads));
        peak = more(peak, peak_gflops(DTYPE_F32, cpu_of(t->be)->threads));
    }
    double macs = folded_macs(c);
    measure_write(folder, &(struct measure){"cpu.sampler", "GFLOP/s", 2 * macs * REGIONS / seconds / 1e9, peak, 0});
    measure_write(folder, &(struct measure){"cpu.sampler_work", "GMAC", macs / 1e9, plain_macs(c) / 1e9, 0});
    for (int i = 0; i < REGIONS; i++)
        drawn_region_fini(&drawn[i]);
    region_fini(&region);
}

int main(int argc, char **argv)
{
    static struct tower t;
    CHECK(argc > 1);
    if (!peak_runs()) {
        puts("tower: needs AVX2");
        return 0;
    }
    float *noise = stack_noise();
    tower_open(&t, noise);
    measure_tower(&t, argv[1]);
    measure_sampler(&t, argv[1]);
    tower_close(&t);
    free(noise);
    return 0;
}
