/* What of common.lua a script comes by. Whatever stands in front of a script is run at each call of it, and kept by
 * Redis once for each script, so that functions which it never comes by cost more than they look like. */
#ifndef PROTOCOL_SCRIPT_PICK_H
#define PROTOCOL_SCRIPT_PICK_H

#include <stddef.h>

#include "base/status.h"

/* common: statements that each begin with "local " at the beginning of a line. *out: those of them that own names, or
 * that such a one names, in their order and without comments, and then own as it is; malloc'ed. ST_NOMEM. */
MUST_CHECK enum status script_pick(const char *common, size_t common_len, const char *own, size_t own_len, char **out,
                                   size_t *out_len);

#endif
