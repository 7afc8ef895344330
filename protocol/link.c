#include "protocol/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "protocol/endpoints.h"
#include "protocol/limits.h"

struct link_context {
    void *zmq;
};

struct link {
    void *socket;
    enum link_kind kind;
    /* A dealer's, for its next socket: */
    void *zmq;
    int linger_ms;
    char *public_key, *secret_key, *server_key;
    struct endpoints *endpoints;
    char *connected; /* where it hangs */
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

static int set_common(void *socket, enum link_kind kind, int linger_ms)
{
    enum { QUEUE_FRAMES = 4096, PING_MS = 5000, GONE_MS = 20000, AGAIN_MS = 50, AGAIN_MOST_MS = 1000 };
    int64_t largest = LIMIT_FRAME_BYTES;
    int bad = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &largest, sizeof largest);
    bad |= set_int(socket, ZMQ_LINGER, linger_ms);
    bad |= set_int(socket, ZMQ_SNDHWM, QUEUE_FRAMES);
    bad |= set_int(socket, ZMQ_RCVHWM, QUEUE_FRAMES);
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

static int set_keys(void *socket, enum link_kind kind, const struct link_keys *k)
{
    if (!k)
        return 0;
    int bad = zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, k->secret_key, strlen(k->secret_key));
    if (kind == LINK_ROUTER)
        return bad | set_int(socket, ZMQ_CURVE_SERVER, 1);
    bad |= zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, k->public_key, strlen(k->public_key));
    return bad | zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, k->server_key, strlen(k->server_key));
}

/* A socket that is bound or connected. */
static enum status open_socket(void *zmq, const struct link_options *o, void **out, struct diag *why)
{
    enum status s = ST_OK;
    void *socket = zmq_socket(zmq, o->kind == LINK_ROUTER ? ZMQ_ROUTER : ZMQ_DEALER);
    if (!socket)
        return diag_set(why, ST_NOMEM, "%s: %s", o->address, zmq_strerror(errno));
    if (set_common(socket, o->kind, o->linger_ms) != 0)
        s = diag_set(why, ST_UNSUPPORTED, "%s: this ZeroMQ lacks an option that is needed", o->address);
    else if (set_keys(socket, o->kind, o->keys) != 0)
        s = diag_set(why, ST_INVALID, "%s: unusable CURVE keys: %s", o->address, zmq_strerror(errno));
    else if ((o->kind == LINK_ROUTER ? zmq_bind(socket, o->address) : zmq_connect(socket, o->address)) != 0)
        s = diag_set(why, ST_IO, "%s: %s", o->address, zmq_strerror(errno));
    if (s == ST_OK)
        *out = socket;
    else
        zmq_close(socket);
    return s;
}

/* A fresh socket: what a disconnected one would still send goes to the broker that was left. */
static enum status connect_to(struct link *l, const char *address, struct diag *why)
{
    const struct link_keys keys = {
        .public_key = l->public_key, .secret_key = l->secret_key, .server_key = l->server_key};
    const struct link_options o = {
        .kind = LINK_DEALER, .address = address, .keys = l->secret_key ? &keys : NULL, .linger_ms = l->linger_ms};
    char *copy = address ? strdup(address) : NULL;
    void *socket;
    enum status s = copy ? open_socket(l->zmq, &o, &socket, why) : ST_NOMEM;
    if (s != ST_OK) {
        free(copy);
        return s;
    }
    if (l->socket)
        zmq_close(l->socket);
    free(l->connected);
    l->socket = socket;
    l->connected = copy;
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

enum status link_open(struct link_context *c, const struct link_options *o, struct link **out, struct diag *why)
{
    struct link *l = calloc(1, sizeof *l);
    if (!l)
        return ST_NOMEM;
    l->kind = o->kind;
    l->zmq = c->zmq;
    enum status s = o->kind == LINK_ROUTER ? open_socket(c->zmq, o, &l->socket, why) : open_dealer(l, o, why);
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
    if (l->socket)
        zmq_close(l->socket);
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
    for (int i = 0; i < TRIES; i++) {
        struct link_frame f = {.owner = NULL};
        if (l->kind == LINK_ROUTER && !receive_peer(l, &f.peer))
            return ST_BUSY;
        zmq_msg_t *m = malloc(sizeof *m);
        if (!m)
            return ST_NOMEM;
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

enum status link_wait(struct link_poll *items, int n, int timeout_ms)
{
    enum { MOST = 40 };
    zmq_pollitem_t z[MOST];
    int map[MOST], used = 0;
    for (int i = 0; i < n && used < MOST; i++) {
        items[i].can_read = items[i].can_write = false;
        if (!items[i].link && items[i].fd < 0)
            continue;
        z[used] = (zmq_pollitem_t){.socket = items[i].link ? items[i].link->socket : NULL, .fd = items[i].fd};
        z[used].events = (short)((items[i].want_read ? ZMQ_POLLIN : 0) | (items[i].want_write ? ZMQ_POLLOUT : 0));
        map[used++] = i;
    }
    int rc = zmq_poll(z, used, timeout_ms);
    if (rc < 0)
        return errno == EINTR ? ST_OK : ST_IO;
    for (int i = 0; i < used; i++) {
        items[map[i]].can_read = (z[i].revents & (ZMQ_POLLIN | ZMQ_POLLERR)) != 0;
        items[map[i]].can_write = (z[i].revents & ZMQ_POLLOUT) != 0;
    }
    return ST_OK;
}

bool link_is_local(const char *address)
{
    static const char *const local[] = {"ipc://", "inproc://", "tcp://127.", "tcp://localhost:", "tcp://[::1]:"};
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
        if (strncmp(address, local[i], strlen(local[i])) == 0)
            return true;
    return false;
}

enum status link_keypair(char public_key[LINK_KEY_TEXT], char secret_key[LINK_KEY_TEXT])
{
    return zmq_curve_keypair(public_key, secret_key) == 0 ? ST_OK : ST_UNSUPPORTED;
}
