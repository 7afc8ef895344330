/* A format that records are written in, one file a format. A writer makes a folder; what it writes appears under its
 * name when it is whole, and not at all where it ends early. Records are written as they come: memory does not grow
 * with them but where a format says so. One thread a writer. */
#ifndef FORMATS_WRITE_FORMAT_H
#define FORMATS_WRITE_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"

struct format_options {
    const char *dir;
    const char *title;      /* of the campaign or file, for people */
    const char *categories; /* coco: a file of categories, or NULL */
    int64_t shard_images;   /* coco, webdataset: images a file; 0 = the format's own */
};

struct format {
    const char *name;
    /* The caller owns *out: close. */
    enum status (*open)(const struct format_options *o, void **out, struct diag *why);
    /* picture: path of the record's picture, relative to the folder; NULL: none. */
    enum status (*put)(void *writer, const struct json *record, const char *picture, struct diag *why);
    /* keep: everything was put, and nothing failed. Frees the writer, also on failure. notes: a sentence for people
     * about what found no place in the format, or "". */
    enum status (*close)(void *writer, bool keep, struct diag *notes, struct diag *why);
};

extern const struct format format_html, format_coco, format_kosmos2, format_flickr30k, format_webdataset, format_openai;

#endif
