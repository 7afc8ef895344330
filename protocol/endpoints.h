/* Where brokers are: one address, or several joined by commas ("tcp://a:7411,tcp://b:7411"), and a host name may stand
 * for several hosts. They are gone through in turn from a random first one, so that peers spread over brokers. Belongs
 * to one thread at a time. */
#ifndef PROTOCOL_ENDPOINTS_H
#define PROTOCOL_ENDPOINTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct endpoints;

/* ST_INVALID: a part is empty, or has a comma that no tcp:// or ipc:// follows. The caller owns *out: endpoints_free.
 */
MUST_CHECK enum status endpoints_new(const char *text, struct endpoints **out, struct diag *why);
void endpoints_free(struct endpoints *e); /* NULL is fine */

/* The next address, for ZeroMQ; borrowed until the next call. NULL: memory is short. Names are looked up at the first
 * call and whenever all have had their turn; that takes as long as the resolver takes. A name that is not known stays
 * itself. */
const char *endpoints_next(struct endpoints *e);
/* Those that were given, as they were. */
size_t endpoints_n_given(const struct endpoints *e);
const char *endpoints_given(const struct endpoints *e, size_t i);
/* How many there are, as of the last lookup; 0 before the first call. */
size_t endpoints_count(const struct endpoints *e);

/* Whether one address, or each of a list, stays on this host: ipc, inproc, or tcp on a numeric loopback address or
 * "localhost". */
bool endpoints_are_local(const char *text);

#endif
