/* The whole folder of hostile files (tests/e2e/hostile/make_hostile.py) through fetch and a pool: each ends as
 * expected. Skipped without Python, numpy and Pillow. */
#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "media/decoder.h"
#include "media/fetch.h"

struct walk {
    struct fetcher *fetcher;
    struct decoder_pool *pool;
    int n;
};

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

/* The word that a record would have; two of them are longer there. */
static const char *outcome(const struct walk *w, const char *name)
{
    char uri[512];
    struct bytes b = {0};
    enum fetch_error fetched = FETCH_OK;
    snprintf(uri, sizeof uri, "hostile:images/%s", name);
    if (fetch(w->fetcher, uri, &b, &fetched, NULL) != ST_OK)
        return fetched == FETCH_MISSING ? "missing_file" : fetch_error_word(fetched);
    struct image_policy policy = image_policy_default(IMAGE_POLICY_DEFAULT);
    struct image im = {0};
    enum image_error kind = IMAGE_OK;
    if (decoder_run(w->pool, b.data, b.len, &policy, &im, &kind, NULL) == ST_OK)
        image_fini(&im);
    bytes_fini(&b);
    return kind == IMAGE_EMPTY ? "empty_file" : image_error_word(kind);
}

static bool check_one(void *ctx, const char *name, const struct json *expected)
{
    struct walk *w = ctx;
    bool found = false;
    const char *word = outcome(w, name);
    for (size_t i = 0; i < jsn_size(expected); i++)
        found = found || strcmp(word, jsn_string(jsn_at(expected, i), "")) == 0;
    cr_expect(found, "%s ends in %s", name, word);
    w->n++;
    return true;
}

Test(hostile, every_file_ends_as_expected_and_none_harms_the_next, .timeout = 120)
{
    char dir[] = "/tmp/ferret-hostile-XXXXXX", command[256], spec[64], path[64];
    struct diag why = {0};
    struct json *expected = NULL;
    struct media_roots *roots = NULL;
    struct walk w = {0};
    cr_assert(mkdtemp(dir));
    snprintf(command, sizeof command, "/usr/bin/python3 tests/e2e/hostile/make_hostile.py %s 2>%s/log", dir, dir);
    if (system(command) != 0) {
        nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        cr_assert_null(getenv("REQUIRE_ALL"), "make_hostile.py does not run here");
        cr_skip_test("make_hostile.py does not run here");
    }
    cr_assert_eq(decoder_pool_open(&(struct decoder_options){.children = 2}, &w.pool, &why), ST_OK, "%s", why.text);
    snprintf(path, sizeof path, "%s/expected.json", dir);
    cr_assert_eq(jsn_load(path, 1 << 20, &expected, &why), ST_OK, "%s", why.text);
    snprintf(spec, sizeof spec, "hostile=%s", dir);
    cr_assert_eq(media_roots_new(&(const char *){spec}, 1, &roots, &why), ST_OK, "%s", why.text);
    cr_assert_eq(fetcher_open(&(struct fetch_options){.roots = roots, .no_http = true}, &w.fetcher, &why), ST_OK);
    jsn_each(expected, check_one, &w);
    cr_assert_geq(w.n, 57);
    fetcher_close(w.fetcher);
    media_roots_free(roots);
    decoder_pool_close(w.pool);
    jsn_free(expected);
    cr_assert_eq(nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}
