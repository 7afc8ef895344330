#include "broker/view.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "broker/board.h"
#include "broker/pages.h"
#include "observe/process.h"

struct view {
    struct metrics *metrics;
    struct meters *meters;
    struct board *board;
    struct pictures *pictures;
    struct service *service;
    atomic_bool is_ready;
};

static const char *unready(void *ctx)
{
    const struct view *v = ctx;
    return atomic_load_explicit(&v->is_ready, memory_order_relaxed) ? NULL : "Redis can't be reached\n";
}

static void pages(void *ctx, const struct web_request *q, struct web_answer *answer)
{
    const struct view *v = ctx;
    pages_answer(v->board, v->pictures, q, answer);
}

static enum status build(struct view *v, const struct view_options *o, struct diag *why)
{
    struct board_options board = {.store = o->store, .result_budget = o->result_budget};
    enum status s = board_open(&board, &v->board, why);
    if (s == ST_OK)
        s = pictures_open(o->roots, o->n_roots, &v->pictures, why);
    if (s == ST_OK)
        s = metrics_new(&v->metrics);
    if (s == ST_OK)
        s = meters_new(v->metrics, &v->meters);
    if (s == ST_OK)
        s = process_metrics(v->metrics, "ferret-broker");
    if (s == ST_OK)
        s = metrics_ask(v->metrics, board_gauges, v->board);
    struct service_options service = {
        .flags = o->flags, .metrics = v->metrics, .unready = unready, .pages = pages, .ctx = v};
    if (s == ST_OK)
        s = service_open(&service, &v->service, why);
    return s == ST_OK ? board_start(v->board, service_web(v->service), why) : s;
}

enum status view_open(const struct view_options *o, struct view **out, struct diag *why)
{
    struct view *v = calloc(1, sizeof *v);
    if (!v) {
        store_close(o->store);
        return ST_NOMEM;
    }
    enum status s = build(v, o, why);
    if (s != ST_OK) {
        view_close(v);
        return s;
    }
    log_line(o->log, LOG_INFO, "status page at http://%s/", web_address(service_web(v->service)));
    *out = v;
    return ST_OK;
}

/* The board publishes to the server, and the server asks the board: its thread ends first, then the server, then it. */
void view_close(struct view *v)
{
    if (!v)
        return;
    board_stop(v->board);
    service_close(v->service);
    board_close(v->board);
    pictures_close(v->pictures);
    meters_free(v->meters);
    metrics_free(v->metrics);
    free(v);
}

struct meters *view_meters(struct view *v)
{
    return v ? v->meters : NULL;
}

void view_turn(struct view *v, bool is_ready)
{
    if (!v)
        return;
    atomic_store_explicit(&v->is_ready, is_ready, memory_order_relaxed);
    service_beat(v->service);
}
