#include "base/json.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct json *parse(const char *text)
{
    struct json *v = NULL;
    struct diag why = {0};
    cr_assert_eq(jsn_parse(text, strlen(text), "text", &v, &why), ST_OK, "%s", why.text);
    return v;
}

Test(json, what_is_not_exactly_one_value_is_refused_with_its_source)
{
    static const char *const bad[] = {
        "", "{", "{\"a\":1,}", "[1 2]", "1 2", "{\"a\":1,\"a\":2}", "\"\x80\"", "nan", "{a:1}", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct json *v = NULL;
        struct diag why = {0};
        cr_assert_eq(jsn_parse(bad[i], strlen(bad[i]), "manifest.json", &v, &why), ST_FORMAT, "%s", bad[i]);
        cr_assert(strstr(why.text, "manifest.json"));
        cr_assert_null(v);
    }
}

Test(json, an_integer_over_64_bits_is_named_with_the_range)
{
    static const char *const texts[][2] = {
        {"{\"a\":1,\"tasks\":[{},{\"options\":{\"seed\":9223372036854775808}}]}", "tasks[1].options.seed: "},
        {"{\"seed\":-99999999999999999999}", "line: seed: "},
        {"{\"a\":2.5,\"b\":[1,[2,18446744073709551616]]}", "b[1][1]: "},
        {"99999999999999999999", "line: number: "},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct json *v = NULL;
        struct diag why = {0};
        cr_assert_eq(jsn_parse(texts[i][0], strlen(texts[i][0]), "line", &v, &why), ST_FORMAT);
        cr_expect(strstr(why.text, texts[i][1]), "%s", why.text);
        cr_expect(strstr(why.text, "from -9223372036854775808 to 9223372036854775807"), "%s", why.text);
    }
    struct json *v = parse("[9223372036854775807,-9223372036854775808]");
    cr_expect_eq(jsn_int(jsn_at(v, 0), 0), INT64_MAX);
    cr_expect_eq(jsn_int(jsn_at(v, 1), 0), INT64_MIN);
    jsn_free(v);
}

Test(json, a_name_too_long_to_show_is_left_out)
{
    char text[700];
    struct json *v = NULL;
    struct diag why = {0};
    int n = snprintf(text, sizeof text, "{\"%0500d\":99999999999999999999}", 0);
    cr_assert_eq(jsn_parse(text, (size_t)n, "line", &v, &why), ST_FORMAT);
    cr_expect(strstr(why.text, "too big integer"), "%s", why.text);
}

Test(json, getters_give_the_value_or_the_fallback)
{
    struct json *v = parse("{\"i\":-7,\"r\":2.5,\"s\":\"t\\u0000u\",\"b\":true,\"n\":null,\"a\":[1,2,3],\"o\":{}}");
    cr_assert_eq(jsn_int(jsn_get(v, "i"), 1), -7);
    cr_assert_eq(jsn_int(jsn_get(v, "r"), 1), 1);
    cr_assert_eq(jsn_int(jsn_get(v, "missing"), 1), 1);
    cr_assert_float_eq(jsn_number(jsn_get(v, "i"), 0), -7, 0);
    cr_assert_float_eq(jsn_number(jsn_get(v, "r"), 0), 2.5, 0);
    cr_assert_float_eq(jsn_number(jsn_get(v, "s"), 9), 9, 0);
    cr_assert_eq(jsn_string_len(jsn_get(v, "s")), 3);
    cr_assert_str_eq(jsn_string(jsn_get(v, "i"), "fallback"), "fallback");
    cr_assert(jsn_bool(jsn_get(v, "b"), false) && jsn_bool(jsn_get(v, "i"), true));
    cr_assert_eq(jsn_kind(jsn_get(v, "n")), JSON_KIND_NULL);
    cr_assert_eq(jsn_kind(NULL), JSON_KIND_NULL);
    cr_assert_eq(jsn_kind(jsn_get(v, "o")), JSON_KIND_OBJECT);
    cr_assert(jsn_size(v) == 7 && jsn_size(jsn_get(v, "a")) == 3 && jsn_size(jsn_get(v, "i")) == 0);
    cr_assert_eq(jsn_int(jsn_at(jsn_get(v, "a"), 2), 0), 3);
    cr_assert_null(jsn_at(jsn_get(v, "a"), 3));
    cr_assert_null(jsn_get(jsn_get(v, "a"), "x"));
    jsn_free(v);
}

static bool collect(void *ctx, const char *key, const struct json *value)
{
    char *text = ctx;
    snprintf(text + strlen(text), 16, "%s=%d ", key, (int)jsn_int(value, 0));
    return strcmp(key, "c") != 0;
}

Test(json, members_come_in_file_order_until_the_callback_has_enough)
{
    struct json *v = parse("{\"z\":1,\"a\":2,\"c\":3,\"b\":4}");
    char seen[64] = "";
    jsn_each(v, collect, seen);
    cr_assert_str_eq(seen, "z=1 a=2 c=3 ");
    jsn_free(v);
}

Test(json, text_comes_back_as_it_was_built)
{
    struct json *v = jsn_new_object(), *list = jsn_new_array();
    cr_assert_eq(jsn_push(list, jsn_new_int(INT64_MAX)), ST_OK);
    cr_assert_eq(jsn_push(list, jsn_new_real(0.25)), ST_OK);
    cr_assert_eq(jsn_push(list, jsn_new_real(NAN)), ST_OK);
    cr_assert_eq(jsn_push(list, jsn_new_bool(false)), ST_OK);
    cr_assert_eq(jsn_put(v, "z", list), ST_OK);
    cr_assert_eq(jsn_put(v, "a", jsn_new_string("\xc3\xa9\n")), ST_OK);
    char *text = jsn_text(v);
    cr_assert_str_eq(text, "{\"z\":[9223372036854775807,0.25,null,false],\"a\":\"\xc3\xa9\\n\"}");
    struct json *copy = jsn_copy(v);
    jsn_free(v);
    char *again = jsn_text(copy);
    cr_assert_str_eq(again, text);
    free(text);
    free(again);
    jsn_free(copy);
}

Test(json, missing_values_and_containers_are_reported_as_lack_of_memory)
{
    struct json *v = jsn_new_object(), *list = jsn_new_array();
    cr_assert_eq(jsn_put(v, "a", NULL), ST_NOMEM);
    cr_assert_eq(jsn_push(list, NULL), ST_NOMEM);
    cr_assert_eq(jsn_put(NULL, "a", jsn_new_int(1)), ST_NOMEM);
    cr_assert_eq(jsn_push(NULL, jsn_new_int(1)), ST_NOMEM);
    cr_assert_null(jsn_new_string("\x80"));
    cr_assert_eq(jsn_size(v), 0);
    jsn_free(v);
    jsn_free(list);
}

Test(json, of_many_that_are_built_in_a_row_the_first_failure_stays)
{
    enum status s = ST_OK;
    struct json *o = jsn_new_object(), *list = jsn_new_array();
    jsn_append(&s, list, jsn_new_int(1));
    jsn_add(&s, o, "list", list);
    cr_assert_eq(s, ST_OK);
    cr_expect_eq(jsn_int(jsn_at(jsn_get(o, "list"), 0), 0), 1);
    cr_expect_eq(jsn_whole(o, s), o);
    jsn_add(&s, o, "none", NULL);
    cr_expect_eq(s, ST_NOMEM);
    jsn_add(&s, o, "more", jsn_new_int(2));
    cr_expect_eq(s, ST_NOMEM);
    s = ST_LIMIT;
    jsn_add(&s, o, "none", NULL);
    cr_expect_eq(s, ST_LIMIT);
    cr_expect_null(jsn_whole(o, s));
}

Test(json, files_are_read_whole_up_to_the_limit)
{
    char path[] = "/tmp/ferret-json-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, "{\"a\":1}", 7), 7);
    close(fd);
    struct json *v = NULL;
    struct diag why = {0};
    cr_assert_eq(jsn_load(path, 7, &v, &why), ST_OK);
    cr_assert_eq(jsn_int(jsn_get(v, "a"), 0), 1);
    jsn_free(v);
    v = NULL;
    cr_assert_eq(jsn_load(path, 6, &v, &why), ST_LIMIT);
    cr_assert(strstr(why.text, path));
    unlink(path);
    cr_assert_eq(jsn_load(path, 7, &v, &why), ST_MISSING);
    cr_assert_eq(jsn_load("/tmp", 7, &v, &why), ST_IO);
    cr_assert_null(v);
}
