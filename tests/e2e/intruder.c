/* Peers of a broker that mean ill, and one that is only there to see whether it is hurt.
 *   intruder probe ADDRESS KEYS SECONDS       a client: submits and asks; prints "calls p50_ms worst_ms"
 *   intruder garbage|stall ADDRESS - SECONDS  without a key: bytes that are no protocol; connections that say nothing
 *   intruder half ADDRESS - SECONDS           on a plain address: frames announced and not sent, or announced too large
 *   intruder WHAT ADDRESS KEYS SECONDS        with a key: submits, questions, frames, mute (see the table)
 * KEYS is a key file of `ferret admin keygen`. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "base/clock.h"
#include "protocol/client.h"
#include "protocol/key_file.h"
#include "protocol/message.h"

static int64_t until;
static uint64_t random_state = 88172645463325252ULL;

static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "intruder: %s: %s\n", what, why);
    exit(1);
}

/* ---- the probe --------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static struct job_task caption = {.kind = TASK_CAPTION, .options = {.max_tokens = 16, .top_p = 1}};

static void probe(const char *address, const struct key_ring *ring)
{
    enum { CALLS_MOST = 100000, PAUSE_US = 2000 };
    static int64_t took[CALLS_MOST];
    struct client_options o = {.address = address, .keys = ring->use, .timeout_ms = 20000};
    struct client *c;
    struct diag why = {.text = ""};
    char key[32], name[] = "probe";
    size_t n = 0;
    if (client_open(&o, &c, &why) != ST_OK)
        fail("probe", why.text);
    struct campaign_spec spec = {.name = name, .class_name = "m/f32", .pin = "p"};
    struct job job = {.key = key, .image = key, .tasks = &caption, .n_tasks = 1, .max_retries = 1};
    job.policy = job.tenant = (char[]){"default"};
    job.campaign = name;
    if (client_campaign(c, &spec, NULL, &why) != ST_OK)
        fail("probe", why.text);
    do { /* one at least, however late it begins */
        snprintf(key, sizeof key, "%d-%zu", (int)getpid(), n);
        int64_t from = clock_ms();
        enum status s = n % 2 ? client_status(c, name, NULL, &why) : client_submit(c, &job, NULL, &why);
        if (s == ST_OK && n % 2 == 0)
            s = client_flush(c, &why);
        if (s != ST_OK)
            fail("probe", why.text);
        took[n++] = clock_ms() - from;
        usleep(PAUSE_US);
    } while (clock_ms() < until && n < CALLS_MOST);
    qsort(took, n, sizeof *took, by_value);
    printf("%zu %lld %lld\n", n, (long long)took[n / 2], (long long)took[n - 1]);
    client_close(c);
}

/* ---- without a key ------------------------------------------------------------------------------------------------
 */

static int raw_connect(const char *address)
{
    const char *colon = strrchr(address, ':');
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    a.sin_port = htons((uint16_t)atoi(colon + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) != 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    (void)poll(&p, 1, 1000);
    return fd;
}

/* What a peer of the mechanism says first (ZMTP 3.0): 64 bytes. */
static void put_greeting(uint8_t out[64], const char *mechanism)
{
    memset(out, 0, 64);
    memcpy(out, "\xff\0\0\0\0\0\0\0\1\x7f\3", 11);
    memcpy(out + 12, mechanism, strlen(mechanism));
}

static void garbage(const char *address)
{
    enum { MOST = 4096 };
    uint8_t bytes[MOST];
    while (clock_ms() < until) {
        int fd = raw_connect(address);
        if (fd < 0)
            continue;
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)draw();
        if (draw() % 2)
            put_greeting(bytes, "CURVE"); /* begins well */
        (void)!send(fd, bytes, 1 + draw() % sizeof bytes, MSG_NOSIGNAL);
        usleep(1000);
        close(fd);
    }
}

static void stall(const char *address)
{
    enum { CONNECTIONS = 300 };
    uint8_t greeting[64];
    put_greeting(greeting, "CURVE");
    for (int i = 0; i < CONNECTIONS; i++) {
        int fd = raw_connect(address);
        if (fd >= 0)
            (void)!send(fd, greeting, draw() % sizeof greeting, MSG_NOSIGNAL);
    }
    while (clock_ms() < until)
        usleep(10000);
}

static void half(const char *address)
{
    static const uint8_t ready[] = "\4\x29\5READY\x0bSocket-Type\0\0\0\6DEALER\x8Identity\0\0\0\0";
    static const uint8_t announced[] = {2, 0, 0, 0, 0, 0, 0x3f, 0xff, 0xff}; /* a long frame of 4 MiB - 1 */
    static const uint8_t too_long[] = {2, 0, 0, 1, 0, 0, 0, 0, 0};           /* of a TiB */
    static const uint8_t body[65536];
    enum { PAUSE_US = 2000, PARTS = 8 };
    while (clock_ms() < until) {
        uint8_t greeting[64];
        int fd = raw_connect(address);
        if (fd < 0)
            continue;
        put_greeting(greeting, "NULL");
        (void)!send(fd, greeting, sizeof greeting, MSG_NOSIGNAL);
        (void)!send(fd, ready, sizeof ready - 1, MSG_NOSIGNAL);
        usleep(PAUSE_US);
        if (draw() % 2) {
            (void)!send(fd, too_long, sizeof too_long, MSG_NOSIGNAL);
            close(fd);
            continue;
        }
        (void)!send(fd, announced, sizeof announced, MSG_NOSIGNAL);
        for (int i = 0; i < PARTS; i++)
            (void)!send(fd, body, sizeof body, MSG_NOSIGNAL);
        /* and never the rest: the descriptor is left open */
    }
}

/* ---- with a key ---------------------------------------------------------------------------------------------------
 */

static void *dealer(void *zmq, const char *address, const struct key_ring *ring)
{
    void *s = zmq_socket(zmq, ZMQ_DEALER);
    int most = 100000, linger = 0;
    zmq_setsockopt(s, ZMQ_SNDHWM, &most, sizeof most);
    zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof linger);
    if (ring->use) {
        zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, ring->own.secret_key, LINK_KEY_TEXT - 1);
        zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, ring->own.public_key, LINK_KEY_TEXT - 1);
        zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, ring->broker.public_key, LINK_KEY_TEXT - 1);
    }
    if (zmq_connect(s, address) != 0)
        fail(address, zmq_strerror(errno));
    return s;
}

struct frame {
    uint8_t *bytes;
    size_t len;
};

static struct frame frame_of(const struct message *m)
{
    struct frame f;
    if (message_encode(m, &f.bytes, &f.len) != ST_OK)
        fail("message", "not encoded");
    return f;
}

/* 200 jobs of nearly 16 KiB: 3 MiB. */
static struct frame big_submit(void)
{
    enum { JOBS = 200, IMAGE = 4000, META = 4000 };
    char key[32], name[] = "probe", *image = malloc(IMAGE + 1), *question = malloc(8001);
    struct wire_writer w;
    wire_writer_init(&w, LIMIT_FRAME_BYTES);
    wire_put_array(&w, JOBS);
    memset(image, 'i', IMAGE);
    image[IMAGE] = '\0';
    memset(question, 'q', 8000);
    question[8000] = '\0';
    struct job_task ask = {
        .kind = TASK_ASK, .options = {.max_tokens = 16, .top_p = 1}, .turns = &question, .n_turns = 1};
    for (int i = 0; i < JOBS; i++) {
        uint8_t id[ID_BYTES], *body;
        size_t len;
        snprintf(key, sizeof key, "flood-%d-%d", (int)getpid(), i);
        struct job job = {.key = key, .image = image, .tasks = &ask, .n_tasks = 1};
        job.policy = job.tenant = (char[]){"default"};
        job.campaign = name;
        struct diag why;
        if (job_encode(&job, &body, &len, &why) != ST_OK)
            fail("job", why.text);
        job_id(&job, id);
        struct message_row row = {.id = id, .n = {1, 1, 0}, .body = {body, len}};
        message_row_put(&w, &row);
        free(body);
    }
    struct message m = {.kind = MESSAGE_SUBMIT,
                        .request = 1,
                        .campaign = {(const uint8_t *)name, strlen(name)},
                        .rows = {w.bytes, w.len}};
    struct frame f = frame_of(&m);
    wire_writer_fini(&w);
    free(image);
    free(question);
    return f;
}

static struct wire_view text(const char *t)
{
    return (struct wire_view){(const uint8_t *)t, strlen(t)};
}

/* Sends as fast as it goes; reads the answers, or not. */
static void pour(void *socket, const struct frame *frames, size_t n, bool reads)
{
    uint8_t answer[256];
    for (size_t i = 0; clock_ms() < until; i++) {
        const struct frame *f = &frames[i % n];
        if (zmq_send(socket, f->bytes, f->len, ZMQ_DONTWAIT) < 0)
            usleep(200);
        while (reads && zmq_recv(socket, answer, sizeof answer, ZMQ_DONTWAIT) >= 0)
            ;
    }
}

/* Frames that are no messages of ours, and messages that ask for what is others'. */
static size_t bad_frames(struct frame *out, size_t most)
{
    static uint8_t deep[1000], noise[512];
    static const uint8_t newer[] = "\x94\x63\1\1\x80", huge[] = "\xdd\xff\xff\xff\xff", cut[] = "\x94\1\7\1\x81";
    static const char *const sessions[] = {"0123456789abcdef", "fedcba9876543210"};
    size_t n = 0;
    memset(deep, 0x91, sizeof deep);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)draw();
    const struct {
        const void *bytes;
        size_t len;
    } raw[] = {{newer, 5}, {huge, 5}, {cut, 5}, {deep, sizeof deep}, {noise, sizeof noise}, {"", 0}};
    for (size_t i = 0; i < sizeof raw / sizeof *raw && n < most; i++) {
        out[n].bytes = malloc(raw[i].len + 1);
        memcpy(out[n].bytes, raw[i].bytes, raw[i].len);
        out[n++].len = raw[i].len;
    }
    const struct message messages[] = {
        {.kind = MESSAGE_TRIM, .request = 1, .campaign = text("others"), .cursor = 1 << 30},
        {.kind = MESSAGE_CAMPAIGN_SET, .request = 2, .campaign = text("others"), .state = CAMPAIGN_PURGED},
        {.kind = MESSAGE_DRAIN, .request = 3, .on = 1},
        {.kind = MESSAGE_FORGET, .request = 4, .name = text("uri x")},
        {.kind = MESSAGE_BEAT, .request = 5, .session = text(sessions[0])},
        {.kind = MESSAGE_HANDBACK, .request = 6, .session = text(sessions[1]), .bye = 1},
        {.kind = MESSAGE_JOB, .request = 7, .ids = text("0123456789abcdef"), .action = 1},
    };
    for (size_t i = 0; i < sizeof messages / sizeof *messages && n < most; i++)
        out[n++] = frame_of(&messages[i]);
    return n;
}

int main(int argc, char **argv)
{
    enum { FRAMES = 32 };
    if (argc != 5)
        fail("usage", "intruder WHAT ADDRESS KEYS SECONDS");
    const char *what = argv[1], *address = argv[2];
    struct key_flags flags = {.key_file = strcmp(argv[3], "-") == 0 ? NULL : argv[3]};
    struct key_ring ring;
    struct diag why = {.text = ""};
    if (key_flags_load(&flags, &ring, &why) != ST_OK)
        fail(argv[3], why.text);
    until = clock_ms() + (int64_t)(atof(argv[4]) * 1000);
    if (strcmp(what, "probe") == 0)
        probe(address, &ring);
    else if (strcmp(what, "garbage") == 0)
        garbage(address);
    else if (strcmp(what, "stall") == 0)
        stall(address);
    else if (strcmp(what, "half") == 0)
        half(address);
    else {
        struct frame frames[FRAMES];
        size_t n = 1;
        void *zmq = zmq_ctx_new(), *socket = dealer(zmq, address, &ring);
        if (strcmp(what, "submits") == 0)
            frames[0] = big_submit();
        else if (strcmp(what, "questions") == 0 || strcmp(what, "mute") == 0)
            frames[0] = frame_of(&(struct message){.kind = MESSAGE_STATUS, .request = 1});
        else if (strcmp(what, "frames") == 0)
            n = bad_frames(frames, FRAMES);
        else
            fail(what, "not known");
        pour(socket, frames, n, strcmp(what, "mute") != 0);
        while (n > 0)
            free(frames[--n].bytes);
        zmq_close(socket);
        zmq_ctx_term(zmq);
    }
    return 0;
}
