/* Records -> a gallery with their pictures (formats/write/html.c, cli/pictures.h): what export, report and the plan of
 * a submit show. One thread. */
#ifndef CLI_GALLERY_H
#define CLI_GALLERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "cli/pictures.h"

struct gallery;
/* pictures: borrowed while the gallery lives. link: show files themselves where browsers can. program: in front of what
 * is said on stderr about pictures that can't be drawn. The caller ends it with gallery_close. */
MUST_CHECK enum status gallery_open(const char *program, const char *dir, const char *title, struct pictures *pictures,
                                    bool link, struct gallery **out, struct diag *why);
MUST_CHECK enum status gallery_put(struct gallery *g, const struct json *record, struct diag *why);
/* keep: else nothing but pictures is left. *warnings: pictures that could not be drawn. Frees g, also on failure. */
MUST_CHECK enum status gallery_close(struct gallery *g, bool keep, uint64_t *warnings, struct diag *why);

/* A picture that can't be drawn here (its file is not on this machine) costs a warning, not the whole; one that finds
 * no room on the disk ends it (ST_IO), as all others would find none. `name` is empty where nothing was drawn. */
struct picture_warnings {
    const char *program;
    uint64_t n;
};
MUST_CHECK enum status gallery_picture(struct picture_warnings *w, struct pictures *pictures, const struct json *record,
                                       const char *dir, const char *suffix, bool with_boxes, char *name,
                                       size_t name_size, struct diag *why);

#endif
