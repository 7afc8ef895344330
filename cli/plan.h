/* `ferret submit --plan N`: what a whole run would take, from N of its inputs annotated in this process. Nothing is
 * submitted. */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/settings.h"
#include "base/status.h"
#include "formats/read/inputs.h"
#include "media/fetch.h"
#include "worker/model_flags.h"

struct fetch_flags;
struct link_flags;

struct plan_flags {
    int64_t n; /* 0: no plan */
    const char *out;
    int64_t workers;
    double hourly_cost; /* of a worker */
    bool json;
    struct model_flags model;
};
struct setting_group plan_flags_group(size_t at);
struct setting_group plan_model_group(size_t at); /* of the model that the sample is annotated with */

struct plan {
    const struct plan_flags *o;
    const char *program;   /* in front of what is said on stderr */
    struct inputs *inputs; /* read to their end; the caller's, as all that follows */
    const struct fetch_options *fetch;
    const struct fetch_flags *fetch_flags;
    const struct link_flags *link; /* where pictures of the contact sheet are found, with the roots as given */
    const struct setting_list *given_roots;
    const char *title;
};
/* Reads all inputs, annotates the sample, and tells on stdout. *failed: images of the sample, or pictures of the
 * contact sheet, that failed. */
MUST_CHECK enum status plan_run(const struct plan *p, uint64_t *failed, struct diag *why);

#endif
