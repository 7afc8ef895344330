#include "formats/write/overlay.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/formats/scratch.h"

static const char RECORD[] =
    "{\"schema\":1,\"id\":\"photos/a <b>.jpg\",\"job\":null,\"status\":\"ok\",\"image\":{\"uri\":\"x\",\"width\":200,"
    "\"height\":100},\"tasks\":[{\"id\":\"describe-0\",\"task\":\"describe\",\"region\":{\"index\":0,\"kind\":\"box\","
    "\"box\":[10,10,19,19]},\"question\":\"what?\",\"text\":\"a <dog> & co [1, 2, 3, 4]\",\"entities\":[{\"phrase\":"
    "\"<dog> & co\",\"span\":[2,12],\"boxes\":[[20,10,60.5,40]],\"truncated\":[[20,10,60,40]],\"raw\":[[1,2,3,4]],"
    "\"score\":0.931}]},{\"id\":\"ask\",\"task\":\"ask\",\"question\":\"?\",\"error\":{\"class\":\"permanent\","
    "\"code\":\"too_long\",\"message\":\"3000 tokens\"}}]}";

static struct json *record(const char *text)
{
    struct json *v = NULL;
    cr_assert_eq(jsn_parse(text, strlen(text), "test", &v, NULL), ST_OK);
    return v;
}

Test(overlay, boxes_phrases_scores_and_regions_are_drawn_at_the_scale)
{
    struct json *v = record(RECORD);
    char *svg = NULL;
    cr_assert_eq(overlay_svg(v, 2, &svg, NULL), ST_OK);
    cr_assert_not_null(strstr(svg, "width=\"400\" height=\"200\" viewBox=\"0 0 400 200\""), "%s", svg);
    cr_assert_not_null(strstr(svg, "<rect x=\"40.00\" y=\"20.00\" width=\"81.00\" height=\"60.00\""));
    cr_assert_not_null(strstr(svg, ">&lt;dog&gt; &amp; co 0.93</text>"));
    cr_assert_not_null(strstr(svg, "<rect x=\"20.00\" y=\"20.00\" width=\"20.00\" height=\"20.00\""));
    cr_assert_not_null(strstr(svg, "stroke-dasharray"));
    free(svg);
    jsn_free(v);
}

Test(overlay, every_line_is_drawn_dark_and_bright)
{
    struct json *v = record(RECORD);
    char *svg = NULL;
    cr_assert_eq(overlay_svg(v, 1, &svg, NULL), ST_OK);
    int dark = 0, bright = 0;
    for (const char *at = svg; (at = strstr(at, "fill=\"none\" stroke=\"")) != NULL; at++) {
        bool is_dark = strncmp(at + 20, "#000", 4) == 0;
        dark += is_dark;
        bright += !is_dark;
    }
    cr_assert_eq(dark, 2);
    cr_assert_eq(bright, 2);
    free(svg);
    jsn_free(v);
}

Test(overlay, a_located_box_without_a_phrase_has_the_name_that_was_looked_for)
{
    struct json *v = record("{\"schema\":1,\"id\":\"a\",\"image\":{\"width\":300,\"height\":300},\"tasks\":[{\"id\":"
                            "\"locate\",\"phrases\":[\"owl\"],\"entities\":[{\"phrase\":\"\",\"boxes\":[[1,2,3,4]],"
                            "\"score\":0.5}]}]}");
    char *svg = NULL;
    cr_assert_eq(overlay_svg(v, 1, &svg, NULL), ST_OK);
    cr_assert_not_null(strstr(svg, ">owl 0.50</text>"), "%s", svg);
    free(svg);
    jsn_free(v);
}

Test(overlay, a_failed_record_has_no_picture)
{
    struct json *v = record("{\"schema\":1,\"id\":\"a\",\"status\":\"failed\",\"image\":{\"uri\":\"a\"}}");
    struct json *w = record("{\"schema\":2,\"id\":\"a\"}");
    char *svg = NULL;
    cr_assert_eq(overlay_svg(v, 1, &svg, NULL), ST_MISSING);
    cr_assert_eq(overlay_svg(w, 1, &svg, NULL), ST_FORMAT);
    cr_assert_null(svg);
    jsn_free(v);
    jsn_free(w);
}

Test(overlay, file_names_are_safe_and_distinct)
{
    struct json *v = record(RECORD), *w = record("{\"schema\":1,\"id\":\"photos/a_<b>.jpg\"}");
    char *a = NULL, *b = NULL;
    cr_assert_eq(overlay_name(v, ".png", &a, NULL), ST_OK);
    cr_assert_eq(overlay_name(w, ".png", &b, NULL), ST_OK);
    cr_assert_eq(strncmp(a, "photos_a__b_.jpg-", 17), 0, "%s", a);
    cr_assert_eq(strcmp(a + strlen(a) - 4, ".png"), 0);
    cr_assert_str_neq(a, b);
    free(a);
    free(b);
    jsn_free(v);
    jsn_free(w);
}
