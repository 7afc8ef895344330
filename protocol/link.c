#include "protocol/link.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "base/clock.h"
#include "protocol/endpoints.h"
#include "protocol/limits.h"
#include "protocol/link_impl.h"
#include "protocol/zap.h"

#define GATE_ADDRESS "inproc://zeromq.zap.01" /* where ZeroMQ asks (RFC 27) */

struct link_context {
    void *zmq;
    bool has_gate;
    uint64_t n_monitors; /* each has a name of its own */
};

struct link {
    void *socket;
    int fd;       /* ZeroMQ's: readable when there is news for the socket that it has not been asked for yet */
    bool is_used; /* since it was asked: the fd does not tell then what is there already */
    int events;   /* what it answered */
    enum link_kind kind;
    struct link_context *context;
    /* A dealer's, for its next socket: */
    int linger_ms;
    bool insecure;
    char *public_key, *secret_key, *server_key;
    struct endpoints *endpoints;
    char *connected; /* where it hangs */
    void *monitor;   /* tells how its handshakes end */
    enum status trouble;
    int64_t looked_at; /* at the monitor */
    int64_t again_at;  /* ZeroMQ has given up on the socket: a fresh one then; 0: no need */
};

bool link_peer_same(const struct link_peer *a, const struct link_peer *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

enum status link_context_new(struct link_context **out)
{
    struct link_context *c = calloc(1, sizeof *c);
    if (!c)
        return ST_NOMEM;
    c->zmq = zmq_ctx_new();
    if (!c->zmq) {
        free(c);
        return ST_NOMEM;
    }
    *out = c;
    return ST_OK;
}

void link_context_free(struct link_context *c)
{
    if (!c)
        return;
    while (zmq_ctx_term(c->zmq) != 0 && errno == EINTR)
        ;
    free(c);
}

static int set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

/* A peer of a router may have so much waiting and no more: who does not read, or sends more than a broker in trouble
 * takes, waits alone. What does not fit on its way to a peer is dropped, so there is room for an answer to each of a
 * client's 33 messages on the way; what does not fit on its way in stays with the peer. */
static int set_queues(void *socket, enum link_kind kind)
{
    enum { TO_A_PEER = 48, FROM_A_PEER = 16, OF_A_DEALER = 4096, HANDSHAKE_MS = 10000 };
    bool router = kind == LINK_ROUTER;
    return set_int(socket, ZMQ_SNDHWM, router ? TO_A_PEER : OF_A_DEALER) |
           set_int(socket, ZMQ_RCVHWM, router ? FROM_A_PEER : OF_A_DEALER) |
           set_int(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
}

static int set_common(void *socket, enum link_kind kind, int linger_ms)
{
    enum { PING_MS = 5000, GONE_MS = 20000, AGAIN_MS = 50, AGAIN_MOST_MS = 1000 };
    int64_t largest = LIMIT_FRAME_BYTES;
    int bad = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &largest, sizeof largest);
    bad |= set_int(socket, ZMQ_LINGER, linger_ms);
    bad |= set_queues(socket, kind);
    bad |= set_int(socket, ZMQ_HEARTBEAT_IVL, PING_MS);
    bad |= set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, GONE_MS);
    bad |= set_int(socket, ZMQ_RECONNECT_IVL, AGAIN_MS);
    bad |= set_int(socket, ZMQ_RECONNECT_IVL_MAX, AGAIN_MOST_MS);
    bad |= set_int(socket, ZMQ_IPV6, 1);
    if (kind == LINK_ROUTER)
        bad |= set_int(socket, ZMQ_ROUTER_MANDATORY, 1); /* a send to nobody says so */
    else
        bad |= set_int(socket, ZMQ_IMMEDIATE, 1); /* nothing is queued for a broker that is not there */
    return bad;
}

static bool is_tcp(const char *address)
{
    return strncmp(address, "tcp://", 6) == 0;
}

/* Keys, and what the gate is told, count for the addresses that are bound or connected from here on. */
static int set_keys(void *socket, enum link_kind kind, const struct link_keys *k, bool gate)
{
    const char *domain = k ? ZAP_DOMAIN_KEYS : ZAP_DOMAIN_LOCAL;
    int bad = 0;
    if (kind == LINK_ROUTER && gate)
        bad |= zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain));
    if (!k)
        return bad;
    bad |= zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, k->secret_key, strlen(k->secret_key));
    if (kind == LINK_ROUTER)
        return bad | set_int(socket, ZMQ_CURVE_SERVER, 1);
    bad |= zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, k->public_key, strlen(k->public_key));
    return bad | zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, k->server_key, strlen(k->server_key));
}

/* What leaves this host is encrypted, unless somebody has said otherwise. */
static enum status attach(void *socket, const struct link_options *o, const char *address, bool gate, struct diag *why)
{
    const struct link_keys *keys = is_tcp(address) ? o->keys : NULL;
    if (!keys && !o->insecure && !endpoints_are_local(address))
        return diag_set(why, ST_REFUSED,
                        "%s leaves this host, where others may listen: give --key-file (`ferret admin keygen` makes "
                        "keys), or say --insecure",
                        address);
    if (set_keys(socket, o->kind, keys, gate) != 0)
        return diag_set(why, ST_INVALID, "%s: unusable CURVE keys: %s", address, zmq_strerror(errno));
    if ((o->kind == LINK_ROUTER ? zmq_bind(socket, address) : zmq_connect(socket, address)) != 0)
        return diag_set(why, ST_IO, "%s: %s", address, zmq_strerror(errno));
    return ST_OK;
}

static enum status new_socket(struct link_context *c, const struct link_options *o, void **out, struct diag *why)
{
    void *socket = zmq_socket(c->zmq, o->kind == LINK_ROUTER ? ZMQ_ROUTER : ZMQ_DEALER);
    if (!socket)
        return diag_set(why, ST_NOMEM, "%s: %s", o->address, zmq_strerror(errno));
    if (set_common(socket, o->kind, o->linger_ms) != 0) {
        zmq_close(socket);
        return diag_set(why, ST_UNSUPPORTED, "%s: this ZeroMQ lacks an option that is needed", o->address);
    }
    *out = socket;
    return ST_OK;
}

/* ---- router ----------------------------------------------------------------------------------------------------- */

/* Plain addresses come first: a socket that has once had keys keeps them. */
static enum status open_router(struct link *l, const struct link_options *o, struct diag *why)
{
    enum status s = endpoints_new(o->address, &l->endpoints, why);
    if (s == ST_OK)
        s = new_socket(l->context, o, &l->socket, why);
    for (int tcp = 0; tcp < 2; tcp++)
        for (size_t i = 0; s == ST_OK && i < endpoints_n_given(l->endpoints); i++) {
            const char *address = endpoints_given(l->endpoints, i);
            if (is_tcp(address) == (tcp == 1))
                s = attach(l->socket, o, address, l->context->has_gate, why);
        }
    return s;
}

/* ---- dealer ----------------------------------------------------------------------------------------------------- */

static void close_socket(struct link *l)
{
    if (l->monitor) {
        zmq_socket_monitor(l->socket, NULL, 0);
        zmq_close(l->monitor);
    }
    if (l->socket)
        zmq_close(l->socket);
    l->socket = l->monitor = NULL;
}

/* A pair that hears how the socket's handshakes end. */
static void *monitor_new(struct link_context *c, void *socket)
{
    enum { LINGER_MS = 0 };
    const int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                       ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;
    char name[64];
    snprintf(name, sizeof name, "inproc://monitor-%llu", (unsigned long long)++c->n_monitors);
    void *pair = zmq_socket(c->zmq, ZMQ_PAIR);
    if (!pair)
        return NULL;
    if (set_int(pair, ZMQ_LINGER, LINGER_MS) == 0 && zmq_socket_monitor(socket, name, events) == 0 &&
        zmq_connect(pair, name) == 0)
        return pair;
    zmq_close(pair);
    return NULL;
}

static void watch_socket(struct link *l)
{
    size_t size = sizeof l->fd;
    if (zmq_getsockopt(l->socket, ZMQ_FD, &l->fd, &size) != 0)
        l->fd = -1;
    l->is_used = true;
}

/* A fresh socket: what a disconnected one would still send goes to the broker that was left. */
static enum status connect_to(struct link *l, const char *address, struct diag *why)
{
    const struct link_keys keys = {
        .public_key = l->public_key, .secret_key = l->secret_key, .server_key = l->server_key};
    const struct link_options o = {.kind = LINK_DEALER,
                                   .address = address,
                                   .keys = l->secret_key ? &keys : NULL,
                                   .insecure = l->insecure,
                                   .linger_ms = l->linger_ms};
    char *copy = address ? strdup(address) : NULL;
    void *socket = NULL, *monitor = NULL;
    enum status s = copy ? new_socket(l->context, &o, &socket, why) : ST_NOMEM;
    if (s == ST_OK && !(monitor = monitor_new(l->context, socket)))
        s = diag_set(why, ST_NOMEM, "%s: %s", address, zmq_strerror(errno));
    if (s == ST_OK)
        s = attach(socket, &o, address, false, why);
    if (s == ST_OK) {
        close_socket(l);
        free(l->connected);
        l->connected = copy;
        copy = NULL;
    } else {
        struct link half = {.socket = socket, .monitor = monitor};
        close_socket(&half);
        free(copy);
        return s;
    }
    l->socket = socket;
    l->monitor = monitor;
    l->again_at = 0;
    watch_socket(l);
    return ST_OK;
}

bool link_move(struct link *l)
{
    for (size_t i = 0; i == 0 || i < endpoints_count(l->endpoints); i++) {
        const char *next = endpoints_next(l->endpoints);
        if (next && strcmp(next, l->connected) != 0 && connect_to(l, next, NULL) == ST_OK)
            return true;
    }
    return false;
}

static enum status open_dealer(struct link *l, const struct link_options *o, struct diag *why)
{
    l->linger_ms = o->linger_ms;
    l->insecure = o->insecure;
    if (o->keys) {
        l->public_key = strdup(o->keys->public_key);
        l->secret_key = strdup(o->keys->secret_key);
        l->server_key = strdup(o->keys->server_key);
        if (!l->public_key || !l->secret_key || !l->server_key)
            return ST_NOMEM;
    }
    enum status s = endpoints_new(o->address, &l->endpoints, why);
    return s == ST_OK ? connect_to(l, endpoints_next(l->endpoints), why) : s;
}

/* Where ZeroMQ would not try again by itself, a fresh socket does after a pause. */
static void take_event(struct link *l, unsigned event, int64_t now_ms)
{
    enum { AGAIN_MS = 500 };
    if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
        l->trouble = ST_OK;
    else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        l->trouble = ST_REFUSED;
    else if (l->trouble == ST_OK)
        l->trouble = ST_FORMAT;
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH || event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
        l->again_at = now_ms + AGAIN_MS;
}

/* A look costs more than most messages, and nobody minds when a handshake is heard of a moment later. */
static void mind_handshakes(struct link *l)
{
    enum { EVENT_BYTES = 6 }; /* a number of two bytes, a value of four; behind it a frame with the address */
    enum { LOOK_MS = 20 };
    uint8_t bytes[EVENT_BYTES], address[1];
    int64_t now = clock_ms();
    if (now - l->looked_at < LOOK_MS)
        return;
    l->looked_at = now;
    while (zmq_recv(l->monitor, bytes, sizeof bytes, ZMQ_DONTWAIT) == EVENT_BYTES) {
        uint16_t event;
        memcpy(&event, bytes, sizeof event);
        (void)zmq_recv(l->monitor, address, sizeof address, ZMQ_DONTWAIT);
        take_event(l, event, now);
    }
    if (l->again_at && now >= l->again_at)
        (void)connect_to(l, l->connected, NULL); /* else at the next look */
}

enum status link_trouble(struct link *l, struct diag *why)
{
    if (l->kind != LINK_DEALER)
        return ST_OK;
    mind_handshakes(l);
    if (l->trouble == ST_REFUSED)
        return diag_set(why, ST_REFUSED, "the broker at %s does not let this key in (%s): it is not on its allow-list",
                        l->connected, l->public_key ? l->public_key : "none");
    if (l->trouble == ST_FORMAT)
        return diag_set(why, ST_FORMAT, "the broker at %s and this program come to no handshake: %s", l->connected,
                        l->public_key ? "it has another key than the one given, or none"
                                      : "it wants an encrypted link (--key-file)");
    return ST_OK;
}

/* ---- gate ------------------------------------------------------------------------------------------------------- */

static enum status open_gate(struct link *l, struct diag *why)
{
    l->socket = zmq_socket(l->context->zmq, ZMQ_REP);
    if (!l->socket || zmq_bind(l->socket, GATE_ADDRESS) != 0)
        return diag_set(why, ST_IO, "the gate for keys: %s", zmq_strerror(errno));
    l->context->has_gate = true;
    return ST_OK;
}

/* One question of ZeroMQ's, all of its frames; false: none is there. */
static bool read_question(void *socket, struct zap_question *q)
{
    int more = 1;
    size_t size = sizeof more;
    *q = (struct zap_question){.n = 0};
    while (more) {
        uint8_t spare[1];
        bool fits = q->n < ZAP_FRAMES;
        int n = zmq_recv(socket, fits ? q->bytes[q->n] : spare, fits ? ZAP_FRAME_BYTES : sizeof spare, ZMQ_DONTWAIT);
        if (n < 0)
            return false;
        if (fits)
            q->len[q->n] = (size_t)n;
        q->n++;
        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) != 0)
            more = 0;
    }
    return true;
}

void link_gate_serve(struct link *gate, link_gate_fn fn, void *ctx)
{
    enum { AT_ONCE = 64 };
    struct zap_question q;
    gate->is_used = true;
    for (int i = 0; i < AT_ONCE && read_question(gate->socket, &q); i++) {
        struct zap_visitor v;
        char user[LINK_KEY_TEXT] = ZAP_USER_LOCAL;
        bool in = zap_read(&q, &v) && (!v.key || fn(ctx, v.key, v.address));
        if (v.key)
            link_key_text(v.key, user);
        const char *frames[] = {"1.0", NULL, in ? "200" : "400", in ? "" : "not on the list", in ? user : "", ""};
        enum { N = sizeof frames / sizeof *frames, ID_AT = 1 };
        for (int k = 0; k < N; k++) {
            const void *bytes = k == ID_AT ? (const void *)v.id : frames[k];
            size_t len = k == ID_AT ? v.id_len : strlen(frames[k]);
            (void)zmq_send(gate->socket, bytes, len, (k + 1 < N ? ZMQ_SNDMORE : 0) | ZMQ_DONTWAIT);
        }
    }
}

/* What the gate said of whoever sent the message. */
static void read_trust(zmq_msg_t *m, struct link_peer *peer)
{
    const char *user = zmq_msg_gets(m, "User-Id");
    if (!user)
        return;
    if (strcmp(user, ZAP_USER_LOCAL) == 0)
        peer->trust = LINK_THIS_HOST;
    else if (link_key_read(user, peer->key) == ST_OK)
        peer->trust = LINK_HAS_KEY;
}

/* ---- any -------------------------------------------------------------------------------------------------------- */

enum status link_open(struct link_context *c, const struct link_options *o, struct link **out, struct diag *why)
{
    struct link *l = calloc(1, sizeof *l);
    if (!l)
        return ST_NOMEM;
    l->kind = o->kind;
    l->context = c;
    enum status s = o->kind == LINK_GATE     ? open_gate(l, why)
                    : o->kind == LINK_ROUTER ? open_router(l, o, why)
                                             : open_dealer(l, o, why);
    if (s == ST_OK)
        watch_socket(l);
    if (s != ST_OK) {
        link_close(l);
        return s;
    }
    *out = l;
    return ST_OK;
}

void link_close(struct link *l)
{
    if (!l)
        return;
    close_socket(l);
    endpoints_free(l->endpoints);
    free(l->public_key);
    free(l->secret_key);
    free(l->server_key);
    free(l->connected);
    free(l);
}

static void free_sent_bytes(void *bytes, void *hint)
{
    (void)hint;
    free(bytes);
}

enum status link_send(struct link *l, const struct link_peer *peer, uint8_t *bytes, size_t len)
{
    enum status s = ST_OK;
    l->is_used = true;
    if (l->kind == LINK_ROUTER && zmq_send(l->socket, peer->bytes, peer->len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        s = errno == EAGAIN ? ST_BUSY : ST_CLOSED;
    zmq_msg_t m;
    if (s == ST_OK && zmq_msg_init_data(&m, bytes, len, free_sent_bytes, NULL) != 0)
        s = ST_NOMEM;
    if (s != ST_OK) {
        free(bytes);
        return s;
    }
    if (zmq_msg_send(&m, l->socket, ZMQ_DONTWAIT) < 0) {
        s = errno == EAGAIN ? ST_BUSY : ST_CLOSED;
        zmq_msg_close(&m);
    }
    return s;
}

/* Reads what is left of a message that has too many frames. */
static void drain(void *socket)
{
    int more = 1;
    size_t size = sizeof more;
    while (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) == 0 && more) {
        zmq_msg_t m;
        zmq_msg_init(&m);
        int rc = zmq_msg_recv(&m, socket, ZMQ_DONTWAIT);
        zmq_msg_close(&m);
        if (rc < 0)
            return;
    }
}

static bool receive_peer(struct link *l, struct link_peer *peer)
{
    int n = zmq_recv(l->socket, peer->bytes, sizeof peer->bytes, ZMQ_DONTWAIT);
    if (n < 0)
        return false;
    peer->len = (uint8_t)(n <= LINK_PEER_BYTES ? n : 0); /* ZeroMQ names a peer with 5 bytes unless it chose its own */
    return true;
}

enum status link_receive(struct link *l, struct link_frame *out)
{
    enum { TRIES = 64 };
    l->is_used = true;
    if (l->kind == LINK_DEALER)
        mind_handshakes(l);
    for (int i = 0; i < TRIES; i++) {
        struct link_frame f = {.owner = NULL};
        zmq_msg_t *m = malloc(sizeof *m); /* before the peer is read: a message is taken whole or left */
        if (!m)
            return ST_NOMEM;
        if (l->kind == LINK_ROUTER && !receive_peer(l, &f.peer)) {
            free(m);
            return ST_BUSY;
        }
        zmq_msg_init(m);
        if (zmq_msg_recv(m, l->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(m);
            free(m);
            if (l->kind == LINK_DEALER)
                return ST_BUSY;
            continue;
        }
        f.owner = m;
        f.bytes = zmq_msg_data(m);
        f.len = zmq_msg_size(m);
        if (!zmq_msg_more(m) && (l->kind == LINK_DEALER || f.peer.len)) {
            if (l->context->has_gate)
                read_trust(m, &f.peer);
            *out = f;
            return ST_OK;
        }
        link_frame_free(&f);
        drain(l->socket);
    }
    return ST_BUSY;
}

void link_frame_free(struct link_frame *f)
{
    if (f->owner) {
        zmq_msg_close(f->owner);
        free(f->owner);
    }
    *f = (struct link_frame){.owner = NULL};
}

void link_look(struct link_poll *p, bool news)
{
    struct link *l = p->link;
    size_t size = sizeof l->events;
    if ((l->is_used || news) && zmq_getsockopt(l->socket, ZMQ_EVENTS, &l->events, &size) == 0)
        l->is_used = false;
    p->can_read = p->want_read && (l->events & ZMQ_POLLIN);
    p->can_write = p->want_write && (l->events & ZMQ_POLLOUT);
}

int link_fd(const struct link *l)
{
    return l->fd;
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

enum status link_keypair(char public_key[LINK_KEY_TEXT], char secret_key[LINK_KEY_TEXT])
{
    return zmq_curve_keypair(public_key, secret_key) == 0 ? ST_OK : ST_UNSUPPORTED;
}

static bool is_z85(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr(".-:+=^!/*?&<>()[]{}@%$#", text[i]))
            return false;
    return n == LINK_KEY_TEXT - 1;
}

enum status link_key_read(const char *text, uint8_t key[LINK_KEY_BYTES])
{
    uint8_t bytes[LINK_KEY_BYTES];
    if (!is_z85(text) || !zmq_z85_decode(bytes, text))
        return ST_FORMAT;
    memcpy(key, bytes, sizeof bytes);
    return ST_OK;
}

void link_key_text(const uint8_t key[LINK_KEY_BYTES], char text[LINK_KEY_TEXT])
{
    (void)zmq_z85_encode(text, key, LINK_KEY_BYTES); /* fails for lengths that are no multiple of four only */
}

enum status link_public_key(const char *secret_key, char public_key[LINK_KEY_TEXT])
{
    char found[LINK_KEY_TEXT];
    if (!is_z85(secret_key) || zmq_curve_public(found, secret_key) != 0)
        return ST_FORMAT;
    memcpy(public_key, found, sizeof found);
    return ST_OK;
}
