#include "protocol/endpoints.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

static const char TCP[] = "tcp://";

struct list {
    char **items;
    size_t n;
};

struct endpoints {
    struct list given; /* as the caller wrote them */
    struct list found; /* names replaced by numbers */
    size_t at;         /* next of found */
};

static void list_fini(struct list *l)
{
    while (l->n)
        free(l->items[--l->n]);
    free(l->items);
    l->items = NULL;
}

/* Takes text over, also on failure. */
static bool list_add(struct list *l, char *text)
{
    char **items = text ? realloc(l->items, (l->n + 1) * sizeof *items) : NULL;
    if (!items) {
        free(text);
        return false;
    }
    l->items = items;
    items[l->n++] = text;
    return true;
}

static bool has_scheme(const char *s)
{
    return strncmp(s, TCP, sizeof TCP - 1) == 0 || strncmp(s, "ipc://", sizeof "ipc://" - 1) == 0;
}

/* A comma ends an address only in front of another one: a folder's name may have some too. */
static const char *end_of(const char *s)
{
    for (const char *comma = strchr(s, ','); comma; comma = strchr(comma + 1, ','))
        if (has_scheme(comma + 1))
            return comma;
    return s + strlen(s);
}

enum status endpoints_new(const char *text, struct endpoints **out, struct diag *why)
{
    struct endpoints *e = calloc(1, sizeof *e);
    enum status s = e ? ST_OK : ST_NOMEM;
    for (const char *at = text; s == ST_OK;) {
        const char *end = end_of(at);
        bool is_tcp = strncmp(at, TCP, sizeof TCP - 1) == 0;
        if (end == at || (is_tcp && memchr(at, ',', (size_t)(end - at))))
            s = diag_set(why, ST_INVALID,
                         "\"%s\": expected an address or several joined by commas, each with its "
                         "tcp:// or ipc://",
                         text);
        else if (!list_add(&e->given, strndup(at, (size_t)(end - at))))
            s = ST_NOMEM;
        if (!*end)
            break;
        at = end + 1;
    }
    if (s != ST_OK) {
        endpoints_free(e);
        return s;
    }
    *out = e;
    return ST_OK;
}

void endpoints_free(struct endpoints *e)
{
    if (!e)
        return;
    list_fini(&e->given);
    list_fini(&e->found);
    free(e);
}

/* tcp://NUMBERS:port of one host that was found. */
static char *numeric(const struct addrinfo *a, const char *port)
{
    char host[INET6_ADDRSTRLEN], *text = NULL;
    const void *bytes = a->ai_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)a->ai_addr)->sin6_addr
                                                 : &((const struct sockaddr_in *)a->ai_addr)->sin_addr;
    if (!inet_ntop(a->ai_family, bytes, host, sizeof host))
        return NULL;
    bool six = a->ai_family == AF_INET6;
    int n = asprintf(&text, "%s%s%s%s:%s", TCP, six ? "[" : "", host, six ? "]" : "", port);
    return n < 0 ? NULL : text;
}

/* False: it is to be left as it is. */
static bool look_up(struct list *found, const char *address)
{
    const char *host = address + sizeof TCP - 1, *colon = strrchr(host, ':');
    if (strncmp(address, TCP, sizeof TCP - 1) != 0 || !colon || *host == '[' || strchr(host, ';'))
        return false;
    char *name = strndup(host, (size_t)(colon - host));
    struct addrinfo *all = NULL, hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    size_t before = found->n;
    if (name && getaddrinfo(name, NULL, &hints, &all) == 0)
        for (struct addrinfo *a = all; a; a = a->ai_next)
            if (a->ai_family == AF_INET || a->ai_family == AF_INET6)
                (void)list_add(found, numeric(a, colon + 1));
    if (all)
        freeaddrinfo(all);
    free(name);
    return found->n > before;
}

static void look_all_up(struct endpoints *e)
{
    list_fini(&e->found);
    for (size_t i = 0; i < e->given.n; i++)
        if (!look_up(&e->found, e->given.items[i]))
            (void)list_add(&e->found, strdup(e->given.items[i]));
}

const char *endpoints_next(struct endpoints *e)
{
    bool is_first = e->found.n == 0;
    uint32_t dice = 0;
    if (is_first || e->at >= e->found.n) {
        look_all_up(e);
        e->at = 0;
    }
    if (e->found.n == 0)
        return NULL;
    if (is_first && getrandom(&dice, sizeof dice, 0) == (ssize_t)sizeof dice)
        e->at = dice % e->found.n;
    return e->found.items[e->at++];
}

size_t endpoints_count(const struct endpoints *e)
{
    return e->found.n;
}

size_t endpoints_n_given(const struct endpoints *e)
{
    return e->given.n;
}

const char *endpoints_given(const struct endpoints *e, size_t i)
{
    return e->given.items[i];
}

/* HOST:PORT. Anything but numbers could be looked up elsewhere to something else, and ZeroMQ reads "SOURCE;HOST". */
static bool is_loopback(const char *at, size_t len)
{
    char host[INET6_ADDRSTRLEN + 2];
    const char *colon = memrchr(at, ':', len);
    size_t n = colon ? (size_t)(colon - at) : 0;
    if (n == 0 || n >= sizeof host || memchr(at, ';', len))
        return false;
    memcpy(host, at, n);
    host[n] = '\0';
    struct in_addr four;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
    return strcmp(host, "[::1]") == 0 || strcmp(host, "localhost") == 0;
}

bool endpoints_are_local(const char *text)
{
    for (const char *at = text;;) {
        const char *end = end_of(at);
        bool is_tcp = strncmp(at, TCP, sizeof TCP - 1) == 0;
        bool is_local = is_tcp ? is_loopback(at + sizeof TCP - 1, (size_t)(end - at) - (sizeof TCP - 1))
                               : strncmp(at, "ipc://", 6) == 0 || strncmp(at, "inproc://", 9) == 0;
        if (!is_local)
            return false;
        if (!*end)
            return true;
        at = end + 1;
    }
}
