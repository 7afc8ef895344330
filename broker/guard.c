#include "broker/guard.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct guard {
    struct link *gate;
    struct allow_list *list;
    const char *path;
    const struct log *log;
    struct stat seen; /* the file as it was read */
    int64_t look_at, say_at;
    uint64_t unsaid; /* turned away since the last line about it */
    int64_t now_ms;
};

enum status guard_open(struct link_context *c, const char *path, const struct log *log, struct guard **out,
                       struct diag *why)
{
    struct guard *g = calloc(1, sizeof *g);
    if (!g)
        return ST_NOMEM;
    const struct link_options o = {.kind = LINK_GATE};
    g->path = path;
    g->log = log;
    (void)stat(path, &g->seen);
    enum status s = allow_list_read(path, &g->list, why);
    if (s == ST_OK)
        s = link_open(c, &o, &g->gate, why);
    if (s != ST_OK) {
        guard_close(g);
        return s;
    }
    *out = g;
    return ST_OK;
}

void guard_close(struct guard *g)
{
    if (!g)
        return;
    link_close(g->gate);
    allow_list_free(g->list);
    free(g);
}

struct link *guard_gate(struct guard *g)
{
    return g->gate;
}

const struct allow_list *guard_list(struct guard *g)
{
    return g->list;
}

/* Strangers that knock all day fill no log. */
static void tell_stranger(struct guard *g, const uint8_t *key, const char *address)
{
    enum { PAUSE_MS = 1000 };
    char text[LINK_KEY_TEXT];
    g->unsaid++;
    if (g->now_ms < g->say_at)
        return;
    link_key_text(key, text);
    log_line(g->log, LOG_WARN, "turned away: key %s from %s is not on %s%s", text, address, g->path,
             g->unsaid > 1 ? " (nor were others before)" : "");
    g->say_at = g->now_ms + PAUSE_MS;
    g->unsaid = 0;
}

static bool may_enter(void *ctx, const uint8_t key[LINK_KEY_BYTES], const char *address)
{
    struct guard *g = ctx;
    if (allow_list_find(g->list, key))
        return true;
    tell_stranger(g, key, address);
    return false;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool read_again(struct guard *g)
{
    struct allow_list *fresh;
    struct diag why = {.text = ""};
    if (allow_list_read(g->path, &fresh, &why) != ST_OK) {
        log_line(g->log, LOG_ERROR, "%s; the list that was stays in force", why.text);
        return false;
    }
    log_line(g->log, LOG_INFO, "%s: %zu keys", g->path, allow_list_size(fresh));
    allow_list_free(g->list);
    g->list = fresh;
    return true;
}

bool guard_tick(struct guard *g, volatile sig_atomic_t *reload, int64_t now_ms)
{
    enum { LOOK_MS = 1000 };
    bool told = *reload, changed = false;
    g->now_ms = now_ms;
    if (told || now_ms >= g->look_at) {
        struct stat st = {.st_size = 0};
        *reload = 0;
        g->look_at = now_ms + LOOK_MS;
        (void)stat(g->path, &st); /* gone: differs, and reading it says so */
        if (told || !is_same(&st, &g->seen)) {
            g->seen = st;
            changed = read_again(g);
        }
    }
    link_gate_serve(g->gate, may_enter, g);
    return changed;
}
