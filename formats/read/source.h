/* Something that gives inputs one after the other: a shard, a bucket, a file of a data set's own. Inside of
 * formats/read; inputs.c reads from the innermost one. */
#ifndef FORMATS_READ_SOURCE_H
#define FORMATS_READ_SOURCE_H

#include "formats/read/inputs.h"

struct source {
    /* The next input; the caller owns *out. ST_CLOSED behind the last one, ST_NOMEM; nothing else: what is wrong is an
     * input with an error. */
    enum status (*next)(struct source *s, struct input *out);
    void (*close)(struct source *s); /* frees it */
};

#endif
