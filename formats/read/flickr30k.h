/* Flickr30k Entities as inputs: a folder with Sentences/ID.txt, whose phrases are marked ("[/EN#7/people Two men]").
 * One image is one job; with `locate` each sentence is a task that looks for its phrases. Inside of formats/read. */
#ifndef FORMATS_READ_FLICKR30K_H
#define FORMATS_READ_FLICKR30K_H

#include <stdbool.h>

#include "formats/read/source.h"

/* A folder that has both Sentences and Annotations. */
bool is_flickr30k(const char *folder);
/* o, folder: borrowed. */
MUST_CHECK enum status flickr30k_open(const struct inputs_options *o, const char *folder, struct source **out);

#endif
