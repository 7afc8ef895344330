/* A small HTTP/1.1 server for tests: a thread a connection, answers by path, counts what it sees.
 *
 *   /hello          200 "hello"; /big: 1 MiB; /empty: nothing; /noai, /nostore: "hello" with that header
 *   /status/N       that status; /after/N/S: status N with "Retry-After: S"; /heals/N: 503 N times, then "hello"
 *   /to?URL         302 to URL; /loop: to itself
 *   /slow           keeps silent for 400 ms before "hello"; /mute: says nothing at all
 *   /drip           a header, then a byte now and then for ever; /cut: half of what it promised
 *   /bytes.tar      ten digits, by range; /stubborn.tar: the same, but all of it whatever was asked */
#ifndef TESTS_UNIT_MEDIA_SERVER_H
#define TESTS_UNIT_MEDIA_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { SERVER_CONNECTIONS = 128 };

struct server {
    int fd, port;
    struct {
        int fd;
        pthread_t thread;
    } talks[SERVER_CONNECTIONS];
    int n_talks; /* the accepting thread's, until that has ended */
    pthread_t thread;
    atomic_int connections, requests, now, most_at_once, heals;
};

/* address: "127.0.0.1" or another of this machine's. Asserts on failure. */
void server_open(struct server *s, const char *address);
void server_close(struct server *s);

#endif
