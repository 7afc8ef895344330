/* DIR/up.json: what a `ferret up` tells the other commands on its machine: the roots that its workers read from. */
#ifndef CLI_UP_FILE_H
#define CLI_UP_FILE_H

#include "base/settings.h"
#include "base/status.h"
#include "media/fetch.h"

MUST_CHECK enum status up_file_write(const char *data_dir, const struct setting_list *roots, struct diag *why);

/* The roots to name files by: those of --root where given; else, with a broker found through --data, those of its
 * up.json; else none. The caller owns *out: media_roots_free. */
struct link_flags;
MUST_CHECK enum status up_file_roots(const struct link_flags *link, const struct setting_list *given,
                                     struct media_roots **out, struct diag *why);

#endif
