/* What Redis answered: plain data, borrowed from whoever holds it (struct store_answer). */
#ifndef PROTOCOL_REPLY_H
#define PROTOCOL_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reply_kind { REPLY_NIL, REPLY_INT, REPLY_BYTES, REPLY_ARRAY, REPLY_ERROR, REPLY_LOST };
/* Bytes are not terminated. */
struct reply {
    enum reply_kind kind;
    int64_t integer;
    const char *bytes; /* REPLY_BYTES, REPLY_ERROR */
    size_t len;
    struct reply *items; /* REPLY_ARRAY */
    size_t n;
    int replicas; /* of a whole answer: how many have it too, where the store asks them (store_ask_replicas) */
};
/* Element i of an array as bytes ({"", 0} where it is none), or as a number (0). */
const char *reply_bytes(const struct reply *r, size_t i, size_t *len);
int64_t reply_number(const struct reply *r, size_t i); /* integers, and what text begins with in decimal */
bool reply_is(const struct reply *r, size_t i, const char *text);
/* The same of a value itself. */
bool reply_error_is(const struct reply *r, const char *prefix); /* REPLY_ERROR that begins so: "OOM", "LOADING" */

#endif
