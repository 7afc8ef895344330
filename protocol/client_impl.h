/* Inside of the client: shared by client.c (questions) and client_submit.c (the window of SUBMITs). */
#ifndef PROTOCOL_CLIENT_IMPL_H
#define PROTOCOL_CLIENT_IMPL_H

#include "protocol/client.h"
#include "protocol/message.h"
#include "protocol/wire.h"

enum {
    BATCH_JOBS = 64,
    BATCH_BYTES = 128 << 10,
    BATCHES_AT_ONCE = 32, /* on the way without an answer */
    BATCH_AGE_MS = 100,   /* a slow input does not wait for a full batch longer than this */
};

struct submit_slot {
    struct submit_slot *next;
    char campaign[LIMIT_NAME_BYTES + 1];
    uint64_t request; /* 0: not closed yet */
    uint8_t *rows;    /* encoded array */
    size_t rows_len, n;
    bool has_place;
    struct place place; /* behind its last job */
    bool accepted;
    int busy;        /* times in a row that the broker took it not */
    int64_t send_at; /* next time it goes out */
};

struct client {
    struct link_context *context;
    struct link *link;
    char *address;
    int timeout_ms;
    int shards;
    uint64_t last_request;
    int64_t heard_at;
    int64_t well_at;   /* last answer of a broker that can reach Redis, or the last move to another one */
    bool is_connected; /* as of the last message sent */

    /* Batches in the order of the input. The first is not accepted yet; later ones may be. */
    struct submit_slot *first, *last;
    size_t n_slots;
    struct wire_writer open_rows; /* rows of the batch that is being filled, without their array */
    struct submit_slot *open;
    int64_t open_since;
    bool has_done, place_is_committed;
    char done_campaign[LIMIT_NAME_BYTES + 1];
    struct place done; /* everything in front of it is accepted */
    struct submit_counts counts;
    enum status failure; /* of a SUBMIT; sticky */
    struct diag failure_text;
    struct diag busy_text; /* of the last BUSY, until something is accepted */
    bool (*on_wait)(void *ctx, const struct submit_counts *counts);
    void *on_wait_ctx;
    int64_t told_at;
};

struct client_answer {
    struct link_frame frame;
    struct message message; /* borrows from the frame */
};

/* Asks until the answer of that kind is there; SUBMIT answers that come in between are taken care of. */
enum status client_ask(struct client *c, struct message *m, enum message_kind want, struct client_answer *out,
                       struct diag *why);
enum status client_post(struct client *c, const struct message *m); /* ST_BUSY: not connected */
/* Moves to another broker when it is time; true: everything unanswered is due again. */
bool client_move_on(struct client *c, int64_t now_ms);
enum status client_receive(struct client *c, int wait_ms, struct client_answer *out, struct diag *why);
/* What an ERROR answer means to the caller; ST_BUSY where asking again may help. */
enum status client_error(const struct message *m, struct diag *why);

void client_submit_answer(struct client *c, const struct message *m);
void client_submit_fini(struct client *c);

#endif
