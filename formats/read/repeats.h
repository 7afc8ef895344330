/* Ids of one run: tells an id that comes again with another job, which a campaign would take for the one it has. The
 * same job again is no repeat. 24 bytes an id and the same again for room; behind REPEATS_MOST ids nothing new is
 * remembered. One thread. */
#ifndef FORMATS_READ_REPEATS_H
#define FORMATS_READ_REPEATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "formats/read/inputs.h"

enum { REPEATS_MOST = 4 << 20 };

struct repeats;
/* The caller owns *out: repeats_free. */
MUST_CHECK enum status repeats_new(struct repeats **out);
void repeats_free(struct repeats *r); /* NULL is fine */
/* *again: the id is known with another job, and `first` says where that one stands ("m.jsonl:3"; "" where it came from
 * no manifest). ST_NOMEM; ST_LIMIT: the job is too long for a queue, and was not looked at. */
MUST_CHECK enum status repeats_add(struct repeats *r, const struct input *input, bool *again, char *first, size_t size,
                                   struct diag *why);

#endif
