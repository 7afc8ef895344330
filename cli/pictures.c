#include "cli/pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/uri.h"
#include "cli/commands.h"
#include "cli/up_file.h"
#include "formats/write/overlay.h"
#include "media/decoder.h"
#include "media/fetch.h"
#include "media/picture.h"
#include "worker/fetch_flags.h"

enum { MIN_SIDE = 480, MAX_ENLARGED = 8, PATH_BYTES = 4096 };

struct pictures {
    struct decoder_pool *pool;
    struct media_roots *roots;
    struct fetch_choice fetch;
    struct fetcher *fetcher;
    int max_side;
};

void pictures_close(struct pictures *p)
{
    if (!p)
        return;
    fetcher_close(p->fetcher);
    media_roots_free(p->roots);
    decoder_pool_close(p->pool);
    free(p);
}

enum status pictures_open(const struct link_flags *link, const struct setting_list *roots, int max_side,
                          const struct fetch_flags *fetch, struct pictures **out, struct diag *why)
{
    struct pictures *p = calloc(1, sizeof *p);
    if (!p)
        return ST_NOMEM;
    p->max_side = max_side;
    enum status s = decoder_pool_open(&(struct decoder_options){.children = 1}, &p->pool, why);
    if (s == ST_OK)
        s = image_library_start("ferret", why);
    if (s == ST_OK)
        s = up_file_roots(link, roots, &p->roots, why);
    if (s == ST_OK)
        s = fetch_flags_resolve(fetch, p->roots, &p->fetch, why);
    if (s == ST_OK)
        s = fetcher_open(&p->fetch.options, &p->fetcher, why);
    if (s != ST_OK) {
        pictures_close(p);
        return s;
    }
    *out = p;
    return ST_OK;
}

static enum status load(struct pictures *p, const struct json *record, struct image *image, struct diag *why)
{
    const char *uri = jsn_string(jsn_get(jsn_get(record, "image"), "uri"), "");
    bool reference = strcmp(jsn_string(jsn_get(record, "policy"), ""), "ml-ferret") == 0;
    const struct image_policy policy = image_policy_default(reference ? IMAGE_POLICY_ML_FERRET : IMAGE_POLICY_DEFAULT);
    char shown[URI_SHOWN_BYTES];
    struct bytes bytes = {0};
    enum status s = fetch(p->fetcher, uri, &bytes, NULL, why);
    if (s == ST_OK)
        s = decoder_run(p->pool, bytes.data, bytes.len, &policy, image, NULL, why);
    bytes_fini(&bytes);
    const struct json *facts = jsn_get(record, "image");
    if (s == ST_OK &&
        (image->width != jsn_int(jsn_get(facts, "width"), 0) || image->height != jsn_int(jsn_get(facts, "height"), 0)))
        return diag_set(why, ST_SHAPE, "%s: is %d x %d now, the record says otherwise: it is another image",
                        uri_shown(uri, shown, sizeof shown), image->width, image->height);
    return s;
}

/* Large pictures are made smaller; small ones larger by a whole factor, so that words on them can be read. */
static double choose_scale(const struct pictures *p, const struct image *image)
{
    int side = image->width > image->height ? image->width : image->height;
    if (side > p->max_side)
        return (double)p->max_side / side;
    int factor = MIN_SIDE / side;
    return factor < 1 ? 1 : factor > MAX_ENLARGED ? MAX_ENLARGED : factor;
}

enum status pictures_draw(struct pictures *p, const struct json *record, const char *dir, const char *suffix,
                          bool with_boxes, char *name, size_t name_size, struct diag *why)
{
    if (jsn_int(jsn_get(jsn_get(record, "image"), "width"), 0) <= 0)
        return ST_MISSING;
    struct image image = {0};
    char *svg = NULL, *made = NULL;
    char path[PATH_BYTES];
    enum status s = load(p, record, &image, why);
    double scale = s == ST_OK ? choose_scale(p, &image) : 1;
    if (s == ST_OK && with_boxes)
        s = overlay_svg(record, scale, &svg, why);
    if (s == ST_OK)
        s = overlay_name(record, suffix, &made, why);
    if (s == ST_OK && (snprintf(path, sizeof path, "%s/%s", dir, made) >= PATH_BYTES ||
                       snprintf(name, name_size, "%s", made) >= (int)name_size))
        s = diag_set(why, ST_LIMIT, "%s: path too long", dir);
    if (s == ST_OK)
        s = picture_write(&image, svg, scale, path, why);
    free(made);
    free(svg);
    image_fini(&image);
    return s;
}

/* The folder that a URI's path is under, and the path; NULL where no root of that name is known. */
static const char *split_uri(const struct media_roots *roots, const char *uri, const char **rest)
{
    const char *colon = strchr(uri, ':');
    if (*uri == '/') {
        *rest = uri;
        return "";
    }
    for (int i = 0; colon && i < media_roots_count(roots); i++) {
        const char *name = media_roots_name(roots, i);
        if (strlen(name) == (size_t)(colon - uri) && strncmp(name, uri, strlen(name)) == 0) {
            *rest = colon + 1;
            return media_roots_dir(roots, i);
        }
    }
    return NULL;
}

bool pictures_link(const struct pictures *p, const struct json *record, char *path, size_t size)
{
    static const char *const shown[] = {"jpeg", "png", "webp", "gif"};
    const struct json *image = jsn_get(record, "image");
    const char *uri = jsn_string(jsn_get(image, "uri"), ""), *format = jsn_string(jsn_get(image, "format"), "");
    const char *rest = NULL, *dir = split_uri(p->roots, uri, &rest);
    bool fits = false;
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        fits = fits || strcmp(format, shown[i]) == 0;
    /* browsers turn a picture as the camera says */
    bool turned = jsn_int(jsn_get(image, "orientation"), 1) > 1;
    if (turned && strcmp(jsn_string(jsn_get(record, "policy"), ""), "ml-ferret") == 0)
        return false;
    if (!fits || !dir || strchr(uri, '#') || strstr(rest, "../"))
        return false;
    const char *between = *dir && dir[strlen(dir) - 1] != '/' && *rest != '/' ? "/" : "";
    return snprintf(path, size, "%s%s%s", dir, between, rest) < (int)size && access(path, R_OK) == 0;
}
