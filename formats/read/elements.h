/* Elements of the lists in a JSON file of any size, one at a time: those of the lists that are members of its object,
 * or of the list that it is. The file may be compressed (unpack.h). Memory: some elements. The only file that knows
 * yajl. One thread. */
#ifndef FORMATS_READ_ELEMENTS_H
#define FORMATS_READ_ELEMENTS_H

#include "base/json.h"
#include "base/status.h"

enum { ELEMENT_NODES = 1 << 20 }; /* values in one element at most */

struct elements;
/* ST_MISSING, ST_IO, ST_FORMAT: name the file. */
MUST_CHECK enum status elements_open(const char *path, struct elements **out, struct diag *why);
void elements_close(struct elements *e); /* NULL is fine */
/* The next element and the name of its list ("" of the outermost one), borrowed until the next call. ST_CLOSED behind
 * the last one. ST_FORMAT, ST_LIMIT: names file and byte; nothing more comes. */
MUST_CHECK enum status elements_next(struct elements *e, const char **list, const struct json **element,
                                     struct diag *why);

#endif
