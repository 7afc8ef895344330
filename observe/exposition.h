/* Prometheus' text exposition format, family by family: HELP and TYPE once, then its samples. Plain data; one thread.
 */
#ifndef OBSERVE_EXPOSITION_H
#define OBSERVE_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Grows as it is written; zero-initialise. The caller frees text. */
struct exposition {
    char *text;
    size_t len, cap;
    bool failed; /* memory was short; text is not whole */
};

/* value: any UTF-8 text; what the format wants escaped is. */
struct exposition_label {
    const char *name, *value;
};

/* Begins a family. */
void exposition_family(struct exposition *e, enum metric_kind kind, const char *name, const char *help);
/* A sample of the family that was begun last, whose name is `name`, with or without a suffix such as "_bucket". */
void exposition_sample(struct exposition *e, const char *name, const char *suffix,
                       const struct exposition_label *labels, int n_labels, double value);

#endif
