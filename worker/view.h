/* How a worker can be looked at: metrics and health over HTTP, a trace file, and the meters that feed both. */
#ifndef WORKER_VIEW_H
#define WORKER_VIEW_H

#include <stdbool.h>

#include "base/log.h"
#include "observe/service.h"
#include "worker/meters.h"

struct view;
/* trace: a file, or NULL. flags and log: borrowed while the view lives. Nobody listens yet. Before there are threads.
 */
MUST_CHECK enum status view_open(const struct service_flags *flags, const char *trace, const struct log *log,
                                 struct view **out, struct diag *why);
/* Ends what it shows, then frees; after the pipeline and the session are closed. A trace that could not be written to
 * its end is a warning in the log. NULL is fine. */
void view_close(struct view *v);
struct meters *view_meters(struct view *v);

/* Starts to listen, where an address was given; from here on there is a thread more. What is asked before view_loaded
 * is told that the model is loading. */
MUST_CHECK enum status view_listen(struct view *v, struct diag *why);
/* The model is there. */
void view_loaded(struct view *v, const char *class_name, const char *device);
/* The session's loop turned; welcomed: a broker has it. */
void view_turn(struct view *v, bool welcomed);

#endif
