/* media/picture.h: what is drawn can be read back. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "media/picture.h"

enum { WIDTH = 64, HEIGHT = 48 };

static struct image grey(void)
{
    struct image im = {.width = WIDTH, .height = HEIGHT, .rgb = malloc(3 * WIDTH * HEIGHT)};
    memset(im.rgb, 100, 3 * WIDTH * HEIGHT);
    return im;
}

static struct image read_back(const char *path)
{
    static uint8_t bytes[1 << 16];
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f);
    size_t len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    struct image out = {0};
    struct diag why = {""};
    struct image_policy policy = image_policy_default(IMAGE_POLICY_DEFAULT);
    cr_assert_eq(image_decode(bytes, len, &policy, &out, NULL, &why), ST_OK, "%s", why.text);
    return out;
}

static const char LAYER[] =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"64\" height=\"48\" viewBox=\"0 0 64 48\">"
    "<rect x=\"8\" y=\"8\" width=\"16\" height=\"16\" fill=\"#f00\"/></svg>";

Test(picture, the_layer_lies_over_the_pixels_and_leaves_the_rest)
{
    static const char *const endings[] = {"png", "jpg"};
    struct image im = grey();
    cr_assert_eq(image_library_start("test", NULL), ST_OK);
    for (size_t i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "/tmp/ferret-write-%d.%s", (int)getpid(), endings[i]);
        struct diag why = {""};
        cr_assert_eq(picture_write(&im, LAYER, 1, path, &why), ST_OK, "%s", why.text);
        struct image back = read_back(path);
        cr_assert_eq(back.width, WIDTH);
        cr_assert_eq(back.height, HEIGHT);
        const uint8_t *inside = back.rgb + 3 * (16 * WIDTH + 16), *outside = back.rgb + 3 * (40 * WIDTH + 50);
        cr_assert(inside[0] > 240 && inside[1] < 20, "%s: %d %d", endings[i], inside[0], inside[1]);
        cr_assert(abs(outside[0] - 100) < 6 && abs(outside[1] - 100) < 6);
        image_fini(&back);
        remove(path);
    }
    image_fini(&im);
}

Test(picture, a_scaled_picture_has_the_scaled_size)
{
    struct image im = grey();
    char path[64];
    snprintf(path, sizeof path, "/tmp/ferret-write-%d.png", (int)getpid());
    cr_assert_eq(image_library_start("test", NULL), ST_OK);
    cr_assert_eq(picture_write(&im, NULL, 0.5, path, NULL), ST_OK);
    struct image back = read_back(path);
    cr_assert_eq(back.width, WIDTH / 2);
    cr_assert_eq(back.height, HEIGHT / 2);
    image_fini(&back);
    image_fini(&im);
    remove(path);
}

Test(picture, an_absent_folder_is_an_error)
{
    struct image im = grey();
    cr_assert_eq(image_library_start("test", NULL), ST_OK);
    cr_assert_eq(picture_write(&im, NULL, 1, "/tmp/ferret-absent-folder/x.png", NULL), ST_IO);
    image_fini(&im);
}

Test(picture, a_full_disk_leaves_nothing_and_says_why)
{
    struct image im = grey();
    struct diag why = {""};
    char path[64], temporary[80];
    snprintf(path, sizeof path, "/tmp/ferret-write-%d.png", (int)getpid());
    snprintf(temporary, sizeof temporary, "%s.new", path);
    cr_assert_eq(image_library_start("test", NULL), ST_OK);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 16, .rlim_max = 16}), 0);
    cr_assert_eq(picture_write(&im, NULL, 1, path, &why), ST_IO);
    cr_expect_not_null(strstr(why.text, path), "%s", why.text);
    cr_expect_neq(access(path, F_OK), 0);
    cr_expect_neq(access(temporary, F_OK), 0);
    image_fini(&im);
}
