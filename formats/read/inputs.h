/* PATH arguments -> jobs, one at a time: image files, folders, globs, tar shards (*.tar, here or by URI), buckets
 * (s3://bucket/prefix/), manifests (*.jsonl, .jsonl.gz, .jsonl.zst), lists of paths and addresses, one a line (*.txt,
 * .txt.gz, .txt.zst), files of data sets (dataset.h: *.json, .json.gz, .json.zst), folders of Flickr30k Entities, "-"
 * for a manifest on stdin. Whatever is wrong with one input is an item of its own, and the next one follows; nothing is
 * skipped but hidden entries of folders, and blank lines.
 *
 * Memory: one manifest line, a page of a bucket, a window of a shard, and the names of the folders on the way down. One
 * thread.
 *
 * Order: arguments as given; a folder's entries sorted by byte value, folders among them at their place. Links to
 * folders are followed, but not into a folder that is being read already. An entry that is a folder but has an image's
 * name ("x.jpg") is an error item `not_a_file`. Whether a file is an image is not asked here. */
#ifndef FORMATS_READ_INPUTS_H
#define FORMATS_READ_INPUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "protocol/job.h"
#include "protocol/result.h"

enum { INPUTS_LINE_BYTES = 1 << 20, INPUTS_IDENTITY_BYTES = 32 };

/* The URI by which the job names a local file; path is absolute. Malloc'ed. Failures become error items, ST_MISSING as
 * `unknown_root`. */
typedef enum status (*inputs_uri_fn)(void *ctx, const char *path, char **uri, struct diag *why);

/* What lies on other machines, or under a root's name. ST_MISSING, ST_REFUSED, ST_IO, ST_TIMEOUT...: an input with that
 * error. */
struct inputs_remote {
    void *ctx;
    /* Up to `length` bytes from `offset` of what the URI names; fewer at its end. *bytes malloc'ed. */
    enum status (*read)(void *ctx, const char *uri, uint64_t offset, uint64_t length, uint8_t **bytes, size_t *len,
                        struct diag *why);
    /* A page of names below a URI; *token: NULL at first, NULL behind the last page. *names and all malloc'ed. */
    enum status (*list)(void *ctx, const char *uri, char **token, char ***names, int *n, struct diag *why);
};

struct inputs_options {
    const char *const *paths; /* borrowed while the inputs live */
    int n_paths;
    const struct job *defaults; /* tasks, regions, options...; borrowed likewise */
    inputs_uri_fn uri;          /* NULL: the absolute path itself */
    void *uri_ctx;
    const char *const *images; /* where the images of data sets lie: folders, relative to the current one, or URIs;
                                  else beside their file; borrowed by inputs_open only */
    int n_images;
    const struct inputs_remote *remote; /* NULL: what lies elsewhere is an error; borrowed likewise */
};

/* One input. job is always there: complete where error is NULL, else with key and image only ("FILE:LINE" as key of a
 * manifest line without an id that can be read or may be so long), cut to what a job may have. The key is the URI of
 * the file that was given or found (the path where it has none), or the line's id, or the URI of the line's image; of a
 * shard's member "SHARD#NAME".
 * Relative paths in a manifest are relative to its folder; those on stdin to the current one. */
struct input {
    struct job *job;
    const char *error; /* NULL, or a static word: invalid_job, unknown_task, too_long, missing_file, not_a_file... */
    enum error_class error_class;
    char message[DIAG_BYTES]; /* where there is an error; names file and line */
    const char *manifest;     /* where it stands, as given; borrowed until the next input; NULL: in no manifest */
    uint64_t line;            /* in the manifest, from 1 */
    uint64_t offset;          /* bytes of the (uncompressed) manifest up to behind this line; 0 for other inputs */
};
void input_fini(struct input *i); /* frees what is left in it */

struct inputs;
/* Whether a PATH may bring regions and phrases of its own: a manifest, "-" among them, or a data set; no list. */
bool inputs_is_manifest(const char *path);
/* Looks at no file yet. The caller owns *out. */
MUST_CHECK enum status inputs_open(const struct inputs_options *o, struct inputs **out, struct diag *why);
void inputs_close(struct inputs *in); /* NULL is fine */
/* The next input; the caller owns *out: input_fini. ST_CLOSED behind the last one, ST_NOMEM. */
MUST_CHECK enum status inputs_next(struct inputs *in, struct input *out, struct diag *why);

/* Going on where an earlier run was: possible where the only argument is a manifest in a file. A folder may have
 * changed before the place reached, so lists start again; their jobs are known by their ids. */
bool inputs_resumable(const struct inputs *in);
/* SHA-256 over the arguments' absolute paths and, of a manifest, its first bytes. */
MUST_CHECK enum status inputs_identity(const struct inputs *in, uint8_t out[INPUTS_IDENTITY_BYTES], struct diag *why);
/* Before the first inputs_next: begin behind `offset` (as of an earlier input.offset). ST_INVALID where the inputs
 * are not resumable or the manifest is shorter. */
MUST_CHECK enum status inputs_seek(struct inputs *in, uint64_t offset, struct diag *why);

#endif
