#include "model/zip.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct archive {
    unsigned char bytes[2048];
    size_t n, central, end; /* where the central directory and the end record begin */
};

static void put(struct archive *a, const void *bytes, size_t n)
{
    cr_assert_leq(n, sizeof a->bytes - a->n);
    memcpy(a->bytes + a->n, bytes, n);
    a->n += n;
}

static void set_number(struct archive *a, size_t at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        a->bytes[at + (size_t)i] = (unsigned char)(value >> (8 * i));
}

static void put_number(struct archive *a, uint64_t value, int bytes)
{
    a->n += (size_t)bytes;
    cr_assert_leq(a->n, sizeof a->bytes);
    set_number(a, a->n - (size_t)bytes, value, bytes);
}

enum { N_ENTRIES = 3 };
static const char *const names[N_ENTRIES] = {"m/data.pkl", "m/data/0", "m/version"};
static const char *const contents[N_ENTRIES] = {"123456789", "weights", "3\n"};
static const uint32_t crc_of_first = 0xCBF43926; /* the published check value of CRC-32 */

/* Three stored entries, as PyTorch lays them out; is_64: every size and offset in zip64 fields. */
static struct archive make(bool is_64)
{
    struct archive a = {0};
    size_t places[N_ENTRIES];
    for (int i = 0; i < N_ENTRIES; i++) {
        places[i] = a.n;
        put(&a, "PK\3\4\0\0\0\0\0\0\0\0\0\0", 14);
        put_number(&a, crc_of_first, 4);
        put_number(&a, strlen(contents[i]), 4);
        put_number(&a, strlen(contents[i]), 4);
        put_number(&a, strlen(names[i]), 2);
        put_number(&a, 5, 2); /* padding that aligns the data */
        put(&a, names[i], strlen(names[i]));
        put(&a, "FB\1\0Z", 5);
        put(&a, contents[i], strlen(contents[i]));
    }
    a.central = a.n;
    for (int i = 0; i < N_ENTRIES; i++) {
        put(&a, "PK\1\2\0\0\0\0\0\0\0\0\0\0\0\0", 16);
        put_number(&a, crc_of_first, 4);
        put_number(&a, is_64 ? UINT32_MAX : strlen(contents[i]), 4);
        put_number(&a, is_64 ? UINT32_MAX : strlen(contents[i]), 4);
        put_number(&a, strlen(names[i]), 2);
        put_number(&a, is_64 ? 28 : 0, 2);
        put(&a, "\0\0\0\0\0\0\0\0\0\0", 10);
        put_number(&a, is_64 ? UINT32_MAX : places[i], 4);
        put(&a, names[i], strlen(names[i]));
        if (!is_64)
            continue;
        put_number(&a, 1, 2);
        put_number(&a, 24, 2);
        put_number(&a, strlen(contents[i]), 8);
        put_number(&a, strlen(contents[i]), 8);
        put_number(&a, places[i], 8);
    }
    size_t central_bytes = a.n - a.central;
    a.end = a.n;
    if (is_64) {
        put(&a, "PK\6\6", 4);
        put_number(&a, 44, 8);
        put(&a, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
        put_number(&a, N_ENTRIES, 8);
        put_number(&a, N_ENTRIES, 8);
        put_number(&a, central_bytes, 8);
        put_number(&a, a.central, 8);
        put(&a, "PK\6\7\0\0\0\0", 8);
        put_number(&a, a.end, 8);
        put_number(&a, 1, 4);
    }
    put(&a, "PK\5\6\0\0\0\0", 8);
    put_number(&a, is_64 ? UINT16_MAX : N_ENTRIES, 2);
    put_number(&a, is_64 ? UINT16_MAX : N_ENTRIES, 2);
    put_number(&a, is_64 ? UINT32_MAX : central_bytes, 4);
    put_number(&a, is_64 ? UINT32_MAX : a.central, 4);
    put_number(&a, 0, 2);
    return a;
}

/* Opens a copy that is allocated to the byte. */
static enum status open_copy(const struct archive *a, size_t n, struct diag *why)
{
    unsigned char *copy = malloc(n ? n : 1);
    memcpy(copy, a->bytes, n);
    struct zip z = {0};
    enum status s = zip_open(copy, n, "shard.bin", &z, why);
    if (s != ST_OK)
        cr_assert_null(z.entries);
    for (size_t i = 0; i < z.n; i++)
        cr_assert(z.entries[i].data >= copy && z.entries[i].size <= n &&
                  z.entries[i].data + z.entries[i].size <= copy + n);
    zip_close(&z);
    free(copy);
    return s;
}

Test(zip, stored_entries_are_found_in_place_with_and_without_zip64)
{
    for (int is_64 = 0; is_64 < 2; is_64++) {
        struct archive a = make(is_64);
        struct zip z = {0};
        struct diag why = {0};
        cr_assert_eq(zip_open(a.bytes, a.n, "f", &z, &why), ST_OK, "%s", why.text);
        cr_assert_eq(z.n, N_ENTRIES);
        for (int i = 0; i < N_ENTRIES; i++) {
            const struct zip_entry *e = zip_find(&z, names[i], strlen(names[i]));
            cr_assert(e && e->size == strlen(contents[i]));
            cr_assert_arr_eq(e->data, contents[i], e->size);
        }
        cr_assert_null(zip_find(&z, "m/data", 6));
        cr_assert_null(zip_find(&z, "m/data/00", 9));
        zip_close(&z);
    }
}

Test(zip, a_checksum_that_does_not_match_is_noticed)
{
    struct archive a = make(false);
    struct zip z = {0};
    struct diag why = {0};
    cr_assert_eq(zip_open(a.bytes, a.n, "shard.bin", &z, &why), ST_OK);
    cr_assert_eq(zip_check(zip_find(&z, names[0], strlen(names[0])), "shard.bin", &why), ST_OK);
    cr_assert_eq(zip_check(zip_find(&z, names[1], strlen(names[1])), "shard.bin", &why), ST_FORMAT);
    cr_assert(strstr(why.text, "shard.bin: m/data/0"), "%s", why.text);
    zip_close(&z);
}

Test(zip, cut_short_at_any_byte_it_is_refused)
{
    for (int is_64 = 0; is_64 < 2; is_64++) {
        struct archive a = make(is_64);
        for (size_t n = 0; n < a.n; n++) {
            struct diag why = {0};
            cr_assert_eq(open_copy(&a, n, &why), ST_FORMAT, "%zu bytes", n);
            cr_assert(strstr(why.text, "shard.bin"));
        }
    }
}

Test(zip, what_is_compressed_or_encrypted_is_refused_by_name)
{
    struct archive a = make(false);
    struct diag why = {0};
    set_number(&a, a.central + 10, 8, 2);
    cr_assert_eq(open_copy(&a, a.n, &why), ST_UNSUPPORTED);
    cr_assert(strstr(why.text, names[0]), "%s", why.text);
    a = make(false);
    set_number(&a, a.central + 8, 1, 2);
    cr_assert_eq(open_copy(&a, a.n, &why), ST_UNSUPPORTED);
}

Test(zip, a_directory_that_lies_is_refused)
{
    struct archive usual = make(false);
    const struct {
        const char *what;
        size_t at;
        uint64_t value;
        int bytes;
    } lies[] = {
        {"size past the end", usual.central + 24, 0xFFFFFF, 4},
        {"packed size differs", usual.central + 20, 6, 4},
        {"place of another kind", usual.central + 42, 1, 4},
        {"place past the end", usual.central + 42, 0xFFFFF0, 4},
        {"place of another entry", usual.central + 42, 57, 4},
        {"more entries", usual.end + 10, N_ENTRIES + 1, 2},
        {"very many entries", usual.end + 10, 65534, 2},
        {"directory past the end", usual.end + 16, 0xFFFFF0, 4},
        {"directory longer", usual.end + 12, 0xFFFFF0, 4},
        {"zip64 that is not there", usual.end + 16, UINT32_MAX, 4},
        {"zip64 field that is not there", usual.central + 24, UINT32_MAX, 4},
        {"comment that is not there", usual.end + 20, 7, 2},
        {"name past the directory", usual.central + 28, 60000, 2},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct archive a = usual;
        struct diag why = {0};
        set_number(&a, lies[i].at, lies[i].value, lies[i].bytes);
        cr_assert_neq(open_copy(&a, a.n, &why), ST_OK, "%s", lies[i].what);
    }
}

Test(zip, entries_that_overlap_or_share_a_name_are_refused)
{
    struct archive a = make(false);
    struct diag why = {0};
    size_t second = a.central + 46 + strlen(names[0]);
    memcpy(a.bytes + second + 46, "m/data.p", 8); /* the name of none, in the directory alone */
    cr_assert_eq(open_copy(&a, a.n, &why), ST_FORMAT);
    a = make(false);
    set_number(&a, a.central + 20, 9 + 60, 4); /* both sizes: into the data of the next entry */
    set_number(&a, a.central + 24, 9 + 60, 4);
    cr_assert_eq(open_copy(&a, a.n, &why), ST_FORMAT);
    cr_assert(strstr(why.text, "overlap"), "%s", why.text);
}

Test(zip, any_byte_changed_gives_an_error_or_entries_inside_the_file)
{
    for (int is_64 = 0; is_64 < 2; is_64++) {
        struct archive usual = make(is_64);
        for (size_t at = 0; at < usual.n; at++) {
            for (int bit = 0; bit < 8; bit++) {
                struct archive a = usual;
                a.bytes[at] = (unsigned char)(a.bytes[at] ^ 1 << bit);
                enum status s = open_copy(&a, a.n, NULL);
                cr_assert(s == ST_OK || s == ST_FORMAT || s == ST_UNSUPPORTED);
            }
        }
    }
}
