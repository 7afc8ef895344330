#include "worker/view.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/process.h"
#include "observe/trace.h"
#include "protocol/campaign.h"
#include "protocol/limits.h"

enum phase { LOADING, CONNECTING, WELCOME };

struct view {
    const struct service_flags *flags;
    const struct log *log;
    struct metrics *metrics;
    struct trace *trace;
    struct meters *meters;
    struct service *service;
    atomic_int phase;
    char class_name[CLASS_BYTES + 1], device[LIMIT_NAME_BYTES + 1]; /* written before phase leaves LOADING */
};

static enum phase phase_of(const struct view *v)
{
    return (enum phase)atomic_load_explicit(&v->phase, memory_order_acquire);
}

static const char *unready(void *ctx)
{
    static const char *const why[] = {"the model is loading\n", "no broker has welcomed this worker\n", NULL};
    return why[phase_of(ctx)];
}

static void tell(void *ctx, struct exposition *e)
{
    const struct view *v = ctx;
    if (phase_of(v) == LOADING)
        return;
    struct exposition_label labels[] = {{"class", v->class_name}, {"device", v->device}};
    exposition_family(e, METRIC_GAUGE, "ferretry_worker_info", "1; its model and precision, and where it runs.");
    exposition_sample(e, "ferretry_worker_info", "", labels, 2, 1);
}

static enum status build(struct view *v, const char *trace, struct diag *why)
{
    enum status s = metrics_new(&v->metrics);
    if (s == ST_OK)
        s = process_metrics(v->metrics, "ferret-worker");
    if (s == ST_OK)
        s = metrics_ask(v->metrics, tell, v);
    if (s == ST_OK && trace)
        s = trace_open(trace, "ferret-worker", &v->trace, why);
    return s == ST_OK ? meters_new(v->metrics, v->trace, &v->meters) : s;
}

enum status view_open(const struct service_flags *flags, const char *trace, const struct log *log, struct view **out,
                      struct diag *why)
{
    struct view *v = calloc(1, sizeof *v);
    if (!v)
        return ST_NOMEM;
    v->flags = flags;
    v->log = log;
    enum status s = build(v, trace, why);
    if (s != ST_OK) {
        view_close(v);
        return s;
    }
    *out = v;
    return ST_OK;
}

void view_close(struct view *v)
{
    struct diag why = {""};
    if (!v)
        return;
    service_close(v->service);
    meters_free(v->meters);
    if (trace_close(v->trace, &why) != ST_OK)
        log_line(v->log, LOG_WARN, "%s", why.text);
    metrics_free(v->metrics);
    free(v);
}

struct meters *view_meters(struct view *v)
{
    return v->meters;
}

enum status view_listen(struct view *v, struct diag *why)
{
    if (!v->flags->http)
        return ST_OK;
    struct service_options o = {.flags = v->flags, .metrics = v->metrics, .unready = unready, .ctx = v};
    enum status s = service_open(&o, &v->service, why);
    if (s == ST_OK)
        log_line(v->log, LOG_INFO, "metrics at http://%s/metrics", web_address(service_web(v->service)));
    return s;
}

void view_loaded(struct view *v, const char *class_name, const char *device)
{
    snprintf(v->class_name, sizeof v->class_name, "%s", class_name);
    snprintf(v->device, sizeof v->device, "%s", device);
    atomic_store_explicit(&v->phase, CONNECTING, memory_order_release);
}

void view_turn(struct view *v, bool welcomed)
{
    atomic_store_explicit(&v->phase, welcomed ? WELCOME : CONNECTING, memory_order_release);
    service_beat(v->service);
}
