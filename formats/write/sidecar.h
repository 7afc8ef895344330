/* What a record is called beside the member of a tar shard that it is of, and whether it was met before: by
 * which webdataset.c names its files. What was met is kept on disk (formats/read/seen.h). */
#ifndef FORMATS_WRITE_SIDECAR_H
#define FORMATS_WRITE_SIDECAR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"
#include "formats/read/seen.h"

/* What a record is in its shard. */
struct sidecar {
    bool of_new_image;
    bool repeated; /* written before: it has no name */
    char *name;    /* without its endings */
};

/* "ROOT:a/00012.tar#x/17.jpg@1536+900": the length of the shard's part, 0 where the image is no member. */
size_t sidecar_source_len(const char *uri);
/* Fills in all but the name. source: of the URI, as above. */
MUST_CHECK enum status sidecar_look_up(struct seen *seen, const struct json *record, const char *uri, size_t source,
                                       struct sidecar *e, struct diag *why);
/* The name of a member's record in the shard of that number, and of one whose image is no member. The caller owns
 * *name: free. */
MUST_CHECK enum status sidecar_name_member(struct seen *seen, size_t place, const char *uri, size_t source, char **name,
                                           struct diag *why);
MUST_CHECK enum status sidecar_name_own(const struct json *record, char **name, struct diag *why);

#endif
