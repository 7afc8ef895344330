/* Records, parsed, one after the other: of a campaign at a broker, without what was forgotten there, or of files. */
#ifndef CLI_RECORDS_H
#define CLI_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/settings.h"
#include "cli/tombstones.h"
#include "protocol/client.h"

/* One record, and its text (no newline). Anything but ST_OK ends the reading, which then gives it. */
typedef enum status (*record_fn)(void *ctx, const struct json *record, const char *text, size_t len, struct diag *why);

struct records {
    struct client *client; /* the caller's */
    const char *campaign;
    struct result_cursor cursor; /* behind the last record given out */
    struct tombstones forgotten;
    record_fn fn;
    void *ctx;
};
/* Up to a message's worth from the cursor on; *more: there were further ones. What is no record (a worker of another
 * make wrote it) comes as a failed one in its place. */
MUST_CHECK enum status records_some(struct records *r, bool *more, struct diag *why);
/* All that there are now. */
MUST_CHECK enum status records_all(struct records *r, struct diag *why);
void records_fini(struct records *r);

/* Records of files: JSON lines, plain or compressed, and folders of an export, whose parts are read in order and then
 * what failed; of failed records of one image only the last, and none where a record anywhere among the paths did not
 * fail, since it was tried again. What comes through a pipe is read once, so there only records in front count. Memory
 * grows with what failed. ST_MISSING, ST_IO, ST_FORMAT naming file and line. */
MUST_CHECK enum status records_of_files(const struct setting_list *paths, record_fn fn, void *ctx, struct diag *why);

/* The pictures of such records (cli/pictures.h). of_files: without --root they are where `ferret annotate` found them,
 * anywhere on this machine. */
struct fetch_flags;
struct link_flags;
struct pictures;
MUST_CHECK enum status records_pictures(const struct link_flags *link, const struct setting_list *roots, bool of_files,
                                        int max_side, const struct fetch_flags *fetch, struct pictures **out,
                                        struct diag *why);

#endif
