/* A producer and a consumer on a quorum queue of RabbitMQ, 0.5 KB a job, with confirms and acknowledgements, as many on
 * the way as there are in the queue's bench.
 *
 *   queue-rabbit PORT JOBS     prints jobs a second
 */
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { ON_THE_WAY = 2048, PREFETCH = 512, BODY = 512, CHANNEL = 1, FRAME = 131072 };
#define QUEUE "bench"

static int port;
static long jobs;

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "queue-rabbit: %s\n", what);
    exit(1);
}

static amqp_connection_state_t dial(void)
{
    amqp_connection_state_t c = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(c);
    need(socket && amqp_socket_open(socket, "127.0.0.1", port) == AMQP_STATUS_OK, "no connection");
    amqp_rpc_reply_t r = amqp_login(c, "/", 0, FRAME, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    need(r.reply_type == AMQP_RESPONSE_NORMAL, "no login");
    need(amqp_channel_open(c, CHANNEL) != NULL, "no channel");
    return c;
}

static void declare(amqp_connection_state_t c)
{
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes("x-queue-type")};
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes("quorum");
    const amqp_table_t arguments = {.num_entries = 1, .entries = &entry};
    need(amqp_queue_declare(c, CHANNEL, amqp_cstring_bytes(QUEUE), 0, 1, 0, 0, arguments) != NULL, "no queue");
}

/* How many messages the next confirm covers. */
static uint64_t confirmed(amqp_connection_state_t c, uint64_t before)
{
    amqp_frame_t f;
    need(amqp_simple_wait_frame(c, &f) == AMQP_STATUS_OK, "the producer's connection ended");
    if (f.frame_type != AMQP_FRAME_METHOD || f.payload.method.id != AMQP_BASIC_ACK_METHOD)
        return 0;
    const amqp_basic_ack_t *ack = f.payload.method.decoded;
    return ack->multiple ? ack->delivery_tag - before : 1;
}

static void *produce(void *arg)
{
    amqp_connection_state_t c = arg;
    char body[BODY];
    memset(body, 'x', sizeof body);
    const amqp_bytes_t bytes = {.len = sizeof body, .bytes = body};
    const amqp_basic_properties_t props = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2};
    uint64_t sent = 0, safe = 0;
    while (safe < (uint64_t)jobs) {
        for (; sent < (uint64_t)jobs && sent - safe < ON_THE_WAY; sent++)
            need(amqp_basic_publish(c, CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(QUEUE), 0, 0, &props, bytes) == 0,
                 "publish");
        safe += confirmed(c, safe);
        amqp_maybe_release_buffers(c);
    }
    return NULL;
}

static void consume(amqp_connection_state_t c)
{
    need(amqp_basic_qos(c, CHANNEL, 0, PREFETCH, 0) != NULL, "qos");
    need(amqp_basic_consume(c, CHANNEL, amqp_cstring_bytes(QUEUE), amqp_empty_bytes, 0, 0, 0, amqp_empty_table) != NULL,
         "consume");
    for (long n = 0; n < jobs; n++) {
        amqp_envelope_t e;
        amqp_maybe_release_buffers(c);
        need(amqp_consume_message(c, &e, NULL, 0).reply_type == AMQP_RESPONSE_NORMAL, "no message");
        need(amqp_basic_ack(c, CHANNEL, e.delivery_tag, 0) == 0, "ack");
        amqp_destroy_envelope(&e);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    port = (int)strtol(argv[1], NULL, 10);
    jobs = strtol(argv[2], NULL, 10);
    amqp_connection_state_t in = dial(), out = dial();
    pthread_t producer;
    declare(in);
    need(amqp_confirm_select(in, CHANNEL) != NULL, "confirms");
    int64_t from = clock_us();
    need(pthread_create(&producer, NULL, produce, in) == 0, "no thread");
    consume(out);
    pthread_join(producer, NULL);
    printf("%.1f\n", (double)jobs * 1e6 / (double)(clock_us() - from));
    return 0;
}
