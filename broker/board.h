/* What there is to see of the queue: a thread with a connection of its own that gathers a snapshot from Redis every few
 * seconds, each second while somebody looks. It keeps what no script knows: how fast campaigns went lately.
 *
 * Of all brokers on a Redis one is elected to tell the queue's gauges, so that sums over brokers are true. */
#ifndef BROKER_BOARD_H
#define BROKER_BOARD_H

#include "base/json.h"
#include "base/log.h"
#include "observe/exposition.h"
#include "observe/web.h"
#include "protocol/store.h"

struct board;
struct board_options {
    struct store *store;  /* its own; taken over, also on failure */
    double result_budget; /* as CLAIM has it */
};
MUST_CHECK enum status board_open(const struct board_options *o, struct board **out, struct diag *why);
void board_close(struct board *b); /* NULL is fine */
/* Starts the thread; each snapshot is published to web from then on, until board_stop, which bears to be called again
 * and with NULL. */
MUST_CHECK enum status board_start(struct board *b, struct web *web, struct diag *why);
void board_stop(struct board *b);

/* Any thread. The newest snapshot as JSON, malloc'ed; NULL where there is none yet, or memory is short. */
char *board_text(struct board *b);
/* A campaign and its newest records, as JSON, malloc'ed: asks Redis. ST_MISSING: no such campaign; ST_IO. */
MUST_CHECK enum status board_newest(struct board *b, const char *campaign, int n, char **out);
/* The record of an ended job, named by its id in hex. The caller owns *out. ST_MISSING: no such job, or its record was
 * taken out; ST_IO. */
MUST_CHECK enum status board_record(struct board *b, const char *job, struct json **out);
/* The queue's gauges, where this broker is elected and knows them (metrics_source). */
void board_gauges(void *board, struct exposition *e);

#endif
