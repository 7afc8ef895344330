#include "worker/feature_cache.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/half.h"
#include "worker/feature_index.h"

enum { COUNT = 5000 };
static char folder[] = "/tmp/ferret-unit-features.XXXXXX";
static const uint8_t white[3] = {255, 255, 255};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(feature_cache, .init = make_folder, .fini = remove_folder);

static struct feature_cache *open_cache(enum feature_type type, uint64_t max_bytes, const char *maker)
{
    const struct feature_cache_options o = {
        .dir = folder, .max_bytes = max_bytes, .type = type, .count = COUNT, .maker = maker};
    struct feature_cache *c = NULL;
    struct diag why = {""};
    cr_assert_eq(feature_cache_open(&o, &c, &why), ST_OK, "%s", why.text);
    return c;
}

static const float *numbers(int seed)
{
    static float v[COUNT];
    for (int i = 0; i < COUNT; i++)
        v[i] = (float)((i * 31 + seed) % 1999) / 7 - 100;
    return v;
}

static void key_of(struct feature_cache *c, int seed, uint8_t key[SHA256_BYTES])
{
    uint8_t content[SHA256_BYTES];
    sha256_of(&seed, sizeof seed, content);
    feature_cache_key(c, content, IMAGE_POLICY_DEFAULT, white, key);
}

static void put(struct feature_cache *c, int seed)
{
    uint8_t key[SHA256_BYTES];
    struct image image = {.width = 40 + seed,
                          .height = 30,
                          .stored_width = 30,
                          .stored_height = 40 + seed,
                          .orientation = 6,
                          .had_alpha = true,
                          .frames = 3,
                          .rows_decoded = 0.75,
                          .notes = IMAGE_NOTE_ICC,
                          .format = "webp",
                          .sha256 = "0123456789012345678901234567890123456789012345678901234567890123"};
    key_of(c, seed, key);
    feature_cache_put(c, key, &image, numbers(seed));
}

static bool get(struct feature_cache *c, int seed, struct image *image, float **features)
{
    uint8_t key[SHA256_BYTES];
    key_of(c, seed, key);
    return feature_cache_get(c, key, image, features);
}

static bool has(struct feature_cache *c, int seed)
{
    struct image image;
    float *features = NULL;
    bool hit = get(c, seed, &image, &features);
    free(features);
    return hit;
}

/* What was put is on disk behind a close. */
static struct feature_cache *reopen(struct feature_cache *c, enum feature_type type, uint64_t max_bytes)
{
    feature_cache_close(c);
    return open_cache(type, max_bytes, "model f32 cpu");
}

static void come_back(enum feature_type type)
{
    struct feature_cache *c = open_cache(type, 1 << 30, "model f32 cpu");
    struct image image;
    float *features = NULL;
    put(c, 1);
    c = reopen(c, type, 1 << 30);
    cr_assert(get(c, 1, &image, &features));
    for (int i = 0; i < COUNT; i++) {
        float want = numbers(1)[i];
        cr_assert_eq(features[i], type == FEATURES_F16 ? half_to_f32(half_from_f32(want)) : want);
    }
    cr_assert(image.width == 41 && image.height == 30 && image.stored_width == 30 && image.stored_height == 41);
    cr_assert(image.orientation == 6 && image.had_alpha && image.frames == 3 && image.notes == IMAGE_NOTE_ICC);
    cr_assert_eq(image.rows_decoded, 0.75);
    cr_assert_str_eq(image.format, "webp");
    cr_assert_eq(strlen(image.sha256), 64);
    cr_assert_null(image.rgb);
    free(features);
    feature_cache_close(c);
}

Test(feature_cache, f32_comes_back_bit_for_bit_with_the_facts_of_the_image)
{
    come_back(FEATURES_F32);
}

Test(feature_cache, f16_comes_back_rounded_once)
{
    come_back(FEATURES_F16);
}

Test(feature_cache, whatever_decides_features_is_in_the_key)
{
    struct feature_cache *c = open_cache(FEATURES_F32, 1 << 30, "model f32 cpu");
    struct feature_cache *other_model = open_cache(FEATURES_F32, 1 << 30, "model f32 cuda");
    struct feature_cache *other_type = open_cache(FEATURES_F16, 1 << 30, "model f32 cpu");
    static const uint8_t black[3] = {0, 0, 0}, bytes[SHA256_BYTES] = "bytes", others[SHA256_BYTES] = "other";
    uint8_t keys[7][SHA256_BYTES];
    feature_cache_key(c, bytes, IMAGE_POLICY_DEFAULT, white, keys[0]);
    feature_cache_key(c, bytes, IMAGE_POLICY_DEFAULT, black, keys[1]);
    feature_cache_key(c, bytes, IMAGE_POLICY_ML_FERRET, white, keys[2]);
    feature_cache_key(c, others, IMAGE_POLICY_DEFAULT, white, keys[3]);
    feature_cache_key(other_model, bytes, IMAGE_POLICY_DEFAULT, white, keys[4]);
    feature_cache_key(other_type, bytes, IMAGE_POLICY_DEFAULT, white, keys[5]);
    feature_cache_key(c, bytes, IMAGE_POLICY_DEFAULT, white, keys[6]);
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < i; k++)
            cr_assert_neq(memcmp(keys[i], keys[k], SHA256_BYTES), 0, "%d and %d", i, k);
    cr_assert_eq(memcmp(keys[0], keys[6], SHA256_BYTES), 0);
    feature_cache_close(c);
    feature_cache_close(other_model);
    feature_cache_close(other_type);
}

static char entry_path[512];

static int find_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)ftw;
    if (type == FTW_F)
        snprintf(entry_path, sizeof entry_path, "%s", path);
    return 0;
}

Test(feature_cache, an_image_is_known_by_its_address_where_that_was_noted_whole)
{
    struct fetch_stamp stamp = {"file 1 2 3.4 5.6"}, found = {""};
    uint8_t content[SHA256_BYTES] = {1, 2, 0xFE}, read[SHA256_BYTES] = {0};
    char path[512];
    cr_expect_not(feature_index_find(folder, "a:b", &found, read));
    feature_index_put(folder, "a:b", &stamp, content);
    cr_assert(feature_index_find(folder, "a:b", &found, read));
    cr_expect_str_eq(found.text, stamp.text);
    cr_expect_eq(memcmp(read, content, sizeof read), 0);
    cr_expect_not(feature_index_find(folder, "a:c", &found, read));
    snprintf(stamp.text, sizeof stamp.text, "%s", "\"v2\"");
    feature_index_put(folder, "a:b", &stamp, content);
    cr_expect(feature_index_find(folder, "a:b", &found, read) && strcmp(found.text, "\"v2\"") == 0);
    cr_assert_eq(nftw(folder, find_entry, 16, FTW_PHYS), 0);
    snprintf(path, sizeof path, "%s", entry_path);
    for (int len = 0; len < 80; len++) { /* cut at any byte it is none */
        cr_assert_eq(truncate(path, len), 0);
        cr_expect_not(feature_index_find(folder, "a:b", &found, read), "%d bytes", len);
    }
}

Test(feature_cache, an_entry_with_a_wrong_byte_or_cut_short_is_one_that_is_not_there)
{
    struct feature_cache *c = open_cache(FEATURES_F32, 1 << 30, "model f32 cpu");
    struct stat st;
    put(c, 1);
    c = reopen(c, FEATURES_F32, 1 << 30);
    cr_assert(has(c, 1));
    nftw(folder, find_entry, 16, FTW_PHYS);
    cr_assert_eq(stat(entry_path, &st), 0);
    int fd = open(entry_path, O_RDWR);
    for (off_t at = 0; at < st.st_size; at += at < 256 ? 1 : 1777) {
        uint8_t byte;
        cr_assert_eq(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
        cr_assert_not(has(c, 1), "byte %lld is wrong", (long long)at);
        byte ^= 0x10;
        cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
    }
    cr_assert(has(c, 1));
    cr_assert_eq(ftruncate(fd, st.st_size - 1), 0);
    cr_assert_not(has(c, 1));
    close(fd);
    feature_cache_close(c);
}

Test(feature_cache, beyond_the_budget_what_was_not_read_for_the_longest_time_goes)
{
    enum { ENTRIES = 12 };
    const uint64_t entry = COUNT * sizeof(float) + 200;
    struct feature_cache *c = open_cache(FEATURES_F32, 10 * entry, "model f32 cpu");
    struct feature_cache_stats stats;
    for (int i = 0; i < 8; i++)
        put(c, i);
    c = reopen(c, FEATURES_F32, 10 * entry);
    for (int i = 0; i < 8; i++) { /* as if long ago; all but 2 and 5 */
        char hex[SHA256_HEX], path[512];
        uint8_t key[SHA256_BYTES];
        key_of(c, i, key);
        sha256_hex(key, hex);
        snprintf(path, sizeof path, "%s/%.2s/%s", folder, hex, hex);
        const struct timespec long_ago[2] = {{.tv_sec = 1000000 + i}, {.tv_sec = 1000000 + i}};
        cr_assert_eq(utimensat(AT_FDCWD, path, long_ago, 0), 0, "%s", path);
    }
    cr_assert(has(c, 2) && has(c, 5));
    for (int i = 8; i < ENTRIES; i++)
        put(c, i);
    c = reopen(c, FEATURES_F32, 10 * entry);
    cr_assert(has(c, 2) && has(c, 5), "what was read lately went");
    cr_assert(has(c, 11) && has(c, 10), "what was written lately went");
    cr_assert_not(has(c, 0), "the oldest is still there");
    int left = 0;
    for (int i = 0; i < ENTRIES; i++)
        left += has(c, i);
    cr_assert_leq(left, 10);
    feature_cache_stats(c, &stats);
    cr_assert_gt(stats.hits, 0);
    feature_cache_close(c);
}
