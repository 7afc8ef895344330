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

enum { LINK_PEER_BYTES = 32, LINK_KEY_BYTES = 32, LINK_KEY_TEXT = 41 };

/* What a router knows of a peer besides its name. Without a gate nothing is known of anybody. */
enum link_trust {
    LINK_ANYBODY,
    LINK_THIS_HOST, /* it came by ipc, past the permissions of the socket's file */
    LINK_HAS_KEY,   /* it has proved that it has the secret half of `key`, and the gate let it in */
};

/* Who sent a frame, as a router names it. */
struct link_peer {
    uint8_t bytes[LINK_PEER_BYTES];
    uint8_t len;
    uint8_t trust; /* enum link_trust */
    uint8_t key[LINK_KEY_BYTES];
};
bool link_peer_same(const struct link_peer *a, const struct link_peer *b); /* one connection */

/* CURVE keys, 40 characters of Z85 each. A server has public_key and secret_key; a client also server_key. */
struct link_keys {
    const char *public_key, *secret_key, *server_key;
};

enum link_kind { LINK_ROUTER, LINK_DEALER, LINK_GATE };
struct link_options {
    enum link_kind kind;
    /* A router binds all of the list, a dealer connects to one of it (protocol/endpoints.h); a gate has none. */
    const char *address;
    /* Router: a CURVE server, dealer: a CURVE client; NULL: plain. ipc is plain in any case. */
    const struct link_keys *keys;
    bool insecure; /* plain also where others may listen */
    int linger_ms; /* how long link_close waits for unsent frames */
};

struct link_context;
struct link;
MUST_CHECK enum status link_context_new(struct link_context **out);
void link_context_free(struct link_context *c); /* after its links; NULL is fine */

/* ST_REFUSED: an address that leaves this host, without keys and not insecure. */
MUST_CHECK enum status link_open(struct link_context *c, const struct link_options *o, struct link **out,
                                 struct diag *why);
void link_close(struct link *l); /* NULL is fine */
/* A dealer leaves the broker it hangs on for the next one; what was on the way is lost. False: there is no other. */
bool link_move(struct link *l);

/* Takes ownership of bytes (malloc'ed), also on failure. peer: NULL on a dealer. ST_CLOSED: that peer has gone;
 * ST_BUSY: its queue is full. Never blocks. */
MUST_CHECK enum status link_send(struct link *l, const struct link_peer *peer, uint8_t *bytes, size_t len);

/* What is known of a dealer's connection: ST_OK; ST_REFUSED: the broker does not let its key in; ST_FORMAT: no
 * handshake comes about (another key of the broker, or one side is encrypted and the other is not). It keeps trying. */
MUST_CHECK enum status link_trouble(struct link *l, struct diag *why);

/* Asked for each connection with CURVE before its first frame; address: where it comes from. */
typedef bool (*link_gate_fn)(void *ctx, const uint8_t key[LINK_KEY_BYTES], const char *address);
/* A gate is a link of kind LINK_GATE, opened before the routers of its context, at most one; it can be waited for.
 * Answers all who stand there. From then on every peer has its trust. */
void link_gate_serve(struct link *gate, link_gate_fn fn, void *ctx);

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
/* timeout_ms < 0 waits for ever; the first 72 that can be ready are looked at. ST_OK also on timeout and on a signal
 * (nothing is ready then). */
MUST_CHECK enum status link_wait(struct link_poll *items, int n, int timeout_ms);

/* A fresh CURVE key pair, each with its NUL. ST_UNSUPPORTED where ZeroMQ was built without CURVE. */
MUST_CHECK enum status link_keypair(char public_key[LINK_KEY_TEXT], char secret_key[LINK_KEY_TEXT]);
/* The public half of a secret key. ST_FORMAT: that is no key. */
MUST_CHECK enum status link_public_key(const char *secret_key, char public_key[LINK_KEY_TEXT]);
/* Z85 to bytes. ST_FORMAT: not 40 characters of Z85. */
MUST_CHECK enum status link_key_read(const char *text, uint8_t key[LINK_KEY_BYTES]);
void link_key_text(const uint8_t key[LINK_KEY_BYTES], char text[LINK_KEY_TEXT]);

#endif
