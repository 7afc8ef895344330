#include "media/transfers.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "media/address.h"
#include "media/curl.h"
#include "media/hosts.h"

enum {
    SLOW_BYTES = 1024, /* a second, over SLOW_SECONDS: given up */
    SLOW_SECONDS = 20,
    FIRST_BYTES = 1 << 16,
    ERROR_BODY_BYTES = 4096, /* kept of an answer that is no success */
    LONGEST_POLL_MS = 1000,
    HTTP_PORT = 80,
    HTTPS_PORT = 443,
};

struct transfer {
    struct transfer *next;
    struct transfers *all;
    const struct transfer_request *request;
    struct transfer_answer *answer;
    CURL *easy;
    char cause[CURL_ERROR_SIZE]; /* what libcurl says of a failure, "" where nothing */
    struct curl_slist *headers;
    size_t capacity; /* of the answer's body */
    int64_t begun_ms;
    bool first_byte, blocked, blocked_port, too_large, no_memory, done;
};

struct transfers {
    const struct fetch_options *options;
    char user_agent[128];
    CURLM *multi;
    pthread_t thread;

    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    struct hosts *hosts;
    struct transfer *asked, **asked_end; /* in the order in which they came */
    struct transfer *running;            /* the thread's alone */
    int n_running;
    bool stopped, closing;
};

void transfer_answer_fini(struct transfer_answer *a)
{
    bytes_fini(&a->body);
    free(a->location);
    *a = (struct transfer_answer){0};
}

/* ---- what libcurl calls --------------------------------------------------------------------------------------------
 */

static bool is_success(const struct transfer *t)
{
    long http = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &http);
    return http >= 200 && http < 300;
}

static size_t on_bytes(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    struct bytes *body = &t->answer->body;
    n *= size;
    size_t taken = n;
    if (!is_success(t)) {
        size_t room = ERROR_BODY_BYTES - body->len;
        n = n < room ? n : room;
        taken = n > 0 ? taken : 0; /* enough of it */
    } else if (n > t->request->max_bytes - body->len) {
        t->too_large = true;
        return 0;
    }
    if (body->len + n > t->capacity) {
        size_t capacity = t->capacity ? t->capacity * 2 : FIRST_BYTES;
        while (capacity < body->len + n)
            capacity *= 2;
        uint8_t *data = realloc(body->data, capacity);
        if (!data) {
            t->no_memory = true;
            return 0;
        }
        body->data = data;
        t->capacity = capacity;
    }
    memcpy(body->data + body->len, p, n);
    body->len += n;
    return taken;
}

/* The value behind "name:", without blanks around it; NULL: another header. */
static const char *value_of(const char *line, size_t len, const char *name, char *room, size_t size)
{
    size_t n = strlen(name);
    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return NULL;
    size_t from = n + 1;
    while (from < len && isspace((unsigned char)line[from]))
        from++;
    while (len > from && isspace((unsigned char)line[len - 1]))
        len--;
    snprintf(room, size, "%.*s", (int)(len - from), line + from);
    return room;
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    struct transfer_answer *a = t->answer;
    char value[512];
    const char *v;
    size_t len = size * n;
    t->first_byte = true;
    if (value_of(line, len, "content-range", value, sizeof value)) {
        unsigned long long from = 0;
        a->has_content_range = sscanf(value, "bytes %llu-", &from) == 1;
        a->range_from = from;
    } else if ((v = value_of(line, len, "x-robots-tag", value, sizeof value))) {
        a->no_ai |= strcasestr(v, "noai") || strcasestr(v, "noimageai");
    } else if ((v = value_of(line, len, "cache-control", value, sizeof value))) {
        a->no_store |= strcasestr(v, "no-store") != NULL;
    } else if ((v = value_of(line, len, "etag", value, sizeof value))) {
        if (v[0] == '"' && strlen(v) < sizeof a->etag)
            snprintf(a->etag, sizeof a->etag, "%s", v);
    } else if ((v = value_of(line, len, "x-amz-bucket-region", value, sizeof value))) {
        snprintf(a->s3_region, sizeof a->s3_region, "%.*s", TRANSFER_REGION_BYTES - 1, v);
    }
    return len;
}

static int port_of(const struct sockaddr *a)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (a->sa_family == AF_INET) {
        memcpy(&v4, a, sizeof v4);
        return ntohs(v4.sin_port);
    }
    if (a->sa_family != AF_INET6)
        return -1;
    memcpy(&v6, a, sizeof v6);
    return ntohs(v6.sin6_port);
}

static bool port_is_listed(const struct fetch_options *o, int port)
{
    bool listed = port == HTTP_PORT || port == HTTPS_PORT;
    for (int i = 0; i < o->n_ports && !listed; i++)
        listed = o->ports[i] == port;
    return listed;
}

static bool may_reach(struct transfer *t, const struct sockaddr *a)
{
    const struct fetch_options *o = t->all->options;
    if (t->request->trusted)
        return true;
    if (!port_is_listed(o, port_of(a)))
        t->blocked_port = true;
    else if (!o->allow_private_hosts && !address_is_public(a))
        t->blocked = true;
    return !t->blocked && !t->blocked_port;
}

static curl_socket_t on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct transfer *t = ctx;
    if (purpose != CURLSOCKTYPE_IPCXN || !may_reach(t, &a->addr))
        return CURL_SOCKET_BAD;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* A connection that another request opened may be one that this request could not have opened. */
static int on_connection(void *ctx, char *address, char *own_address, int port, int own_port)
{
    struct transfer *t = ctx;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    (void)own_address, (void)own_port;
    if (t->request->trusted)
        return CURL_PREREQFUNC_OK;
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return may_reach(t, (const struct sockaddr *)(const void *)&v4) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
    if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1)
        return may_reach(t, (const struct sockaddr *)(const void *)&v6) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
    t->blocked = true;
    return CURL_PREREQFUNC_ABORT;
}

/* ---- one transfer on the thread ------------------------------------------------------------------------------------
 */

static bool set_headers(struct transfer *t)
{
    for (int i = 0; i < t->request->n_headers; i++) {
        struct curl_slist *longer = curl_slist_append(t->headers, t->request->headers[i]);
        if (!longer)
            return false;
        t->headers = longer;
    }
    return !t->headers || curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK;
}

static bool set_callbacks(struct transfer *t)
{
    CURL *c = t->easy;
    return curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_connection) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PREREQDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->cause) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PRIVATE, t) == CURLE_OK;
}

static bool set_request(struct transfer *t)
{
    const struct transfer_request *r = t->request;
    CURL *c = t->easy;
    bool ok = curl_easy_setopt(c, CURLOPT_URL, r->url) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    if (!r->range.whole) {
        char bytes[64];
        snprintf(bytes, sizeof bytes, "%llu-%llu", (unsigned long long)r->range.offset,
                 (unsigned long long)(r->range.offset + r->range.length - 1));
        ok = ok && curl_easy_setopt(c, CURLOPT_RANGE, bytes) == CURLE_OK;
    }
    if (r->user_password)
        ok = ok && curl_easy_setopt(c, CURLOPT_USERPWD, r->user_password) == CURLE_OK;
    if (r->sigv4)
        ok = ok && curl_easy_setopt(c, CURLOPT_AWS_SIGV4, r->sigv4) == CURLE_OK;
    const char *ca = r->ca_file ? r->ca_file : t->all->options->ca_file;
    if (ca)
        ok = ok && curl_easy_setopt(c, CURLOPT_CAINFO, ca) == CURLE_OK;
    return ok;
}

static bool set_options(struct transfer *t)
{
    const struct fetch_options *o = t->all->options;
    CURL *c = t->easy;
    bool ok = set_request(t) && set_headers(t) && set_callbacks(t);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_PIPEWAIT, 1L); /* rather one HTTP/2 connection than one a request */
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)SLOW_SECONDS);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, t->all->user_agent);
    /* A proxy would hide the address that is really read. */
    if (!o->allow_private_hosts)
        ok = curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK && ok;
    return ok;
}

static enum transfer_end end_of(const struct transfer *t, CURLcode code)
{
    if (t->blocked_port)
        return TRANSFER_BLOCKED_PORT;
    if (t->blocked)
        return TRANSFER_BLOCKED;
    if (t->too_large)
        return TRANSFER_TOO_LARGE;
    if (t->no_memory)
        return TRANSFER_NO_MEMORY;
    switch (code) {
    case CURLE_OK: return TRANSFER_ANSWERED;
    case CURLE_WRITE_ERROR: return is_success(t) ? TRANSFER_BROKEN : TRANSFER_ANSWERED; /* enough of an error's words */
    case CURLE_OUT_OF_MEMORY: return TRANSFER_NO_MEMORY;
    case CURLE_COULDNT_RESOLVE_HOST: return TRANSFER_NO_HOST;
    case CURLE_PEER_FAILED_VERIFICATION: return TRANSFER_CERTIFICATE;
    case CURLE_SSL_CACERT_BADFILE: return TRANSFER_OWN_CERTIFICATES;
    case CURLE_OPERATION_TIMEDOUT: {
        curl_off_t connected_us = 0;
        curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
        return connected_us > 0 ? TRANSFER_TIMEOUT : TRANSFER_CONNECT_TIMEOUT;
    }
    default: return TRANSFER_BROKEN;
    }
}

static void read_answer(struct transfer *t)
{
    char *location = NULL;
    curl_off_t retry_after = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->answer->http);
    if (curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &location) == CURLE_OK && location)
        t->answer->location = strdup(location);
    if (curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK && retry_after > 0)
        t->answer->retry_after_ms = retry_after < INT32_MAX ? retry_after * 1000 : INT64_C(1000) * INT32_MAX;
}

/* Hands the answer to whoever waits. With the lock. */
static void give_back(struct transfers *all, struct transfer *t, enum transfer_end end)
{
    t->answer->end = end;
    t->done = true;
    pthread_cond_broadcast(&all->changed);
}

/* With the lock; the transfer is out of the list of running ones. */
static void finish(struct transfers *all, struct transfer *t, enum transfer_end end)
{
    curl_multi_remove_handle(all->multi, t->easy);
    if (end == TRANSFER_ANSWERED)
        read_answer(t);
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    all->n_running--;
    hosts_end(all->hosts, t->request->host, clock_ms());
    give_back(all, t, end);
}

/* With the lock. */
static void begin(struct transfers *all, struct transfer *t, int64_t now)
{
    if (hosts_begin(all->hosts, t->request->host, now) != ST_OK) {
        give_back(all, t, TRANSFER_NO_MEMORY);
        return;
    }
    t->begun_ms = now;
    t->easy = curl_easy_init();
    all->n_running++;
    if (!t->easy || !set_options(t) || curl_multi_add_handle(all->multi, t->easy) != CURLM_OK) {
        finish(all, t, TRANSFER_NO_MEMORY);
        return;
    }
    t->next = all->running;
    all->running = t;
}

/* ---- the thread ----------------------------------------------------------------------------------------------------
 */

static void unlink_running(struct transfers *all, const struct transfer *t)
{
    struct transfer **link = &all->running;
    while (*link != t)
        link = &(*link)->next;
    *link = t->next;
}

/* Begins what has its turn; the time when the next one may. With the lock. */
static int64_t begin_asked(struct transfers *all, int64_t now)
{
    int64_t next = INT64_MAX;
    for (struct transfer **link = &all->asked; *link;) {
        struct transfer *t = *link;
        int64_t when = hosts_when(all->hosts, t->request->host, now);
        bool full = all->n_running >= all->options->max_transfers;
        if (when <= now && !full) {
            *link = t->next;
            begin(all, t, now);
            continue;
        }
        if (!full && when < next)
            next = when;
        link = &t->next;
    }
    all->asked_end = &all->asked;
    while (*all->asked_end)
        all->asked_end = &(*all->asked_end)->next;
    return next;
}

/* Where there was no connection libcurl names host and port, and the system knows why. */
static void find_words(struct transfer *t, CURLcode code)
{
    long number = 0;
    const char *words = t->cause[0] ? t->cause : curl_easy_strerror(code), *reason = "";
    if (code == CURLE_COULDNT_CONNECT)
        curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number);
    if (number != 0 && !strstr(words, strerror((int)number)))
        reason = strerror((int)number);
    snprintf(t->answer->words, sizeof t->answer->words, "%s%s%s", words, *reason ? ": " : "", reason);
}

static void end_messages(struct transfers *all)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(all->multi, &left));) {
        struct transfer *t = NULL;
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE || curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t) != CURLE_OK)
            continue;
        find_words(t, code);
        unlink_running(all, t);
        finish(all, t, end_of(t, code));
    }
}

/* Ends transfers that have waited too long for a first byte; when the next one will have. */
static int64_t end_silent(struct transfers *all, int64_t now)
{
    int64_t next = INT64_MAX;
    for (struct transfer *t = all->running, *after; t; t = after) {
        after = t->next;
        if (t->first_byte)
            continue;
        int64_t limit = t->begun_ms + all->options->first_byte_timeout_ms;
        if (limit <= now) {
            unlink_running(all, t);
            finish(all, t, TRANSFER_FIRST_BYTE_TIMEOUT);
        } else if (limit < next) {
            next = limit;
        }
    }
    return next;
}

static void end_all(struct transfers *all)
{
    while (all->running) {
        struct transfer *t = all->running;
        all->running = t->next;
        finish(all, t, TRANSFER_STOPPED);
    }
    for (struct transfer *t = all->asked, *next; t; t = next) {
        next = t->next; /* whoever waits may free t at once */
        give_back(all, t, TRANSFER_STOPPED);
    }
    all->asked = NULL;
    all->asked_end = &all->asked;
}

/* One round; how long the next one may wait. */
static int turn(struct transfers *all)
{
    int going = 0;
    pthread_mutex_lock(&all->lock);
    int64_t now = clock_ms();
    if (all->stopped)
        end_all(all);
    int64_t next = begin_asked(all, now), silent;
    pthread_mutex_unlock(&all->lock);
    curl_multi_perform(all->multi, &going);
    pthread_mutex_lock(&all->lock);
    int before = all->n_running;
    end_messages(all);
    silent = end_silent(all, now);
    bool again = all->n_running < before && all->asked; /* what ended has made room */
    pthread_mutex_unlock(&all->lock);
    next = silent < next ? silent : next;
    int64_t wait = next == INT64_MAX ? LONGEST_POLL_MS : next - now;
    return again || wait < 0 ? 0 : wait < LONGEST_POLL_MS ? (int)wait : LONGEST_POLL_MS;
}

static void *work(void *ctx)
{
    struct transfers *all = ctx;
    bool closing = false;
    while (!closing) {
        int wait = turn(all);
        curl_multi_poll(all->multi, NULL, 0, wait, NULL);
        pthread_mutex_lock(&all->lock);
        closing = all->closing;
        pthread_mutex_unlock(&all->lock);
    }
    return NULL;
}

/* ---- who asks ------------------------------------------------------------------------------------------------------
 */

void transfers_run(struct transfers *t, const struct transfer_request *r, struct transfer_answer *out)
{
    *out = (struct transfer_answer){0};
    struct transfer own = {.all = t, .request = r, .answer = out};
    pthread_mutex_lock(&t->lock);
    if (t->stopped) {
        out->end = TRANSFER_STOPPED;
    } else {
        *t->asked_end = &own;
        t->asked_end = &own.next;
        curl_multi_wakeup(t->multi);
        while (!own.done)
            pthread_cond_wait(&t->changed, &t->lock);
    }
    pthread_mutex_unlock(&t->lock);
}

void transfers_pause(struct transfers *t, const char *host, int64_t ms)
{
    pthread_mutex_lock(&t->lock);
    hosts_pause(t->hosts, host, clock_ms() + ms);
    pthread_mutex_unlock(&t->lock);
}

bool transfers_sleep(struct transfers *t, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&t->lock);
    while (!t->stopped && pthread_cond_timedwait(&t->changed, &t->lock, &until) == 0)
        ;
    bool go_on = !t->stopped;
    pthread_mutex_unlock(&t->lock);
    return go_on;
}

void transfers_stop(struct transfers *t)
{
    pthread_mutex_lock(&t->lock);
    t->stopped = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    curl_multi_wakeup(t->multi);
}

/* ---- life ----------------------------------------------------------------------------------------------------------
 */

static void free_all(struct transfers *t)
{
    if (t->multi)
        curl_multi_cleanup(t->multi);
    hosts_free(t->hosts);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
    curl_global_cleanup();
}

static void init_waiting(struct transfers *t)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&t->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

enum status transfers_open(const struct fetch_options *o, struct transfers **out, struct diag *why)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return diag_set(why, ST_IO, "libcurl does not start");
    struct transfers *t = calloc(1, sizeof *t);
    if (!t) {
        curl_global_cleanup();
        return ST_NOMEM;
    }
    t->options = o;
    t->asked_end = &t->asked;
    snprintf(t->user_agent, sizeof t->user_agent, "%s", o->user_agent);
    init_waiting(t);
    t->multi = curl_multi_init();
    enum status s = t->multi ? hosts_new(o->host_transfers, o->host_delay_ms, &t->hosts) : ST_NOMEM;
    if (s == ST_OK) {
        curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, 2L * o->max_transfers);
        if (pthread_create(&t->thread, NULL, work, t) != 0)
            s = diag_set(why, ST_NOMEM, "the thread of the transfers could not be started");
    }
    if (s != ST_OK) {
        free_all(t);
        return s;
    }
    *out = t;
    return ST_OK;
}

void transfers_close(struct transfers *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stopped = t->closing = true;
    pthread_mutex_unlock(&t->lock);
    curl_multi_wakeup(t->multi);
    pthread_join(t->thread, NULL);
    free_all(t);
}
