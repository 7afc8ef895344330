/* What this queue has answered already: a job whose image has the bytes of a finished one, under the same questions and
 * the same tenant, gets a copy of its result, and says so (`dup_of`). The index is in Redis (scripts/twins.lua), capped
 * and shared by all workers of a class; a session carries questions and news there, many at once.
 *
 * Best effort: without an answer in time there is no twin, and what is still running is nobody's twin. Any thread, but
 * for the session's part. */
#ifndef WORKER_TWINS_H
#define WORKER_TWINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/sha256.h"
#include "base/status.h"
#include "protocol/job.h"

/* What names an image's result in the index. */
struct twin {
    bool is_named;
    uint8_t id[ID_BYTES]; /* of the job; an earlier result of its own is nobody's twin */
    uint8_t key[ID_BYTES];
    char sha256[SHA256_HEX]; /* of the image's bytes */
};

struct twins;
enum { TWINS_WAIT_MS = 5000 };
/* most: results that the index keeps; wait_ms: how long who asks waits at most where nothing says that it is in vain.
 */
MUST_CHECK enum status twins_new(int64_t most, int wait_ms, struct twins **out);
void twins_free(struct twins *t); /* NULL is fine; nobody waits in it any more */
/* What an answer depends on beside the job and the bytes: class, version and the like. Before the first name. */
MUST_CHECK enum status twins_set_maker(struct twins *t, const char *maker);
int64_t twins_most(const struct twins *t);

/* content: SHA-256 of the image's bytes. out stays unnamed where memory is short. */
void twins_name(const struct twins *t, const struct job *j, const uint8_t content[SHA256_BYTES], struct twin *out);
/* Waits for the answer. The twin's record, and its id as text; NULL: there is none, or nobody knows.
 * The caller frees it with jsn_free. */
struct json *twins_find(struct twins *t, const struct twin *w, char id[2 * ID_BYTES + 1]);
/* Its result was stored: it goes to the index with the next question. A copy is made. */
void twins_tell(struct twins *t, const struct twin *w, const char *image, const char *record);

/* ---- the session's part: one thread ----------------------------------------------------------------------------- */

/* wake: there is something to carry again; any thread, not under its locks. */
void twins_attach(struct twins *t, void (*wake)(void *ctx), void *ctx);
/* Closed, as at first: whoever asks is told at once that there is none. */
void twins_set_open(struct twins *t, bool open);

struct twin_news {
    struct twin_news *next;
    uint8_t key[ID_BYTES];
    size_t len;
    char value[];
};
/* What is carried next; at most LIMIT_TWINS of each. The news are the caller's, to be freed one by one. False: nothing.
 */
struct twins_load {
    uint8_t asked[LIMIT_TWINS][ID_BYTES];
    size_t n_asked, n_news;
    struct twin_news *news;
};
bool twins_take(struct twins *t, struct twins_load *out);
/* An answer to what was carried, and then: there are no more. */
void twins_answer(struct twins *t, const uint8_t key[ID_BYTES], const char *value, size_t len);
void twins_answered(struct twins *t);

#endif
