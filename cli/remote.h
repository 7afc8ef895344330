/* How inputs read what lies on other machines or under a root's name: with a fetcher, opened when it is needed first.
 * One thread. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include "formats/read/inputs.h"
#include "media/fetch.h"

struct remote {
    const struct fetch_options *options; /* borrowed */
    struct fetcher *fetcher;
    struct inputs_remote inputs; /* for struct inputs_options */
};
/* r stays where it is until remote_fini. */
void remote_init(struct remote *r, const struct fetch_options *o);
void remote_fini(struct remote *r); /* zeroed is fine */

#endif
