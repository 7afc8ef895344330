/* JSON files of data sets as inputs: COCO and LVIS (every image, or with `describe` every annotation's box), the files
 * that RefCOCO and Flickr30k have for MDETR (with `locate` each caption's phrases), Visual Genome's region
 * descriptions (boxes to describe, or phrases to locate). Which one it is, its content says. One image is one job, in
 * parts ("17", "17/2") where it has more than a job may have. Memory does not grow with the file. Inside of
 * formats/read. */
#ifndef FORMATS_READ_DATASET_H
#define FORMATS_READ_DATASET_H

#include <stdbool.h>

#include "formats/read/source.h"

/* The name ends like a data set's: ".json", ".json.gz", ".json.zst". */
bool is_dataset_name(const char *path);
/* o, path: borrowed. */
MUST_CHECK enum status dataset_open(const struct inputs_options *o, const char *path, struct source **out);

#endif
