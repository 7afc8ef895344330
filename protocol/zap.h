/* What ZeroMQ asks of whoever comes to a router (RFC 27, ZAP 1.0): a message of several frames, which link.c receives
 * and answers, read here. */
#ifndef PROTOCOL_ZAP_H
#define PROTOCOL_ZAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Domains tell two kinds of addresses apart: those with keys, and those of this host without. */
#define ZAP_DOMAIN_KEYS "keys"
#define ZAP_DOMAIN_LOCAL "local"
#define ZAP_USER_LOCAL "local" /* the user of a peer without a key; no key's text is so short */

enum { ZAP_FRAMES = 7, ZAP_FRAME_BYTES = 256 };

/* Frames as they came. n may be over ZAP_FRAMES and a length over ZAP_FRAME_BYTES: then only the first bytes are here.
 */
struct zap_question {
    uint8_t bytes[ZAP_FRAMES][ZAP_FRAME_BYTES];
    size_t len[ZAP_FRAMES];
    size_t n;
};

struct zap_visitor {
    const uint8_t *id; /* of the question, for the answer; borrowed */
    size_t id_len;
    const uint8_t *key; /* 32 bytes, borrowed; NULL: of this host, without */
    char address[ZAP_FRAME_BYTES + 1];
};

/* False: nobody who may come in, whatever its key. out->id is set where there is one. */
bool zap_read(const struct zap_question *q, struct zap_visitor *out);

#endif
