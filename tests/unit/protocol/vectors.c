/* protocol/vectors: frames and jobs whose bytes are the same in every language. The Python client is tested with them
 * too. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/job.h"
#include "protocol/message.h"

static size_t from_hex(const char *hex, uint8_t *out, size_t most)
{
    size_t n = strlen(hex) / 2;
    cr_assert_leq(n, most);
    for (size_t i = 0; i < n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        out[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

/* Calls fn for each line; at least one. */
static void each_line(const char *path, void (*fn)(const struct json *line))
{
    char *line = NULL;
    size_t size = 0;
    int n = 0;
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s is not there; tests run in the tree's root", path);
    while (getline(&line, &size, f) > 0) {
        struct json *v = NULL;
        struct diag why = {""};
        cr_assert_eq(jsn_parse(line, strlen(line), path, &v, &why), ST_OK, "%s", why.text);
        fn(v);
        jsn_free(v);
        n++;
    }
    fclose(f);
    free(line);
    cr_assert_gt(n, 3);
}

static void check_job(const struct json *line)
{
    const char *name = jsn_string(jsn_get(line, "name"), "?");
    char tenant[] = "museum", campaign[] = "birds";
    struct job *job = NULL, *again = NULL;
    struct diag why = {""};
    uint8_t expected[LIMIT_JOB_BYTES], id[ID_BYTES], *packed = NULL;
    size_t len = 0, n = from_hex(jsn_string(jsn_get(line, "packed"), ""), expected, sizeof expected);
    cr_assert_eq(job_from_json(jsn_get(line, "line"), NULL, &job, &why), ST_OK, "%s: %s", name, why.text);
    free(job->tenant);
    free(job->campaign);
    job->tenant = strdup(tenant);
    job->campaign = strdup(campaign);
    cr_assert_eq(job_encode(job, &packed, &len, &why), ST_OK, "%s: %s", name, why.text);
    cr_assert_eq(len, n, "%s: %zu bytes, expected %zu", name, len, n);
    cr_assert_arr_eq(packed, expected, n, "%s", name);
    cr_assert_eq(job_decode(expected, n, &again, &why), ST_OK, "%s: %s", name, why.text);
    char hex[2 * ID_BYTES + 1];
    job_id(again, id);
    job_id_hex(id, hex);
    cr_assert_str_eq(hex, jsn_string(jsn_get(line, "id"), ""), "%s", name);
    free(packed);
    job_free(job);
    job_free(again);
}

Test(vectors, a_job_is_the_same_bytes_in_every_language)
{
    each_line("protocol/vectors/jobs.jsonl", check_job);
}

static void check_message(const struct json *line)
{
    static uint8_t frame[LIMIT_FRAME_BYTES];
    const char *kind = jsn_string(jsn_get(line, "kind"), "?");
    size_t n = from_hex(jsn_string(jsn_get(line, "frame"), ""), frame, sizeof frame), len = 0;
    struct message m;
    struct diag why = {""};
    uint8_t *bytes = NULL;
    cr_assert_eq(message_decode(frame, n, &m, &why), ST_OK, "%s: %s", kind, why.text);
    cr_assert_str_eq(message_kind_name(m.kind), kind);
    cr_assert_eq(m.request, (uint64_t)jsn_int(jsn_get(line, "request"), -1), "%s", kind);
    cr_assert_eq(message_encode(&m, &bytes, &len), ST_OK, "%s", kind);
    cr_assert_eq(len, n, "%s: %zu bytes, expected %zu", kind, len, n);
    cr_assert_arr_eq(bytes, frame, n, "%s", kind);
    free(bytes);
}

Test(vectors, a_message_is_the_same_bytes_in_every_language)
{
    each_line("protocol/vectors/messages.jsonl", check_message);
}
