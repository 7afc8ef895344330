#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/job.h"

static const char RICH[] =
    "{\"image\":\"data:photos/"
    "a.jpg\",\"id\":\"k\",\"group\":\"g\",\"priority\":0,\"retries\":1,\"deadline\":1700000000099,"
    "\"meta\":{\"x\":1},\"regions\":[{\"id\":\"p\",\"point\":[0.5,0.25],\"normalised\":true},{\"box\":[1,2,3,4]},"
    "{\"polygon\":[[0,0,9,0,9,9]]},{\"scribble\":[1,2,3,4],\"stroke_width\":2.5},"
    "{\"rle\":{\"size\":[10,10],\"counts\":[5,3,92]}}],\"tasks\":[{\"id\":\"t\",\"kind\":\"describe\","
    "\"regions\":[0,4]},{\"kind\":\"ask\",\"turns\":[\"a\",\"b\",\"c\"]},{\"kind\":\"locate\",\"phrase\":\"dog\","
    "\"options\":{\"stop\":[\"x\"],\"temperature\":0.5,\"seed\":7}}]}";

static struct job *read_job(const char *text)
{
    struct json *v = NULL;
    struct job *j = NULL;
    struct diag why = {""};
    cr_assert_eq(jsn_parse(text, strlen(text), "test", &v, &why), ST_OK, "%s", why.text);
    cr_assert_eq(job_from_json(v, NULL, &j, &why), ST_OK, "%s", why.text);
    jsn_free(v);
    return j;
}

static char *as_json(const struct job *j)
{
    struct json *v = NULL;
    cr_assert_eq(job_to_json(j, &v), ST_OK);
    char *text = jsn_text(v);
    jsn_free(v);
    return text;
}

Test(job_codec, a_decoded_job_is_the_encoded_one)
{
    struct job *j = read_job(RICH), *k = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    struct diag why = {""};
    cr_assert_eq(job_encode(j, &bytes, &len, &why), ST_OK, "%s", why.text);
    cr_assert_eq(job_decode(bytes, len, &k, &why), ST_OK, "%s", why.text);
    char *a = as_json(j), *b = as_json(k);
    cr_assert_str_eq(a, b);
    cr_assert_str_eq(k->tenant, "default");
    cr_assert_str_eq(k->campaign, "");
    free(a);
    free(b);
    free(bytes);
    job_free(j);
    job_free(k);
}

Test(job_codec, cut_short_at_any_byte_is_refused)
{
    struct job *j = read_job(RICH);
    uint8_t *bytes = NULL;
    size_t len = 0;
    cr_assert_eq(job_encode(j, &bytes, &len, NULL), ST_OK);
    for (size_t n = 0; n < len; n++) {
        /* a copy of the exact size, so that a sanitizer sees any read past it */
        uint8_t *cut = malloc(n ? n : 1);
        struct job *k = NULL;
        memcpy(cut, bytes, n);
        cr_assert_neq(job_decode(cut, n, &k, NULL), ST_OK, "cut to %zu of %zu bytes", n, len);
        cr_assert_null(k);
        free(cut);
    }
    free(bytes);
    job_free(j);
}

Test(job_codec, a_byte_behind_the_job_is_refused)
{
    struct job *j = read_job(RICH), *k = NULL;
    uint8_t *bytes = NULL, longer[4096];
    size_t len = 0;
    cr_assert_eq(job_encode(j, &bytes, &len, NULL), ST_OK);
    memcpy(longer, bytes, len);
    longer[len] = 0xC0;
    cr_assert_eq(job_decode(longer, len + 1, &k, NULL), ST_FORMAT);
    free(bytes);
    job_free(j);
}

Test(job_codec, any_changed_byte_is_a_job_within_the_rules_or_refused)
{
    struct job *j = read_job(RICH);
    uint8_t *bytes = NULL;
    size_t len = 0;
    cr_assert_eq(job_encode(j, &bytes, &len, NULL), ST_OK);
    for (size_t at = 0; at < len; at++) {
        uint8_t old = bytes[at];
        for (int v = 0; v < 256; v++) {
            struct job *k = NULL;
            bytes[at] = (uint8_t)v;
            if (job_decode(bytes, len, &k, NULL) == ST_OK) {
                if (job_check_meta(k, NULL) == ST_OK)
                    free(as_json(k));
                job_free(k);
            }
        }
        bytes[at] = old;
    }
    free(bytes);
    job_free(j);
}

Test(job_codec, a_job_over_the_limit_is_refused_by_name)
{
    enum { TURN = LIMIT_TEXT_BYTES * 3 / 4 };
    char *turn = calloc(1, TURN + 1), *line = NULL;
    memset(turn, 'x', TURN);
    cr_assert_gt(
        asprintf(&line,
                 "{\"image\":\"a\",\"id\":\"big\",\"tasks\":[{\"kind\":\"ask\",\"turns\":[\"%s\",\"b\",\"%s\"]}]}",
                 turn, turn),
        0);
    free(turn);
    struct job *j = read_job(line);
    uint8_t *bytes = NULL;
    size_t len = 0;
    struct diag why = {""};
    cr_assert_eq(job_encode(j, &bytes, &len, &why), ST_LIMIT);
    cr_assert(strstr(why.text, "\"big\"") && strstr(why.text, "16384"), "%s", why.text);
    free(line);
    job_free(j);
}

/* Changing these bytes breaks brokers and workers of different versions: raise CODEC_VERSION instead. */
Test(job_codec, the_golden_bytes_of_a_job_stay)
{
    static const char golden[] =
        "9d01a16bb1646174613a70686f746f732f612e6a7067a167a764656661756c74a77b2278223a317d000163a764656661756c74a0959900"
        "a170c394cb3fe0000000000000cb3fd00000000000000000909000c09200009901c0c29401020304909000c09200009902c0c294000000"
        "0096000009000909910300c09200009903c0c29400000000940102030490cb4004000000000000c09200009904c0c29400000000909000"
        "a435336c32920a0a939601a174920004909096cd020000010090c39603c0c09093a161a162a16396cd020000010090c39602c0c091a364"
        "6f679096cd0200cb3fe0000000000000010791a178c3";
    struct job *j = read_job(RICH);
    uint8_t *bytes = NULL;
    size_t len = 0;
    j->deadline_ms = 99; /* as when these bytes were fixed; JSON has only real ones */
    cr_assert_eq(job_encode(j, &bytes, &len, NULL), ST_OK);
    char *hex = calloc(1, 2 * len + 1);
    for (size_t i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    cr_assert_str_eq(hex, golden, "%s", hex);
    free(hex);
    free(bytes);
    job_free(j);
}

Test(job_codec, a_refused_input_keeps_the_word_of_its_error)
{
    static const char line[] = "{\"id\":\"m.jsonl:3\",\"image\":\"m.jsonl:3\",\"task\":\"caption\"}";
    struct json *v = NULL;
    struct job *j = NULL, *back = NULL;
    cr_assert_eq(jsn_parse(line, sizeof line - 1, "line", &v, NULL), ST_OK);
    cr_assert_eq(job_from_json(v, NULL, &j, NULL), ST_OK);
    jsn_free(v);
    j->refused = strdup("unknown_task");
    j->refused_why = strdup("task: unknown task");
    uint8_t *bytes = NULL;
    size_t len = 0;
    cr_assert_eq(job_encode(j, &bytes, &len, NULL), ST_OK);
    for (size_t cut = 0; cut < len; cut++)
        cr_expect_neq(job_decode(bytes, cut, &back, NULL), ST_OK, "cut at %zu", cut);
    cr_assert_eq(job_decode(bytes, len, &back, NULL), ST_OK);
    cr_expect_str_eq(back->refused, "unknown_task");
    cr_expect_str_eq(back->refused_why, "task: unknown task");
    free(bytes);
    job_free(back);
    job_free(j);
}

Test(job_codec, the_name_read_from_an_encoded_job_gives_its_id)
{
    struct job *j = read_job(RICH);
    uint8_t *bytes = NULL, want[ID_BYTES], found[ID_BYTES];
    size_t len = 0;
    struct job_name name;
    cr_assert_eq(job_encode(j, &bytes, &len, NULL), ST_OK);
    cr_assert_eq(job_name_read(bytes, len, &name), ST_OK);
    cr_expect(wire_view_is(name.key, "k") && wire_view_is(name.tenant, "default") && name.campaign.len == 0);
    job_id(j, want);
    job_name_id(&name, found);
    cr_expect(memcmp(want, found, ID_BYTES) == 0);
    size_t head = (size_t)(name.campaign.bytes + name.campaign.len - bytes);
    for (size_t n = 0; n < head; n++)
        cr_expect_neq(job_name_read(bytes, n, &name), ST_OK, "cut to %zu bytes", n);
    free(bytes);
    job_free(j);
}
