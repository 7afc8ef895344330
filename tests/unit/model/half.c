#include "model/half.h"

#include <criterion/criterion.h>
#include <math.h>

/* The value of a pattern, from the definition of the format. */
static double value_of(unsigned bits)
{
    int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    double magnitude = exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
}

Test(half, every_finite_pattern_reads_as_defined_and_writes_back)
{
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        if ((bits & 0x7C00) == 0x7C00)
            continue;
        float f = half_to_f32((uint16_t)bits);
        cr_assert((double)f == value_of(bits), "pattern %04x", bits);
        cr_assert_eq(half_from_f32(f), bits, "pattern %04x", bits);
    }
}

Test(half, halfway_values_go_to_the_even_neighbour_and_others_to_the_nearest)
{
    for (unsigned bits = 0; bits < 0x7BFF; bits++) {
        double below = value_of(bits), above = value_of(bits + 1);
        float middle = (float)((below + above) / 2);
        cr_assert_eq(half_from_f32(middle), bits & 1 ? bits + 1 : bits, "pattern %04x", bits);
        cr_assert_eq(half_from_f32(nextafterf(middle, 0)), bits, "pattern %04x", bits);
        cr_assert_eq(half_from_f32(nextafterf(middle, INFINITY)), bits + 1, "pattern %04x", bits);
        cr_assert_eq(half_from_f32(-middle), 0x8000 | (bits & 1 ? bits + 1 : bits), "pattern %04x", bits);
    }
}

Test(half, overflow_infinity_and_nan_are_kept_apart)
{
    cr_assert_eq(half_from_f32(65504.0f), 0x7BFF);
    cr_assert_eq(half_from_f32(65519.0f), 0x7BFF);
    cr_assert_eq(half_from_f32(65520.0f), 0x7C00);
    cr_assert_eq(half_from_f32(1e30f), 0x7C00);
    cr_assert_eq(half_from_f32(-INFINITY), 0xFC00);
    cr_assert(isnan(half_to_f32(half_from_f32(NAN))));
    cr_assert(isinf(half_to_f32(0x7C00)) && isnan(half_to_f32(0x7C01)));
}

Test(bf16, values_round_to_nearest_even_and_nan_stays_nan)
{
    for (unsigned bits = 0; bits < 0x7F80; bits++) {
        float below = bf16_to_f32((uint16_t)bits), above = bf16_to_f32((uint16_t)(bits + 1));
        cr_assert_eq(bf16_from_f32(below), bits);
        if (isinf(above))
            continue;
        float middle = below + (above - below) / 2;
        cr_assert_eq(bf16_from_f32(middle), bits & 1 ? bits + 1 : bits, "pattern %04x", bits);
        cr_assert_eq(bf16_from_f32(nextafterf(middle, INFINITY)), bits + 1, "pattern %04x", bits);
    }
    cr_assert(isnan(bf16_to_f32(bf16_from_f32(NAN))));
    cr_assert(isnan(bf16_to_f32(bf16_from_f32(-NAN))));
}

Test(half, runs_are_read_from_any_alignment)
{
    unsigned char bytes[9] = {0xFF, 0x00, 0x3C, 0x00, 0xC0, 0x80, 0x3F, 0x00, 0xC0};
    float values[2];
    half_read(bytes + 1, values, 2);
    cr_assert(values[0] == 1.0f && values[1] == -2.0f);
    bf16_read(bytes + 5, values, 2);
    cr_assert(values[0] == 1.0f && values[1] == -2.0f);
}

Test(half, runs_equal_the_single_values_for_every_pattern_and_length)
{
    static uint16_t bits[0x10000], back[0x10000];
    static float values[0x10000];
    for (unsigned i = 0; i < 0x10000; i++)
        bits[i] = (uint16_t)i;
    half_read(bits, values, 0x10000);
    half_write(values, back, 0x10000);
    for (unsigned i = 0; i < 0x10000; i++) {
        float want = half_to_f32((uint16_t)i);
        cr_assert(values[i] == want || (isnan(values[i]) && isnan(want)), "pattern %04x", i);
        cr_assert(back[i] == i || isnan(want), "pattern %04x", i);
    }
    uint32_t random = 1;
    for (size_t n = 0; n < 40; n++) {
        float from[40];
        uint16_t to[41] = {0};
        for (size_t i = 0; i < n; i++) {
            random = random * 1664525 + 1013904223;
            from[i] = ldexpf((float)(random >> 8) - 8e6F, (int)(random % 60) - 55);
        }
        half_write(from, to, n);
        for (size_t i = 0; i < n; i++)
            cr_assert_eq(to[i], half_from_f32(from[i]));
        cr_assert_eq(to[n], 0);
    }
}
