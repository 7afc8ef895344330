/* A manifest's line, or a job in MessagePack, from strangers: what reads as a job writes to both forms and reads back
 * as the same job. */
#include <stdlib.h>
#include <string.h>

#include "protocol/job.h"
#include "tests/fuzz/fuzz.h"

static char *as_text(const struct job *j)
{
    struct json *v = NULL;
    if (job_to_json(j, &v) != ST_OK)
        abort();
    char *text = jsn_text(v);
    jsn_free(v);
    return text;
}

static void compare(const struct job *a, const struct job *b)
{
    char *x = as_text(a), *y = as_text(b);
    if (strcmp(x, y) != 0)
        abort();
    free(x);
    free(y);
}

static void round_trip(struct job *j)
{
    struct diag why;
    struct job *again = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum status s = job_encode(j, &bytes, &len, &why);
    if (s == ST_OK) {
        if (job_decode(bytes, len, &again, &why) != ST_OK || job_check_meta(again, &why) != ST_OK)
            abort();
        compare(j, again);
        job_free(again);
        free(bytes);
    } else if (s != ST_LIMIT) {
        abort();
    }
    job_free(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct diag why;
    struct json *line = NULL;
    struct job *job = NULL;
    if (jsn_parse((const char *)bytes, size, "line", &line, &why) == ST_OK) {
        if (job_from_json(line, NULL, &job, &why) == ST_OK)
            round_trip(job);
        jsn_free(line);
    } else if (job_decode(bytes, size, &job, &why) == ST_OK) {
        if (job_check_meta(job, &why) == ST_OK)
            round_trip(job);
        else
            job_free(job);
    }
    return 0;
}
