/* What threads did when, as Chrome's trace events: a JSON file that Perfetto and chrome://tracing open.
 *
 * A process of its own writes the file: one JSON array, whole whenever that one waits for more, so also when this one
 * is killed. Any thread, one write an event. Times are clock_us(). A NULL trace takes events without effect. */
#ifndef OBSERVE_TRACE_H
#define OBSERVE_TRACE_H

#include <stdint.h>

#include "base/status.h"

struct trace;
/* Forks: before there are threads. Writes over what is there. ST_IO names the file. */
MUST_CHECK enum status trace_open(const char *path, const char *program, struct trace **out, struct diag *why);
/* Waits until all is in the file. ST_IO: it is not, its disk is full or the like. NULL is fine. */
enum status trace_close(struct trace *t, struct diag *why);

/* Names the calling thread in the picture; static text. */
void trace_thread(struct trace *t, const char *name);
/* The calling thread did `what` from start to end. about: which image, or NULL. */
void trace_did(struct trace *t, const char *what, const char *about, int64_t start_us, int64_t end_us);
/* Something that overlaps others of its kind, such as a task among many in a batch: id keeps them apart. */
void trace_lasted(struct trace *t, const char *what, const char *about, uint64_t id, int64_t start_us, int64_t end_us);
/* A number over time, drawn as a curve. */
void trace_level(struct trace *t, const char *what, int64_t value);

#endif
