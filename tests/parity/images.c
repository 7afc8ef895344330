/* Pictures as the reference sees them: decoded, resized and normalised like Pillow does it, over the shipped fixtures
 * and, where FERRET_GOLDEN or ../shared/golden holds them, over the official code's. Run from the repository's root. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/sha256.h"
#include "media/image.h"
#include "model/parity_store.h"
#include "model/preprocess.h"

enum { PATH_BYTES = 4096, DEFAULT_SIDE = 336, LIST_BYTES = 1 << 24 };

struct tally {
    const char *folder;
    float mean[3], std[3]; /* of checkpoint a's tower, which the sums were made with */
    int passed, failed;
};

static void verdict(struct tally *t, bool ok, const char *file, const char *what)
{
    t->passed += ok;
    t->failed += !ok;
    if (!ok)
        printf("FAIL images: %s/%s: %s\n", t->folder, file, what);
}

static bool same_hash(const struct json *entry, const char *key, const uint8_t *bytes, size_t len)
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX];
    sha256_of(bytes, len, digest);
    sha256_hex(digest, hex);
    return strcmp(jsn_string(jsn_get(entry, key), ""), hex) == 0;
}

/* Sums over f32 pixels, added in double: another order of additions moves the last digits only. */
static bool same_sum(const struct json *entry, const char *key, double got)
{
    double want = jsn_number(jsn_get(entry, key), NAN);
    return fabs(got - want) <= 1e-9 * (fabs(want) + 1e4);
}

static bool same_pixels(const struct tally *t, const struct json *entry, const uint8_t *u8, int side)
{
    size_t n = 3 * (size_t)side * (size_t)side;
    float *pixels = malloc(n * sizeof *pixels);
    double sum = 0, squares = 0;
    if (!pixels)
        return false;
    normalise_pixels(u8, side, t->mean, t->std, pixels);
    for (size_t i = 0; i < n; i++) {
        sum += (double)pixels[i];
        squares += (double)pixels[i] * (double)pixels[i];
    }
    free(pixels);
    return same_sum(entry, "pixels_sum", sum) && same_sum(entry, "pixels_sumsq", squares);
}

/* One picture under one policy against the hashes of `entry`; sums: whether it has those of the pixels too. */
static void check_policy(struct tally *t, const struct json *entry, const char *file, const char *bytes, size_t len,
                         enum image_policy_kind kind, bool sums)
{
    const struct image_policy policy = image_policy_default(kind);
    struct image image = {0};
    struct diag why = {""};
    int side = (int)jsn_int(jsn_get(entry, "side"), DEFAULT_SIDE);
    uint8_t *u8 = malloc(3 * (size_t)side * (size_t)side);
    enum status s = image_decode((const uint8_t *)bytes, len, &policy, &image, NULL, &why);
    if (s == ST_OK)
        s = u8 ? resize_bicubic(image.rgb, image.width, image.height, side, u8) : ST_NOMEM;
    verdict(t, s == ST_OK, file, why.text);
    if (s == ST_OK) {
        verdict(t, same_hash(entry, "rgb_sha256", image.rgb, 3 * (size_t)image.width * (size_t)image.height), file,
                "decoded RGB differs");
        verdict(t, same_hash(entry, "u8_sha256", u8, 3 * (size_t)side * (size_t)side), file, "resized bytes differ");
        verdict(t, !sums || same_pixels(t, entry, u8, side), file, "normalised pixels differ");
    }
    image_fini(&image);
    free(u8);
}

static void check_entry(struct tally *t, const struct json *entry)
{
    const char *file = jsn_string(jsn_get(entry, "file"), "");
    char path[PATH_BYTES], *bytes = NULL;
    size_t len = 0;
    struct diag why = {""};
    snprintf(path, sizeof path, "%s/%s", t->folder, file);
    if (parity_read_file(path, &bytes, &len, &why) != ST_OK) {
        verdict(t, false, file, why.text);
        return;
    }
    check_policy(t, entry, file, bytes, len, IMAGE_POLICY_ML_FERRET, true);
    if (jsn_get(entry, "exif_applied"))
        check_policy(t, jsn_get(entry, "exif_applied"), file, bytes, len, IMAGE_POLICY_DEFAULT, false);
    free(bytes);
}

static enum status read_normalisation(const char *root, struct tally *t, struct diag *why)
{
    char path[PATH_BYTES];
    struct json *v = NULL;
    snprintf(path, sizeof path, "%s/tiny-ferret-a-clip/preprocessor_config.json", root);
    enum status s = jsn_load(path, LIST_BYTES, &v, why);
    for (size_t i = 0; s == ST_OK && i < 3; i++) {
        t->mean[i] = (float)jsn_number(jsn_at(jsn_get(v, "image_mean"), i), NAN);
        t->std[i] = (float)jsn_number(jsn_at(jsn_get(v, "image_std"), i), NAN);
    }
    jsn_free(v);
    return s;
}

static bool check_folder(const char *root)
{
    char folder[PATH_BYTES - 64], path[PATH_BYTES];
    struct tally t = {.folder = folder};
    struct json *list = NULL;
    struct diag why = {""};
    snprintf(folder, sizeof folder, "%s/images", root);
    snprintf(path, sizeof path, "%s/images.json", folder);
    if (read_normalisation(root, &t, &why) != ST_OK || jsn_load(path, LIST_BYTES, &list, &why) != ST_OK) {
        printf("FAIL images: %s\n", why.text);
        return false;
    }
    for (size_t i = 0; i < jsn_size(list); i++)
        check_entry(&t, jsn_at(list, i));
    printf("%s images: %s: %zu pictures, %d of %d comparisons equal\n", t.failed || !t.passed ? "FAIL" : "PASS", folder,
           jsn_size(list), t.passed, t.passed + t.failed);
    jsn_free(list);
    return t.failed == 0 && t.passed > 0;
}

int main(int argc, char **argv)
{
    const char *golden = getenv("FERRET_GOLDEN");
    struct stat st;
    struct diag why = {""};
    (void)argc;
    if (image_library_start(argv[0], &why) != ST_OK) {
        fprintf(stderr, "images: %s\n", why.text);
        return EXIT_FAILURE;
    }
    bool ok = check_folder("tests/parity/fixtures");
    golden = golden ? golden : "../shared/golden";
    if (stat(golden, &st) == 0)
        ok = check_folder(golden) && ok;
    else
        printf("SKIP images: the official code's are not here (FERRET_GOLDEN names their folder)\n");
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
