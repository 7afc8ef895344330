/* Records -> numbers that a person judges a campaign by, and by which a day or a worker that differs is seen: failures,
 * empty answers, repetition, length of captions, boxes, scores. Memory: a row a day and a worker. One thread. */
#ifndef FORMATS_WRITE_SUMMARY_H
#define FORMATS_WRITE_SUMMARY_H

#include <stdint.h>
#include <stdio.h>

#include "base/json.h"
#include "base/status.h"

struct summary;
/* The caller owns the result: summary_free. NULL when memory is short. */
struct summary *summary_new(void);
void summary_free(struct summary *s); /* NULL is fine */
MUST_CHECK enum status summary_add(struct summary *s, const struct json *record);
uint64_t summary_images(const struct summary *s);
uint64_t summary_failed(const struct summary *s);

/* {"images","ok","partial","failed","answers",...,"by_day":[..],"by_worker":[..],"errors":{code: n}}; a row's "differs"
 * names what lies more than four standard errors away from the whole. NULL when memory is short. */
struct json *summary_json(const struct summary *s);
/* The whole in a few lines; a line a day and a worker. */
void summary_text(const struct summary *s, FILE *out);
void summary_tables(const struct summary *s, FILE *out);

#endif
