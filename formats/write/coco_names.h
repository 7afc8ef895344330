/* Which category a phrase belongs to, and which number an image has, as COCO's files want them. Inside of
 * formats/write. */
#ifndef FORMATS_WRITE_COCO_NAMES_H
#define FORMATS_WRITE_COCO_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "formats/write/words.h"

struct coco_names {
    struct words categories;
    bool given; /* the categories: no others come */
    bool counted;
    int64_t next; /* image number */
};
/* path: a JSON file of categories, [{"id","name"}, ...] or an object that has such a list as "categories" (any COCO
 * file does); NULL: the words that phrases are about become categories as they come. ST_FORMAT names what is wrong. */
MUST_CHECK enum status coco_names_open(struct coco_names *n, const char *path, struct diag *why);
void coco_names_fini(struct coco_names *n);

/* *category 0: none of the given ones. A given name is found in a phrase as whole words, in the singular or with an s,
 * the longest name first. */
MUST_CHECK enum status coco_names_category(struct coco_names *n, const char *phrase, int64_t *category);

/* A whole number in "image_id" of the record's meta, or the record's id where that is a whole number: both below 2^40.
 * Where the first image has neither, all are counted from 1; where a later one has none, it is counted from 2^40. */
int64_t coco_names_image(struct coco_names *n, const struct json *record);

#endif
