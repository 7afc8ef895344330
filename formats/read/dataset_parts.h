/* What the readers of data sets share: where an image lies, and the objects of manifests that they make. Inside of
 * formats/read. */
#ifndef FORMATS_READ_DATASET_PARTS_H
#define FORMATS_READ_DATASET_PARTS_H

#include "formats/read/inputs.h"

/* What is asked about an image's boxes and phrases, as the options' first task says. */
enum wanted {
    WANTED_IMAGE,   /* the options' tasks, once an image */
    WANTED_BOXES,   /* describe, and the options name no regions of their own */
    WANTED_PHRASES, /* locate, and the options name no phrases of their own */
};
enum wanted wanted_of(const struct inputs_options *o);

/* Where the image of that name lies: in the first of the options' folders that has it, or the first one where that
 * can't be told; without folders, in `folder`. A folder may be a URI. *out malloc'ed: a path or a URI. */
MUST_CHECK enum status dataset_image(const struct inputs_options *o, const char *folder, const char *name, char **out);

/* {"image": image, "id": id} and, for parts behind the first, "id/PART". NULL when memory is short. */
struct json *dataset_job(const char *id, int part, const char *image);
/* Another region {"id", "box"} of x, y, width, height. */
MUST_CHECK enum status dataset_add_box(struct json *regions, const char *id, const double xywh[4]);
/* Another task {"id", "kind": "locate", "phrases"}; takes ownership of the phrases. */
MUST_CHECK enum status dataset_add_locate(struct json *tasks, const char *id, struct json *phrases);
/* Number or text -> text, in room; "" where it is neither. */
const char *dataset_id(const struct json *v, char *room, size_t size);
/* An array of n numbers. */
bool dataset_numbers(const struct json *v, double *out, size_t n);

#endif
