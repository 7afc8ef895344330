/* Messages over ZeroMQ: one frame a message, whole or not at all, never more than LIMIT_FRAME_BYTES. A router serves
 * many peers and addresses them by the name ZeroMQ gave them; a dealer talks to one router and reconnects by itself.
 * Delivery is best effort: a frame to a peer that has gone is dropped, so every request must bear being repeated.
 * A link belongs to one thread at a time. */
#ifndef PROTOCOL_LINK_H
#define PROTOCOL_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "protocol/wire.h"

enum { LINK_PEER_BYTES = 32 };

/* Who sent a frame, as a router names it. */
struct link_peer {
    uint8_t bytes[LINK_PEER_BYTES];
    uint8_t len;
};
bool link_peer_same(const struct link_peer *a, const struct link_peer *b);

/* CURVE keys, 40 characters of Z85 each. A server has public_key and secret_key; a client also server_key. */
struct link_keys {
    const char *public_key, *secret_key, *server_key;
};

enum link_kind { LINK_ROUTER, LINK_DEALER };
struct link_options {
    enum link_kind kind;
    const char *address;          /* a router binds it; a dealer connects to one of protocol/endpoints.h */
    const struct link_keys *keys; /* NULL = plain; router: a CURVE server, dealer: a CURVE client */
    int linger_ms;                /* how long link_close waits for unsent frames */
};

struct link_context;
struct link;
MUST_CHECK enum status link_context_new(struct link_context **out);
void link_context_free(struct link_context *c); /* after its links; NULL is fine */

MUST_CHECK enum status link_open(struct link_context *c, const struct link_options *o, struct link **out,
                                 struct diag *why);
void link_close(struct link *l); /* NULL is fine */
/* A dealer leaves the broker it hangs on for the next one; what was on the way is lost. False: there is no other. */
bool link_move(struct link *l);

/* Takes ownership of bytes (malloc'ed), also on failure. peer: NULL on a dealer. ST_CLOSED: that peer has gone;
 * ST_BUSY: its queue is full. Never blocks. */
MUST_CHECK enum status link_send(struct link *l, const struct link_peer *peer, uint8_t *bytes, size_t len);

/* A received frame; link_frame_free releases it. */
struct link_frame {
    struct link_peer peer;
    const uint8_t *bytes;
    size_t len;
    void *owner;
};
/* ST_BUSY: nothing there. Messages that are not one frame are dropped unseen. */
MUST_CHECK enum status link_receive(struct link *l, struct link_frame *out);
void link_frame_free(struct link_frame *f);

/* Waits for links and file descriptors together. */
struct link_poll {
    struct link *link; /* or NULL: then fd */
    int fd;            /* < 0 with link NULL: never ready */
    bool want_read, want_write;
    bool can_read, can_write; /* out */
};
/* timeout_ms < 0 waits for ever; the first 40 that can be ready are looked at. ST_OK also on timeout and on a signal
 * (nothing is ready then). */
MUST_CHECK enum status link_wait(struct link_poll *items, int n, int timeout_ms);

/* Whether an address stays on this host: ipc, inproc, or tcp on a loopback address. */
bool link_is_local(const char *address);
/* A fresh CURVE key pair, each with its NUL. ST_UNSUPPORTED where ZeroMQ was built without CURVE. */
enum { LINK_KEY_TEXT = 41 };
MUST_CHECK enum status link_keypair(char public_key[LINK_KEY_TEXT], char secret_key[LINK_KEY_TEXT]);

#endif
