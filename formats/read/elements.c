#include "formats/read/elements.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yajl/yajl_parse.h>

#include "formats/read/unpack.h"

enum { CHUNK = 16 << 10, DEPTH = 32, NAME_BYTES = 64, ALL_DEPTH = 64 };

/* An element that is whole. */
struct found {
    struct found *next;
    struct json *element;
    char list[NAME_BYTES];
};

/* A container of the element that is being built. */
struct level {
    struct json *container;
    char *key; /* of the next member */
};

struct elements {
    char *name;
    struct unpack *from;
    yajl_handle parser;
    uint64_t offset; /* behind what was parsed */
    struct found *first, **last;
    struct found *given; /* the one that the caller has */
    /* where the parser is */
    bool in_list[ALL_DEPTH];
    int depth;             /* of all containers that are open */
    int list_depth;        /* of the list whose elements are given out, 0: in none */
    char list[NAME_BYTES]; /* its name */
    struct level levels[DEPTH];
    int n_levels, n_nodes;
    bool no_memory, too_large, ended;
};

/* ---- what yajl calls: 1 to go on -----------------------------------------------------------------------------------
 */

static int give_out(struct elements *e, struct json *element)
{
    struct found *f = calloc(1, sizeof *f);
    if (!f) {
        jsn_free(element);
        e->no_memory = true;
        return 0;
    }
    f->element = element;
    memcpy(f->list, e->list, sizeof f->list);
    *e->last = f;
    e->last = &f->next;
    e->n_nodes = 0;
    return 1;
}

/* Takes ownership of a value that is whole, whose container (if it has one here) waits. */
static int put_value(struct elements *e, struct json *v)
{
    if (e->list_depth == 0) { /* beside the lists */
        jsn_free(v);
        return 1;
    }
    if (e->n_levels == 0)
        return v ? give_out(e, v) : (e->no_memory = true, 0);
    struct level *top = &e->levels[e->n_levels - 1];
    enum status s = jsn_kind(top->container) == JSON_KIND_ARRAY ? jsn_push(top->container, v)
                                                                : jsn_put(top->container, top->key, v);
    e->no_memory |= s != ST_OK;
    e->too_large |= ++e->n_nodes > ELEMENT_NODES;
    return !e->no_memory && !e->too_large;
}

static int on_null(void *ctx)
{
    return put_value(ctx, jsn_new_null());
}

static int on_bool(void *ctx, int v)
{
    return put_value(ctx, jsn_new_bool(v != 0));
}

static int on_int(void *ctx, long long v)
{
    return put_value(ctx, jsn_new_int(v));
}

static int on_real(void *ctx, double v)
{
    return put_value(ctx, jsn_new_real(v));
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
    return put_value(ctx, jsn_new_string_n((const char *)text, len));
}

static int on_key(void *ctx, const unsigned char *text, size_t len)
{
    struct elements *e = ctx;
    if (e->list_depth == 0) {
        if (e->depth == 1)
            snprintf(e->list, sizeof e->list, "%.*s", (int)(len < NAME_BYTES ? len : NAME_BYTES - 1), text);
        return 1;
    }
    struct level *top = &e->levels[e->n_levels - 1];
    free(top->key);
    top->key = strndup((const char *)text, len);
    e->no_memory |= !top->key;
    return top->key != NULL;
}

static int begin(struct elements *e, bool list)
{
    if (e->depth == ALL_DEPTH || e->n_levels == DEPTH) {
        e->too_large = true;
        return 0;
    }
    e->in_list[e->depth++] = list;
    if (e->list_depth == 0) {
        bool outermost = e->depth == 1, member = e->depth == 2 && !e->in_list[0];
        if (list && (outermost || member)) {
            e->list_depth = e->depth;
            if (outermost)
                e->list[0] = '\0';
        }
        return 1;
    }
    struct json *container = list ? jsn_new_array() : jsn_new_object();
    e->no_memory |= !container;
    if (container)
        e->levels[e->n_levels++] = (struct level){.container = container};
    return container != NULL;
}

static int end(struct elements *e)
{
    e->depth--;
    if (e->list_depth == 0)
        return 1;
    if (e->depth < e->list_depth) {
        e->list_depth = 0;
        return 1;
    }
    struct level top = e->levels[--e->n_levels];
    free(top.key);
    return put_value(e, top.container);
}

static int on_map(void *ctx)
{
    return begin(ctx, false);
}

static int on_array(void *ctx)
{
    return begin(ctx, true);
}

static int on_end(void *ctx)
{
    return end(ctx);
}

static const yajl_callbacks callbacks = {.yajl_null = on_null,
                                         .yajl_boolean = on_bool,
                                         .yajl_integer = on_int,
                                         .yajl_double = on_real,
                                         .yajl_string = on_string,
                                         .yajl_start_map = on_map,
                                         .yajl_map_key = on_key,
                                         .yajl_end_map = on_end,
                                         .yajl_start_array = on_array,
                                         .yajl_end_array = on_end};

/* ---- reading -------------------------------------------------------------------------------------------------------
 */

enum status elements_open(const char *path, struct elements **out, struct diag *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return diag_set(why, errno == ENOENT || errno == ENOTDIR ? ST_MISSING : ST_IO, "%s: %s", path, strerror(errno));
    struct elements *e = calloc(1, sizeof *e);
    if (!e || !(e->name = strdup(path))) {
        close(fd);
        free(e);
        return ST_NOMEM;
    }
    e->last = &e->first;
    enum status s = unpack_open(fd, e->name, &e->from, why);
    if (s == ST_OK && !(e->parser = yajl_alloc(&callbacks, NULL, e)))
        s = ST_NOMEM;
    if (s != ST_OK) {
        elements_close(e);
        return s;
    }
    *out = e;
    return ST_OK;
}

static void found_free(struct found *f)
{
    if (f)
        jsn_free(f->element);
    free(f);
}

void elements_close(struct elements *e)
{
    if (!e)
        return;
    for (struct found *f = e->first, *next; f; f = next) {
        next = f->next;
        found_free(f);
    }
    found_free(e->given);
    for (int i = 0; i < e->n_levels; i++) {
        jsn_free(e->levels[i].container);
        free(e->levels[i].key);
    }
    if (e->parser)
        yajl_free(e->parser);
    unpack_close(e->from);
    free(e->name);
    free(e);
}

static enum status refuse(struct elements *e, const uint8_t *chunk, size_t len, struct diag *why)
{
    unsigned long long at = e->offset + yajl_get_bytes_consumed(e->parser);
    if (e->no_memory)
        return ST_NOMEM;
    if (e->too_large)
        return diag_set(why, ST_LIMIT, "%s: byte %llu: an element of over %d values, or nested too deep", e->name, at,
                        ELEMENT_NODES);
    unsigned char *said = yajl_get_error(e->parser, 0, chunk, len);
    char *text = said ? (char *)said : NULL;
    if (text)
        text[strcspn(text, "\n")] = '\0';
    enum status s = diag_set(why, ST_FORMAT, "%s: byte %llu: no JSON: %s", e->name, at, text ? text : "damaged");
    if (said)
        yajl_free_error(e->parser, said);
    return s;
}

static enum status parse_more(struct elements *e, struct diag *why)
{
    uint8_t chunk[CHUNK];
    size_t n = 0;
    enum status s = unpack_read(e->from, chunk, sizeof chunk, &n, why);
    if (s != ST_OK)
        return s;
    yajl_status parsed = n > 0 ? yajl_parse(e->parser, chunk, n) : yajl_complete_parse(e->parser);
    e->ended = n == 0;
    if (parsed != yajl_status_ok)
        return refuse(e, chunk, n, why);
    e->offset += n;
    return ST_OK;
}

enum status elements_next(struct elements *e, const char **list, const struct json **element, struct diag *why)
{
    found_free(e->given);
    e->given = NULL;
    while (!e->first) {
        if (e->ended)
            return ST_CLOSED;
        enum status s = parse_more(e, why);
        e->ended |= s != ST_OK;
        if (s != ST_OK)
            return s;
    }
    e->given = e->first;
    e->first = e->given->next;
    if (!e->first)
        e->last = &e->first;
    *list = e->given->list;
    *element = e->given->element;
    return ST_OK;
}
