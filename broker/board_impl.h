/* Inside of the board: shared by board.c (thread, Redis), board_rates.c (how fast), board_json.c and board_gauges.c
 * (what is shown). */
#ifndef BROKER_BOARD_IMPL_H
#define BROKER_BOARD_IMPL_H

#include <pthread.h>

#include "broker/board.h"
#include "broker/snapshot.h"

enum {
    HISTORY = 300,          /* points of the curve */
    HISTORY_STEP_MS = 2000, /* apart */
    RATE_POINTS = 8,        /* how many samples a campaign's rate is over */
    RATED_MOST = 512,       /* campaigns whose rate is known */
};

/* Samples of how many images of a campaign had ended. */
struct rated {
    char name[LIMIT_NAME_BYTES + 1];
    int64_t at_ms[RATE_POINTS];
    uint64_t ended[RATE_POINTS];
    int n;        /* samples, the oldest first */
    int64_t seen; /* by which pass */
};
struct rates {
    struct rated *list;
    size_t n, cap;
    int64_t pass;
    uint64_t ended;          /* of all, as of the pass before */
    int64_t at_ms, drawn_ms; /* when that was, and up to when points are there */
    double curve[HISTORY];   /* images a second; a ring */
    int64_t curve_end_ms;    /* Unix time of its last point */
    int curve_n, curve_at;
};
/* Notes what a pass found, and fills the campaigns' rates in. */
void rates_note(struct rates *r, struct snapshot *s, int64_t now_ms, int64_t unix_ms);
void rates_fini(struct rates *r);

struct board {
    struct board_options options;
    char id[33]; /* hex: who asks to be elected */
    pthread_t thread;
    bool runs;
    struct web *web;
    pthread_mutex_t store_lock; /* of the store: one call at a time */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    bool has_locks, closing;
    struct snapshot snapshot;
    struct rates rates;
    bool taken, elected;
    int64_t taken_ms;
    char *text;
};

/* malloc'ed; NULL when memory is short. */
char *board_json(const struct snapshot *s, const struct rates *r, int64_t unix_ms);
/* answers: of NEWEST, from the shards that know the campaign; at most `most` of their records. */
char *board_campaign_json(const struct reply *const *answers, size_t n, int most);

#endif
