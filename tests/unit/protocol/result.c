#include "protocol/result.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/job.h"

static struct json *failure(const char *campaign, const char *meta)
{
    struct job j = {.key = (char *)"k",
                    .image = (char *)"local:a.jpg",
                    .tenant = (char *)"default",
                    .campaign = (char *)campaign,
                    .policy = (char *)"default",
                    .meta = (char *)meta};
    return result_failure(&j, ERROR_TRANSIENT, "http", "503");
}

Test(result, a_failure_says_what_failed_and_why)
{
    struct json *r = failure("c", "{\"split\":\"train\"}");
    struct diag why = {""};
    cr_assert_eq(result_check(r, &why), ST_OK, "%s", why.text);
    cr_assert_eq(jsn_int(jsn_get(r, "schema"), 0), 1);
    cr_assert_str_eq(jsn_string(jsn_get(r, "id"), ""), "k");
    cr_assert_eq(strlen(jsn_string(jsn_get(r, "job"), "")), 2 * ID_BYTES);
    cr_assert_str_eq(jsn_string(jsn_get(jsn_get(r, "error"), "class"), ""), "transient");
    cr_assert_str_eq(jsn_string(jsn_get(jsn_get(r, "meta"), "split"), ""), "train");
    jsn_free(r);
}

Test(result, meta_that_is_no_json_is_left_out)
{
    struct json *r = failure("c", "{\"x\":NaN}");
    cr_assert_eq(result_check(r, NULL), ST_OK);
    cr_assert_null(jsn_get(r, "meta"));
    jsn_free(r);
}

Test(result, a_truncated_image_s_failure_says_how_much_was_there)
{
    struct job j = {.key = (char *)"k", .image = (char *)"local:a.jpg", .policy = (char *)"default"};
    struct json *r = result_truncated(&j, "cut", 0.25), *other = failure(NULL, NULL);
    cr_assert_eq(result_check(r, NULL), ST_OK);
    cr_assert_float_eq(jsn_number(jsn_get(jsn_get(r, "image"), "rows_decoded"), -1), 0.25, 1e-12);
    cr_assert_str_eq(jsn_string(jsn_get(jsn_get(r, "error"), "class"), ""), "permanent");
    cr_assert_str_eq(jsn_string(jsn_get(jsn_get(r, "error"), "code"), ""), "truncated");
    cr_assert_null(jsn_get(jsn_get(other, "image"), "rows_decoded"));
    jsn_free(r);
    jsn_free(other);
}

Test(result, outside_a_queue_there_is_no_job_and_no_campaign)
{
    struct json *r = failure("", NULL);
    cr_assert_eq(jsn_kind(jsn_get(r, "job")), JSON_KIND_NULL);
    cr_assert_eq(jsn_kind(jsn_get(r, "campaign")), JSON_KIND_NULL);
    jsn_free(r);
}

static enum status check(const char *text)
{
    struct json *r;
    cr_assert_eq(jsn_parse(text, strlen(text), "record", &r, NULL), ST_OK);
    enum status s = result_check(r, NULL);
    jsn_free(r);
    return s;
}

Test(result, records_that_are_none_are_refused)
{
    cr_assert_eq(check("{\"schema\":1,\"id\":\"k\",\"status\":\"ok\",\"image\":{},\"tasks\":[]}"), ST_OK);
    const char *bad[] = {
        "[]",
        "{\"schema\":2,\"id\":\"k\",\"status\":\"ok\",\"image\":{},\"tasks\":[]}",
        "{\"schema\":1,\"id\":\"\",\"status\":\"ok\",\"image\":{},\"tasks\":[]}",
        "{\"schema\":1,\"id\":\"k\",\"status\":\"fine\",\"image\":{},\"tasks\":[]}",
        "{\"schema\":1,\"id\":\"k\",\"status\":\"ok\",\"tasks\":[]}",
        "{\"schema\":1,\"id\":\"k\",\"status\":\"failed\",\"image\":{},\"tasks\":[]}",
        "{\"schema\":1,\"id\":\"k\",\"status\":\"ok\",\"image\":{},\"tasks\":[{\"id\":\"a\",\"task\":\"paint\"}]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_neq(check(bad[i]), ST_OK, "%s", bad[i]);
}
