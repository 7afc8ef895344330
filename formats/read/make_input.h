/* One input -> its item: a job, or an error with a job to name it by. Inside of formats/read. Each returns ST_OK or
 * ST_NOMEM and fills *out. */
#ifndef FORMATS_READ_MAKE_INPUT_H
#define FORMATS_READ_MAKE_INPUT_H

#include "formats/read/inputs.h"
#include "formats/read/lines.h"

MUST_CHECK enum status make_error(const struct inputs_options *o, const char *path, const char *code,
                                  const char *message, struct input *out);
MUST_CHECK enum status make_from_path(const struct inputs_options *o, const char *path, struct input *out);
/* The word for a source that can't be read, told by its status. */
const char *make_code_of_reading(enum status s);
/* One that failed and has a URI. */
MUST_CHECK enum status make_error_of_uri(const struct inputs_options *o, const char *uri, const char *code,
                                         const char *message, struct input *out);
/* A job of the defaults' tasks over one image of a group, of whose name the end is kept. */
MUST_CHECK enum status make_of_group(const struct inputs_options *o, const char *key, const char *uri,
                                     const char *group, struct input *out);
/* The URI of a local file, by the caller's rule; folder: as in path_absolute. *uri malloc'ed. ST_MISSING: under no
 * root; ST_IO. */
MUST_CHECK enum status make_local_uri(const struct inputs_options *o, const char *folder, const char *path, char **uri,
                                      struct diag *why);
MUST_CHECK enum status make_from_uri(const struct inputs_options *o, const char *uri, struct input *out);
/* manifest: its name as given; folder: its absolute folder. */
MUST_CHECK enum status make_from_line(const struct inputs_options *o, const char *manifest, const char *folder,
                                      const struct line *line, struct input *out);
/* The same of a list's line, which is a path or a URI and nothing else. */
MUST_CHECK enum status make_from_name(const struct inputs_options *o, const char *manifest, const char *folder,
                                      const struct line *line, struct input *out);
/* An object such as a manifest's line has; paths in it are relative to `folder`. */
MUST_CHECK enum status make_from_object(const struct inputs_options *o, const char *manifest, const char *folder,
                                        const struct json *v, struct input *out);
/* What the input at this place of its manifest is called where it has no name of its own: "FILE:LINE", as UTF-8, cut in
 * front to what a key may have. Malloc'ed; NULL when memory is short. */
char *make_place_key(const char *manifest, uint64_t line);

#endif
