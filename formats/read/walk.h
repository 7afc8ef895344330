/* Entries of a folder and of those in it, sorted by byte value, hidden ones left out. Memory: the names of the folders
 * on the way down. One thread. */
#ifndef FORMATS_READ_WALK_H
#define FORMATS_READ_WALK_H

#include <stdbool.h>

#include "base/status.h"

enum walk_found {
    WALK_ENTRY,        /* anything that is not a folder: also FIFOs, links to nowhere */
    WALK_IMAGE_FOLDER, /* a folder with the name of an image; not descended into */
    WALK_UNREADABLE,   /* a folder that can't be opened */
    WALK_LOOP,         /* a link to a folder that is being walked, or folders nested too deep */
};

struct walk;
MUST_CHECK enum status walk_open(const char *folder, struct walk **out);
void walk_close(struct walk *w); /* NULL is fine */
/* *path malloc'ed: the folder as given, and the way below it. ST_CLOSED behind the last one. */
MUST_CHECK enum status walk_next(struct walk *w, enum walk_found *found, char **path);

/* The name ends like an image's (".jpg", ".PNG", ...). */
bool walk_is_image_name(const char *path);

#endif
