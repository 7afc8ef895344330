/* A broker that the test plays itself: a ROUTER socket on ipc, one message expected after the other, answers as the
 * test likes them. What is under test runs on another thread. For the units of protocol and worker. */
#ifndef TESTS_PLAYED_BROKER_H
#define TESTS_PLAYED_BROKER_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "protocol/job.h"
#include "protocol/link.h"
#include "protocol/message.h"
#include "tests/caption_job.h"

enum { PLAYED_WAIT_MS = 10000 };

struct played {
    char address[64];
    struct link_context *context;
    struct link *link;
    struct link_frame frame; /* the last message's bytes */
    struct message message;
};

static inline void played_open(struct played *p)
{
    struct link_options o = {.kind = LINK_ROUTER, .address = p->address};
    struct diag why = {.text = ""};
    snprintf(p->address, sizeof p->address, "ipc:///tmp/ferretry-played-%d-%zx", (int)getpid(), (size_t)p);
    cr_assert_eq(link_context_new(&p->context), ST_OK);
    cr_assert_eq(link_open(p->context, &o, &p->link, &why), ST_OK, "%s", why.text);
}

static inline void played_close(struct played *p)
{
    link_frame_free(&p->frame);
    p->frame = (struct link_frame){.owner = NULL};
    link_close(p->link);
    link_context_free(p->context);
    unlink(p->address + strlen("ipc://"));
}

/* The next message, whatever it is; false when none comes within wait_ms. */
static inline bool played_next(struct played *p, int wait_ms)
{
    for (int64_t until = clock_ms() + wait_ms;;) {
        link_frame_free(&p->frame);
        p->frame = (struct link_frame){.owner = NULL};
        if (link_receive(p->link, &p->frame) == ST_OK) {
            struct diag why = {.text = ""};
            cr_assert_eq(message_decode(p->frame.bytes, p->frame.len, &p->message, &why), ST_OK, "%s", why.text);
            return true;
        }
        int64_t left = until - clock_ms();
        if (left <= 0)
            return false;
        struct link_poll item = {.link = p->link, .want_read = true};
        cr_assert_eq(link_wait(&item, 1, (int)left), ST_OK);
    }
}

/* The next message of that kind; others in between are read over. */
static inline const struct message *played_expect(struct played *p, enum message_kind kind)
{
    for (int64_t until = clock_ms() + PLAYED_WAIT_MS; clock_ms() < until;)
        if (played_next(p, PLAYED_WAIT_MS) && p->message.kind == kind)
            return &p->message;
    cr_assert_fail("no %s came", message_kind_name(kind));
    return &p->message;
}

/* Answers the last message: its number and session are filled in. */
static inline void played_answer(struct played *p, struct message answer)
{
    uint8_t *bytes;
    size_t len;
    answer.request = p->message.request;
    answer.session = p->message.session;
    cr_assert_eq(message_encode(&answer, &bytes, &len), ST_OK);
    cr_assert_eq(link_send(p->link, &p->frame.peer, bytes, len), ST_OK);
}

static inline void played_answer_bytes(struct played *p, const char *bytes, size_t len)
{
    uint8_t *copy = malloc(len);
    cr_assert_not_null(copy);
    memcpy(copy, bytes, len);
    cr_assert_eq(link_send(p->link, &p->frame.peer, copy, len), ST_OK);
}

static inline struct wire_view played_text(const char *t)
{
    return (struct wire_view){.bytes = (const uint8_t *)t, .len = strlen(t)};
}

static inline void played_error(struct played *p, enum message_code code, const char *text)
{
    played_answer(p, (struct message){.kind = MESSAGE_ERROR,
                                      .code = played_text(message_code_name(code)),
                                      .text = played_text(text),
                                      .retry_ms = 20});
}

/* A caption job under that key, in campaign "c" of tenant "t"; one that begins with "short-" may run for 50 ms. Free
 * body with free. */
struct played_job {
    uint8_t id[ID_BYTES], *body;
    size_t len;
};
static inline struct job played_caption(const char *key)
{
    struct job job = caption_job(key, "t", "c");
    job.max_runtime_ms = strncmp(key, "short-", 6) == 0 ? 50 : 0;
    return job;
}

static inline struct played_job played_job(const char *key)
{
    const struct job job = played_caption(key);
    struct played_job out;
    cr_assert_eq(job_encode(&job, &out.body, &out.len, NULL), ST_OK);
    job_id(&job, out.id);
    return out;
}

/* Answers with JOBS or RESUMED that bring these jobs. */
static inline void played_hand_out(struct played *p, enum message_kind kind, uint64_t seq, const char *const *keys,
                                   size_t n)
{
    struct wire_writer w;
    wire_writer_init(&w, LIMIT_FRAME_BYTES);
    wire_put_array(&w, n);
    for (size_t i = 0; i < n; i++) {
        struct played_job j = played_job(keys[i]);
        struct message_row row = {.id = j.id, .body = {j.body, j.len}};
        message_row_put(&w, &row);
        free(j.body);
    }
    played_answer(p, (struct message){.kind = kind, .seq = seq, .rows = {w.bytes, w.len}});
    wire_writer_fini(&w);
}

#endif
