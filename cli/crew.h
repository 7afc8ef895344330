/* Which workers are there for which campaigns: a campaign's images go to workers of its class only, its model at its
 * precision, so without one they wait. */
#ifndef CLI_CREW_H
#define CLI_CREW_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/client.h"

/* "model 1a2b3c4d5e6f at f32", of a class. */
enum { CLASS_TEXT_BYTES = 128 };
void crew_class_text(const char *class_name, char out[CLASS_TEXT_BYTES]);
/* It has images that no live worker can take. */
bool crew_is_missing(const struct campaign_status *c);
/* Sessions of the class whose lease has lapsed: workers that died, and were not cleared away yet. */
size_t crew_lapsed(const struct worker_status *list, size_t n, const char *class_name);
/* For each campaign (a few are named) with unfinished images of another class than `class_name` a sentence on stderr:
 * what waits, for which workers, and what to do. */
MUST_CHECK enum status crew_tell_waiting(struct client *client, const char *class_name, struct diag *why);

#endif
