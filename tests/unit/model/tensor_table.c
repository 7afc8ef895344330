#include "model/tensor_table.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "model/tensor_list.h"

static struct config published(int hidden, int mlp, int layers)
{
    struct config c = {0};
    c.decoder = (struct decoder_config){.hidden = hidden, .mlp = mlp, .layers = layers, .vocab = 32001};
    c.vision = (struct vision_config){
        .hidden = 1024, .layers = 24, .mlp = 4096, .image_size = 336, .patch_size = 14, .grid = 24, .run_layers = 23};
    c.sampler = (struct sampler_config){.feature_dim = 1024, .n_stages = 2, .stage_points = {128, 32}};
    return c;
}

struct count {
    int64_t elements[PART_COUNT_];
    int tensors, optional, linear;
};

static bool add(void *ctx, const struct expected_tensor *t)
{
    struct count *n = ctx;
    n->elements[t->part] += tensor_elements(t->dims, t->n_dims);
    n->tensors++;
    n->optional += t->is_optional;
    n->linear += t->is_linear;
    return true;
}

Test(tensor_table, the_published_models_have_the_published_numbers_of_parameters)
{
    struct config small = published(4096, 11008, 32), big = published(5120, 13824, 40);
    struct count n = {0};
    tensor_table_each(&small, add, &n);
    cr_assert_eq(n.elements[PART_DECODER], 6738423808);
    cr_assert_eq(n.elements[PART_PROJECTOR], 4198400);
    cr_assert_eq(n.elements[PART_SAMPLER], 44069900);
    cr_assert_eq(n.elements[PART_TOWER], 303507456);
    cr_assert_eq(n.linear, 32 * 7 + 1);
    cr_assert_eq(n.optional, 16 + 2); /* the last layer and post_layernorm */
    n = (struct count){0};
    tensor_table_each(&big, add, &n);
    cr_assert_eq(n.elements[PART_DECODER], 13015874560);
    cr_assert_eq(n.elements[PART_PROJECTOR], 5248000);
    cr_assert_eq(n.elements[PART_SAMPLER], 45119500);
}

static bool stop_at_third(void *ctx, const struct expected_tensor *t)
{
    int *seen = ctx;
    cr_assert(t->name[0]);
    return ++*seen < 3;
}

Test(tensor_table, a_visit_ends_where_it_says_so_and_names_are_found)
{
    struct config c = published(4096, 11008, 32);
    struct expected_tensor t;
    int seen = 0;
    tensor_table_each(&c, stop_at_third, &seen);
    cr_assert_eq(seen, 3);
    cr_assert(tensor_table_find(&c, "model.region_geo_sampler.agg_projector_list.1.net.0.weight", &t));
    cr_assert(t.part == PART_SAMPLER && t.n_dims == 3 && t.dims[1] == 2052 && t.dims[2] == 1);
    cr_assert(tensor_table_find(&c, "vision_model.encoder.layers.23.mlp.fc2.bias", &t) && t.is_optional);
    cr_assert_not(tensor_table_find(&c, "model.layers.32.mlp.up_proj.weight", &t));
    cr_assert_not(tensor_table_find(&c, "", &t));
}
