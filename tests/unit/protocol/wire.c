#include "protocol/wire.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/limits.h"

static void everything(struct wire_writer *w)
{
    wire_put_array(w, 9);
    wire_put_nil(w);
    wire_put_bool(w, true);
    wire_put_uint(w, UINT64_MAX);
    wire_put_int(w, INT64_MIN);
    wire_put_real(w, 0.5);
    wire_put_str(w, "größe");
    wire_put_bin(w, "\0\1", 2);
    wire_put_map(w, 1);
    wire_put_str(w, "k");
    wire_put_int(w, -5);
    wire_put_str(w, NULL);
}

Test(wire, what_is_written_reads_back)
{
    struct wire_writer w;
    wire_writer_init(&w, 1000);
    everything(&w);
    cr_assert_eq(w.state, ST_OK);
    cr_assert_eq(wire_check(w.bytes, w.len), ST_OK);
    struct wire_reader r = wire_reader_init(w.bytes, w.len);
    cr_assert_eq(wire_get_array(&r, 9), 9);
    cr_assert(wire_get_nil(&r));
    cr_assert(!wire_get_nil(&r));
    cr_assert(wire_get_bool(&r));
    cr_assert_eq(wire_get_uint(&r, UINT64_MAX), UINT64_MAX);
    cr_assert_eq(wire_get_int(&r, INT64_MIN, 0), INT64_MIN);
    double real = wire_get_real(&r);
    cr_assert(real > 0.4 && real < 0.6);
    cr_assert(wire_view_is(wire_get_str(&r, 10), "größe"));
    cr_assert_eq(wire_get_bin(&r, 2).len, 2);
    cr_assert_eq(wire_get_map(&r, 1), 1);
    cr_assert_eq(wire_peek(&r), WIRE_STR);
    cr_assert(wire_view_is(wire_get_str(&r, 1), "k"));
    cr_assert_eq(wire_get_int(&r, -5, -5), -5);
    cr_assert(wire_get_nil(&r));
    cr_assert_eq(wire_finish(&r), ST_OK);
    wire_writer_fini(&w);
}

Test(wire, cut_short_at_any_byte_is_rejected)
{
    struct wire_writer w;
    wire_writer_init(&w, 1000);
    everything(&w);
    for (size_t n = 0; n < w.len; n++) {
        uint8_t *cut = malloc(n ? n : 1); /* its own block, so that a sanitizer sees one byte too many */
        memcpy(cut, w.bytes, n);
        cr_assert_neq(wire_check(cut, n), ST_OK, "%zu bytes", n);
        free(cut);
    }
    wire_writer_fini(&w);
}

Test(wire, five_bytes_cannot_ask_for_gigabytes)
{
    const uint8_t heads[] = {0xdd, 0xdf, 0xdb, 0xc6}; /* array, map, text, bytes with 32-bit counts */
    for (size_t i = 0; i < sizeof heads; i++) {
        const uint8_t frame[5] = {heads[i], 0xff, 0xff, 0xff, 0xff};
        cr_assert_eq(wire_check(frame, sizeof frame), ST_FORMAT);
        struct wire_reader r = wire_reader_init(frame, sizeof frame);
        cr_assert_eq(wire_get_array(&r, SIZE_MAX), 0);
        cr_assert_neq(r.state, ST_OK);
        r = wire_reader_init(frame, sizeof frame);
        cr_assert_eq(wire_get_bin(&r, SIZE_MAX).len, 0);
        cr_assert_neq(r.state, ST_OK);
    }
}

Test(wire, nesting_is_bounded)
{
    uint8_t deep[LIMIT_DEPTH + 2];
    memset(deep, 0x91, sizeof deep); /* arrays of one */
    deep[LIMIT_DEPTH] = 0x01;
    cr_assert_eq(wire_check(deep, LIMIT_DEPTH + 1), ST_OK);
    memset(deep, 0x91, sizeof deep);
    deep[LIMIT_DEPTH + 1] = 0x01;
    cr_assert_eq(wire_check(deep, sizeof deep), ST_LIMIT);
}

Test(wire, bounds_of_the_caller_are_kept_and_faults_stick)
{
    struct wire_writer w;
    wire_writer_init(&w, 100);
    wire_put_str(&w, "four");
    wire_put_uint(&w, 300);
    struct wire_reader r = wire_reader_init(w.bytes, w.len);
    cr_assert_eq(wire_get_str(&r, 3).len, 0);
    cr_assert_eq(r.state, ST_LIMIT);
    cr_assert_eq(wire_get_uint(&r, 1000), 0); /* nothing is read any more */
    r = wire_reader_init(w.bytes, w.len);
    wire_skip(&r);
    cr_assert_eq(wire_get_uint(&r, 299), 0);
    cr_assert_eq(wire_finish(&r), ST_LIMIT);
    wire_writer_fini(&w);
}

Test(wire, a_writer_stops_at_its_limit)
{
    struct wire_writer w;
    wire_writer_init(&w, 10);
    wire_put_bin(&w, "123456789", 9);
    cr_assert_eq(w.state, ST_LIMIT);
    uint8_t *bytes;
    size_t len;
    cr_assert_eq(wire_writer_take(&w, &bytes, &len), ST_LIMIT);
    wire_writer_fini(&w);
}

Test(wire, text_must_be_utf8_without_nul)
{
    const char *bad[] = {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe0\x80\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct wire_writer w;
        wire_writer_init(&w, 100);
        wire_put_str(&w, bad[i]);
        struct wire_reader r = wire_reader_init(w.bytes, w.len);
        (void)wire_get_str(&r, 100);
        cr_assert_eq(r.state, ST_FORMAT, "case %zu", i);
        wire_writer_fini(&w);
    }
    const uint8_t nul[] = {0xa3, 'a', 0, 'b'};
    struct wire_reader r = wire_reader_init(nul, sizeof nul);
    (void)wire_get_str(&r, 100);
    cr_assert_eq(r.state, ST_FORMAT);
}

Test(wire, one_bad_byte_in_a_text_is_seen_wherever_it_stands)
{
    enum { LEN = 28 };
    const char bad[] = {'\0', '\x80', '\xff', '\xc3'}; /* the last one lacks what must follow it */
    for (size_t at = 0; at <= LEN; at++)
        for (size_t b = 0; b < sizeof bad; b++) {
            uint8_t bytes[1 + LEN];
            memset(bytes, 'a', sizeof bytes);
            bytes[0] = 0xa0 | LEN;
            if (at < LEN)
                bytes[1 + at] = (uint8_t)bad[b];
            struct wire_reader r = wire_reader_init(bytes, sizeof bytes);
            struct wire_view v = wire_get_str(&r, LEN);
            cr_assert_eq(r.state, at < LEN ? ST_FORMAT : ST_OK, "byte %d at %zu", (uint8_t)bad[b], at);
            cr_assert_eq(v.len, at < LEN ? 0 : LEN);
        }
}

Test(wire, numbers_that_are_none_are_faults)
{
    struct wire_writer w;
    wire_writer_init(&w, 100);
    wire_put_real(&w, (double)NAN);
    cr_assert_eq(wire_check(w.bytes, w.len), ST_FORMAT);
    struct wire_reader r = wire_reader_init(w.bytes, w.len);
    cr_assert_float_eq(wire_get_real(&r), 0, 0);
    cr_assert_eq(r.state, ST_FORMAT);
    wire_writer_fini(&w);
    const uint8_t extension[] = {0xd4, 1, 2};
    cr_assert_eq(wire_check(extension, sizeof extension), ST_FORMAT);
}
