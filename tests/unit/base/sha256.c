#include "base/sha256.h"
#include "base/sha256_impl.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void expect(const char *text, size_t len, const char *want)
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX];
    sha256_of(text, len, digest);
    sha256_hex(digest, hex);
    cr_assert_str_eq(hex, want);
}

Test(sha256, published_vectors_hold)
{
    expect("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char *two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    expect(two_blocks, strlen(two_blocks), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    static char million[1000000];
    memset(million, 'a', sizeof million);
    expect(million, sizeof million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

Test(sha256, pieces_of_any_size_give_the_digest_of_the_whole)
{
    uint8_t bytes[300], want[SHA256_BYTES], got[SHA256_BYTES];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
    for (size_t len = 0; len <= sizeof bytes; len += 7) {
        sha256_of(bytes, len, want);
        for (size_t step = 1; step < 130; step += 3) {
            struct sha256 s;
            sha256_init(&s);
            for (size_t at = 0; at < len; at += step)
                sha256_add(&s, bytes + at, len - at < step ? len - at : step);
            sha256_end(&s, got);
            cr_assert_arr_eq(got, want, SHA256_BYTES, "length %zu in pieces of %zu", len, step);
        }
    }
}

/* The digest of one full block and its padding, all by plain code. */
Test(sha256, plain_code_agrees_with_the_instructions_of_the_processor)
{
    uint8_t blocks[128] = {0}, want[SHA256_BYTES];
    for (size_t i = 0; i < 64; i++)
        blocks[i] = (uint8_t)(i * 29 + 3);
    blocks[64] = 0x80;
    blocks[126] = 0x02; /* 512 bits */
    struct sha256 s;
    sha256_init(&s);
    sha256_blocks_plain(s.state, blocks, 2);
    sha256_of(blocks, 64, want);
    for (int i = 0; i < SHA256_BYTES; i++)
        cr_assert_eq(want[i], (uint8_t)(s.state[i / 4] >> (24 - 8 * (i % 4))));
}

Test(sha256, a_digest_comes_back_from_its_letters_and_from_nothing_else)
{
    uint8_t digest[SHA256_BYTES], back[SHA256_BYTES] = {0};
    char hex[SHA256_HEX + 1], broken[SHA256_HEX];
    sha256_of("abc", 3, digest);
    sha256_hex(digest, hex);
    memcpy(hex + 2 * SHA256_BYTES, " ", 2); /* what follows is not its business */
    cr_assert(sha256_from_hex(hex, back));
    cr_assert_arr_eq(back, digest, SHA256_BYTES);
    memset(back, 7, sizeof back);
    static const char others[] = {'g', 'A', ' ', '\0', '/', ':', '`'};
    for (size_t at = 0; at < 2 * SHA256_BYTES; at++)
        for (size_t i = 0; i < sizeof others; i++) {
            memcpy(broken, hex, sizeof broken);
            broken[at] = others[i];
            cr_assert_not(sha256_from_hex(broken, back), "%d at %zu", others[i], at);
        }
    for (int i = 0; i < SHA256_BYTES; i++)
        cr_assert_eq(back[i], 7);
}

Test(sha256, a_text_has_one_number)
{
    uint8_t digest[SHA256_BYTES];
    uint64_t number;
    sha256_of("a/b.jpg", 7, digest);
    memcpy(&number, digest, sizeof number);
    cr_assert_eq(sha256_number("a/b.jpg"), number);
    cr_assert_neq(sha256_number("a/c.jpg"), number);
}
