/* Ids of one run: tells an id that comes again with another job, which a campaign would take for the one it has. Ids
 * and jobs are compared whole (by the 16 bytes that the queue knows a job by, and 8 of the job's hash), all of the run,
 * in flat memory (seen.h). One thread. */
#ifndef FORMATS_READ_REPEATS_H
#define FORMATS_READ_REPEATS_H

#include "base/status.h"
#include "formats/read/inputs.h"

struct repeats;
/* The caller owns *out: repeats_free. */
MUST_CHECK enum status repeats_new(struct repeats **out);
void repeats_free(struct repeats *r); /* NULL is fine */
enum repeat {
    REPEAT_NONE,  /* a new id */
    REPEAT_SAME,  /* the id has this very job already: nothing is left to do */
    REPEAT_OTHER, /* it has another job */
};
/* What the input is to those in front of it. REPEAT_OTHER gives an input without an error one: `duplicate_id`, with a
 * sentence that says where both stand; and *place (else NULL) the name that is left for it, "FILE:LINE", or NULL where
 * it comes from no manifest. The caller owns *place: free. ST_NOMEM; ST_IO: no room for the ids; ST_LIMIT: the job is
 * too long for a queue, and was not looked at. */
MUST_CHECK enum status repeats_add(struct repeats *r, struct input *input, enum repeat *out, char **place,
                                   struct diag *why);

#endif
