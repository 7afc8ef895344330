#include "model/preprocess.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "model/resize.h"

/* Made by preprocess_vectors.py. */
struct vector {
    int width, height, size, hard;
    const char *sha256;
};
static const struct vector vectors[] = {
    /* Pillow 9.4.0 */
    {336, 336, 336, 0, "8e2657ca8fcfb2b0c07c07454418fa20c98d5ae39b395b3309d9d886d8d5b41b"},
    {336, 336, 336, 1, "50148bd39a05019cde4818c13351b0a45bc1b185e3621afabb1e89260b9034e2"},
    {1, 1, 336, 0, "e7308385ae0629ac3377853134adb34de3a572528a531ceee1e694de13ac3140"},
    {1, 1, 336, 1, "1b3a3315f1acbd906b7e7ab0fb69fadad2ba1d6e6f4314256789bad62c52bbef"},
    {1, 97, 336, 0, "9a3880a348580e64e70fbf89fd254bdca32b2e720e490e8ed69505b10a91d60c"},
    {1, 97, 336, 1, "ea2001c73521116dd9c2b7c4443f19d87b968a086217a386a6b727057822b611"},
    {257, 1, 336, 0, "84e1d4a48f9f44d2a642f52f6faed7e94665c96c0c762db42a3d25c0626069d4"},
    {257, 1, 336, 1, "37b13c8d0dbff21330fda6fbbc7c9917b8eb8a37b8784d3f7116fd5fcfeb43b7"},
    {3, 64, 336, 0, "fe179fd75d1e1c8a9b6619174088ffd1bc432298a30a68c17fc1826e102325f3"},
    {3, 64, 336, 1, "0fc634f68291ac5146565ff38a0235fa84b2c11a7a5a8fa5fc590766ba1f5ece"},
    {40, 3, 336, 0, "ddbb165710f3672185e8defef1a855d0e7423d8ffef0075f0ad35569b1247b5a"},
    {40, 3, 336, 1, "61c4dc9e1115cb54bccdbd9e7d7ee6db6584330119733b1646ef45213b49d209"},
    {97, 53, 336, 0, "faf86aa7dd615b6216ef043a5846603e4e5b82d3d34e0e4bfcad3e0f52e653ee"},
    {97, 53, 336, 1, "9494d65a6b00c0984f098306d43a3ddaa9f5b9f7d9bf3adad70c877895cc2efd"},
    {335, 337, 336, 0, "753b31e06c59c3bbc855ad6169e4698fe7593140b07598ccbd2ff8b6fefabd20"},
    {335, 337, 336, 1, "291764582f6d803597bc88ab5d699c825a397c1c5fe93a341b0bb9dfb5be33d5"},
    {336, 410, 336, 0, "4ea9e08b41ab1e3aec63c950755b2929f2a490b295fc49f14b2cd6e51a0ae12e"},
    {336, 410, 336, 1, "8c6b19d607b518c4c05be99aeabd2da7f184ab77dfc430b6123bb1410c95acd2"},
    {410, 336, 336, 0, "04eec41c6dfecc8ca179b7ebd6b3845db9cbe68e4dbbf2a61840def22baf348d"},
    {410, 336, 336, 1, "b7a4fc1901e688a10c232dfdf13c6f1fa2978e94ad6afe59a054d7d0d8d3679a"},
    {640, 480, 336, 0, "a018e5948240b58eed584b4778d5b59d696eab0d66b3331d5a49e6a7ce9b167c"},
    {640, 480, 336, 1, "667ca4f1c1fd3ff2477f1a6cccd7f2bad48b23ac00602d1a0dd8fe98a1d567c5"},
    {500, 300, 336, 0, "7e31d2b9ee7c02bc3ee6f63d44fbb626ce2f0a8c4ccee2c4f7457e6027f46022"},
    {500, 300, 336, 1, "d4cd963d160e3347be241f664b7dc79b164eb136df9d3ea38d79b80a4ef052d6"},
    {1021, 777, 336, 0, "762e3cf02d39b909f141d9a5279120a79bbe17a2a534b6466aadde6f772589a4"},
    {1021, 777, 336, 1, "04c2b63d7e19910cf789b500e304f6d0556cdd7b3c0af71100a13b44dfe4c935"},
    {2000, 31, 336, 0, "e6a9dbf458ff9d76c3de7092d64659df1322f9e1611e61e3a4d120f74e1fda39"},
    {2000, 31, 336, 1, "1c8c507be1b4873f8e921e33088facdaae8a50f0e0dd80d204d2e567f30b6989"},
    {31, 2000, 336, 0, "f1a5f0fbb3983e39c3b8b3f276cca517f1eed6e19111956494c0168c31ba0fa8"},
    {31, 2000, 336, 1, "8301d338c06b63585d566595317aea35305e54034764f8ea2adc16313ae143da"},
    {1, 5000, 336, 0, "8240e3f1449fd31dc7b0187d67f5f97f26e2ac5c88fd845dc41df3ae6b4db594"},
    {1, 5000, 336, 1, "413124dc194e1a68d3dc5b161c4555450dc94100611760520f8cb38ed719a330"},
    {5000, 1, 336, 0, "c652f21bf57a4de89a9cec577ab3fd315221bde482918eec79f0d9c1ea026a3a"},
    {5000, 1, 336, 1, "a04e4ecb8310b1d039656220e181467450617a5d07cf14b747aa892d0a5e2181"},
    {97, 53, 14, 0, "2ede6e7074e6a19366643af4e463b8dd7f409151b7d0b5ee095f423c03d4bf76"},
    {97, 53, 14, 1, "21aa222ee53d72ac73b95bcb7305e743634eece09822ac485a3edacffef74684"},
    {335, 337, 14, 0, "e80ce94add03e803b572d66908484b253cc5fb460bce6c7c85eb0d1eccb440d8"},
    {335, 337, 14, 1, "daf6552bb2bcb9160010abde45c0eaa206e3ee53b9235ab20d8ac06e52b35e99"},
    {640, 480, 14, 0, "66ef283c8fe71c7cbb620dd38ff9813965a66438e57ab6d62c9de331f49cc470"},
    {640, 480, 14, 1, "1f70a8c1c60853fcbd4bf653b35756228114dbdf27c86745e5c7361b166d839d"},
    {97, 53, 48, 0, "422de0525dc8406fa5b944a6ef202f871d7610f322557e56ae96ab557a819e47"},
    {97, 53, 48, 1, "e0027c1355fffbedacc0285da72304d07722476da009cc7de0c99222ae8f3d33"},
    {335, 337, 48, 0, "5693b517e751369a8d662b326df07369156cf25e5cc8a4711273bb4c6484475a"},
    {335, 337, 48, 1, "c3d594c9b7436b9b3cf9aed4ca397988804ec099703fcdad3b4725764d83c7e1"},
    {640, 480, 48, 0, "667bc46ab2f274f6a3e844d37e5542126a1aca49672f10d19d249e61043b803a"},
    {640, 480, 48, 1, "68a8326ccf4e1cbed85b7594f92f49b164092a30c8dd5d6608b85133af03ec8e"},
};
enum { N_VECTORS = sizeof vectors / sizeof *vectors };

/* Noise over all values, or (hard) only 0 and 255, which overshoots on both sides. Not a byte more is allocated, so
 * that a read beyond the picture shows under a sanitizer. */
static uint8_t *picture(int width, int height, int hard)
{
    size_t n = (size_t)width * (size_t)height * 3;
    uint8_t *p = malloc(n);
    cr_assert_not_null(p);
    for (size_t i = 0; i < n; i++) {
        uint32_t h = (uint32_t)i * 2654435761u;
        h = (h ^ h >> 15) * 2246822519u;
        p[i] = (uint8_t)(h >> 24);
        if (hard)
            p[i] = p[i] & 1 ? 255 : 0;
    }
    return p;
}

static void check_vectors(const struct resize_ops *ops)
{
    for (int i = 0; i < N_VECTORS; i++) {
        const struct vector *v = &vectors[i];
        size_t n = (size_t)v->size * (size_t)v->size * 3;
        uint8_t *rgb = picture(v->width, v->height, v->hard), *out = malloc(n);
        cr_assert_not_null(out);
        cr_assert_eq(resize_bicubic_with(ops, rgb, v->width, v->height, v->size, out), ST_OK);
        uint8_t digest[SHA256_BYTES];
        char hex[SHA256_HEX];
        sha256_of(out, n, digest);
        sha256_hex(digest, hex);
        cr_assert_str_eq(hex, v->sha256, "%s: %d x %d -> %d, hard %d", ops->name, v->width, v->height, v->size,
                         v->hard);
        free(rgb);
        free(out);
    }
}

Test(resize, scalar_equals_pillow_bit_for_bit)
{
    check_vectors(resize_ops_select(0));
}

Test(resize, avx2_equals_pillow_bit_for_bit)
{
    if (resize_ops_select(1) == &resize_scalar)
        cr_skip_test("no AVX2");
    check_vectors(resize_ops_select(1));
}

Test(resize, avx512_equals_pillow_bit_for_bit)
{
    if (resize_ops_select(2) != &resize_avx512)
        cr_skip_test("no AVX-512");
    check_vectors(resize_ops_select(2));
}

Test(resize, one_size_after_the_other_agrees_between_instruction_sets)
{
    const struct resize_ops *wide = resize_ops_select(2);
    for (int width = 1; width < 90; width += 4)
        for (int size = 1; size < 60; size += 7) {
            int height = 91 - width;
            size_t n = (size_t)size * (size_t)size * 3;
            uint8_t *rgb = picture(width, height, 1), *a = malloc(n), *b = malloc(n);
            cr_assert(a && b);
            cr_assert_eq(resize_bicubic_with(&resize_scalar, rgb, width, height, size, a), ST_OK);
            cr_assert_eq(resize_bicubic_with(wide, rgb, width, height, size, b), ST_OK);
            cr_assert_arr_eq(a, b, n, "%d x %d -> %d", width, height, size);
            free(rgb);
            free(a);
            free(b);
        }
}

Test(resize, a_size_below_one_is_refused)
{
    uint8_t rgb[3] = {0}, out[3];
    cr_assert_eq(resize_bicubic(rgb, 0, 1, 1, out), ST_INVALID);
    cr_assert_eq(resize_bicubic(rgb, 1, -1, 1, out), ST_INVALID);
    cr_assert_eq(resize_bicubic(rgb, 1, 1, 0, out), ST_INVALID);
}

Test(preprocess, pixels_are_scaled_in_double_then_shifted_in_float_and_planar)
{
    struct vision_config v = {.image_size = 2,
                              .mean = {0.48145466f, 0.4578275f, 0.40821073f},
                              .std = {0.26862954f, 0.26130258f, 0.27577711f}};
    const uint8_t rgb[12] = {0, 1, 2, 50, 100, 150, 200, 254, 255, 9, 99, 199};
    float pixels[12];
    cr_assert_eq(preprocess(rgb, 2, 2, &v, pixels), ST_OK);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 4; i++) {
            float scaled = (float)(rgb[3 * i + c] * (1.0 / 255));
            cr_assert(pixels[4 * c + i] == (scaled - v.mean[c]) / v.std[c], "channel %d pixel %d", c, i);
        }
}
