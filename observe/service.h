/* What every long-running program shows over HTTP: /metrics, /healthz, /readyz, and pages of its own.
 *
 * Alive (/healthz): the program's loop has called service_beat lately; before its first call it is starting, which is
 * alive too. Ready (/readyz): the program says so. Both need no token. */
#ifndef OBSERVE_SERVICE_H
#define OBSERVE_SERVICE_H

#include "base/settings.h"
#include "base/status.h"
#include "observe/web.h"
#include "observe/metrics.h"

/* The settings of it: --http, and the token. */
struct service_flags {
    const char *http, *token;
};
/* `at`: offset of a struct service_flags in the program's struct. */
struct setting_group service_flags_group(size_t at);

struct service_options {
    const struct service_flags *flags; /* with an address; borrowed */
    const struct metrics *metrics;     /* borrowed while the service lives */
    /* NULL when ready, else a static sentence. Any thread. */
    const char *(*unready)(void *ctx);
    web_handler pages; /* all other paths; NULL: there are none */
    void *ctx;
};

struct service;
MUST_CHECK enum status service_open(const struct service_options *o, struct service **out, struct diag *why);
void service_close(struct service *s); /* NULL is fine */
void service_beat(struct service *s);  /* the loop turns. NULL is fine */
struct web *service_web(struct service *s);

#endif
