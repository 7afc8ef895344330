#include "cli/gallery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/uri.h"
#include "formats/write/format.h"
#include "formats/write/new_file.h"

enum { PATH_BYTES = 4096, SHOWN_WARNINGS = 10 };

struct gallery {
    char dir[PATH_BYTES - 96]; /* of the pictures */
    struct pictures *pictures;
    bool link;
    void *page;
    struct picture_warnings warnings;
};

enum status gallery_picture(struct picture_warnings *w, struct pictures *pictures, const struct json *record,
                            const char *dir, const char *suffix, bool with_boxes, char *name, size_t name_size,
                            struct diag *why)
{
    struct diag problem = {{0}};
    name[0] = '\0'; /* until the picture is read and drawn */
    enum status s = pictures_draw(pictures, record, dir, suffix, with_boxes, name, name_size, &problem);
    if (s == ST_IO && name[0])
        return diag_set(why, s, "%s", problem.text);
    if (s != ST_OK)
        name[0] = '\0';
    if (s == ST_OK || (s == ST_MISSING && !problem.text[0])) /* the image failed as a whole: there is nothing to draw */
        return ST_OK;
    char shown[URI_SHOWN_BYTES];
    if (++w->n <= SHOWN_WARNINGS)
        fprintf(stderr, "%s: %s: %s\n", w->program,
                uri_shown(jsn_string(jsn_get(record, "id"), "?"), shown, sizeof shown), problem.text);
    return ST_OK;
}

enum status gallery_open(const char *program, const char *dir, const char *title, struct pictures *pictures, bool link,
                         struct gallery **out, struct diag *why)
{
    struct gallery *g = calloc(1, sizeof *g);
    if (!g)
        return ST_NOMEM;
    g->pictures = pictures;
    g->link = link;
    g->warnings.program = program;
    const struct format_options o = {.dir = dir, .title = title};
    enum status s = ST_OK;
    if (snprintf(g->dir, sizeof g->dir, "%s/pictures/", dir) >= (int)sizeof g->dir)
        s = diag_set(why, ST_LIMIT, "%s: path too long", dir);
    if (s == ST_OK)
        s = make_folders_above(g->dir, why);
    g->dir[strlen(g->dir) - 1] = '\0';
    if (s == ST_OK)
        s = format_html.open(&o, &g->page, why);
    if (s != ST_OK) {
        free(g);
        return s;
    }
    *out = g;
    return ST_OK;
}

enum status gallery_put(struct gallery *g, const struct json *record, struct diag *why)
{
    char name[PATH_BYTES], path[PATH_BYTES + 16] = "";
    if (g->link && pictures_link(g->pictures, record, path, PATH_BYTES))
        return format_html.put(g->page, record, path, why);
    enum status s = gallery_picture(&g->warnings, g->pictures, record, g->dir, ".jpg", false, name, sizeof name, why);
    snprintf(path, sizeof path, "pictures/%s", name);
    return s == ST_OK ? format_html.put(g->page, record, *name ? path : NULL, why) : s;
}

enum status gallery_close(struct gallery *g, bool keep, uint64_t *warnings, struct diag *why)
{
    enum status s = format_html.close(g->page, keep, NULL, why);
    *warnings = g->warnings.n;
    free(g);
    return s;
}
