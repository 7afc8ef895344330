/* One exchange as libcurl sees it: how it is asked for, what comes, how it ended. Inside of media; transfers.c runs
 * many. */
#ifndef MEDIA_TRANSFER_H
#define MEDIA_TRANSFER_H

#include "media/curl.h"
#include "media/transfers.h"

struct transfer {
    struct transfer *next; /* transfers.c's, as are begun_ms and done */
    const struct fetch_options *options;
    const char *user_agent;
    const struct transfer_request *request;
    struct transfer_answer *answer;
    CURL *easy;
    char cause[CURL_ERROR_SIZE]; /* what libcurl says of a failure, "" where nothing */
    struct curl_slist *headers;  /* the caller's to free */
    size_t capacity;             /* of the answer's body */
    int64_t begun_ms;
    bool first_byte, blocked, blocked_port, too_large, no_memory, done;
};

/* Options, request and callbacks for t->easy, whose private pointer is t. False: no memory. */
bool transfer_prepare(struct transfer *t);
enum transfer_end transfer_end_of(const struct transfer *t, CURLcode code);
/* Status, redirect and Retry-After of a transfer that was answered. */
void transfer_read_answer(struct transfer *t);
/* Why there is no answer, in answer->words. */
void transfer_find_words(struct transfer *t, CURLcode code);

#endif
