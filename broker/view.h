/* How a broker can be looked at: metrics, health and the pages over HTTP. */
#ifndef BROKER_VIEW_H
#define BROKER_VIEW_H

#include "base/log.h"
#include "broker/meters.h"
#include "observe/service.h"

struct view_options {
    const struct service_flags *flags; /* with an address; borrowed while the view lives */
    struct store *store;               /* a connection of the view's own; taken over, also on failure */
    double result_budget;              /* as CLAIM has it */
    const char *const *roots;          /* of pictures that are shown: "NAME=/ABSOLUTE/DIR" each */
    int n_roots;
    const struct log *log;
};
struct view;
/* Listens from here on. */
MUST_CHECK enum status view_open(const struct view_options *o, struct view **out, struct diag *why);
void view_close(struct view *v);               /* NULL is fine */
struct meters *view_meters(struct view *v);    /* NULL: NULL */
void view_turn(struct view *v, bool is_ready); /* the loop turned, and Redis can be reached, or not. NULL is fine */

#endif
