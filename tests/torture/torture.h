/* A scenario of the nth-allocation test: a whole use of a library, from its inputs to its last free. It returns the
 * status of the first call that failed, or ST_OK. */
#ifndef TESTS_TORTURE_TORTURE_H
#define TESTS_TORTURE_TORTURE_H

#include <stdbool.h>

#include "base/status.h"

struct scenario {
    const char *name;
    enum status (*run)(void);
    void (*end)(void); /* behind the last run; NULL: nothing to tidy up */
    bool may_recover;  /* short memory is waited out somewhere: ST_OK is right too */
    bool in_jansson;   /* Jansson's own allocations fail too; it takes that for a bad token, or does without */
};
extern const struct scenario scenarios[]; /* ends with a NULL name */

/* From here on, until it is called with false, allocations of all threads are given: what a scenario needs around what
 * it is about. */
void torture_rest(bool on);

#endif
