#include "base/log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"

/* What fn writes to stderr. */
static char *capture(void (*fn)(void))
{
    FILE *file = tmpfile();
    cr_assert(file);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    fn();
    dup2(saved, STDERR_FILENO);
    close(saved);
    long n = (fseek(file, 0, SEEK_END), ftell(file));
    char *text = calloc(1, (size_t)n + 1);
    rewind(file);
    cr_assert_eq(fread(text, 1, (size_t)n, file), (size_t)n);
    fclose(file);
    return text;
}

static void three_levels(void)
{
    const struct log log = {.component = "broker", .level = LOG_WARN};
    log_line(&log, LOG_ERROR, "job=%d lost", 7);
    log_line(&log, LOG_WARN, "slow");
    log_line(&log, LOG_INFO, "chatter");
}

Test(log, lines_have_time_level_and_component_and_lower_levels_are_dropped)
{
    char *text = capture(three_levels), stamp[32], *end = strchr(text, '\n');
    int year, month, day, hour, minute, second, ms, used = 0;
    cr_assert(end);
    cr_assert_eq(
        sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour, &minute, &second, &ms, &used), 7);
    snprintf(stamp, sizeof stamp, "%.*s", used, text);
    cr_assert_eq(strlen(stamp), 24);
    cr_assert(strncmp(text + used, " error broker: job=7 lost\n", 26) == 0, "%s", text);
    cr_assert(strstr(end, "broker: slow\n"));
    cr_assert_null(strstr(text, "chatter"));
    free(text);
}

static void long_line(void)
{
    const struct log log = {.component = "x", .level = LOG_DEBUG};
    char text[20000];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_line(&log, LOG_DEBUG, "%s", text);
}

Test(log, a_long_text_is_still_one_line)
{
    char *text = capture(long_line);
    size_t n = strlen(text);
    cr_assert(n > 24 && text[n - 1] == '\n' && strchr(text, '\n') == text + n - 1);
    free(text);
}

static void hostile_text(void)
{
    const struct log log = {.component = "x", .level = LOG_INFO};
    log_about(&log, LOG_INFO, "camp\naign", "0123", "%s", "a\n2026-01-01T00:00:00.000Z error x: forged\r\x1b[31m");
}

Test(log, a_text_from_outside_cannot_make_a_line_of_its_own)
{
    char *text = capture(hostile_text);
    size_t n = strlen(text);
    cr_assert(strchr(text, '\n') == text + n - 1, "%s", text);
    cr_assert(strstr(text, " info x: [camp?aign 0123] a?2026"), "%s", text);
    cr_assert_null(strchr(text, '\x1b'));
    free(text);
}

static void json_lines(void)
{
    const struct log log = {.component = "worker", .level = LOG_INFO, .form = LOG_JSON};
    log_about(&log, LOG_WARN, "c\"1", "00ff", "failed: %s", "it's \"quoted\"\n猫");
    log_line(&log, LOG_ERROR, "%s", "no \xff UTF-8");
    log_line(&log, LOG_DEBUG, "chatter");
}

Test(log, for_collectors_each_line_is_one_json_object)
{
    char *text = capture(json_lines), *end = strchr(text, '\n');
    struct json *line = NULL;
    cr_assert_eq(jsn_parse(text, (size_t)(end - text), "log", &line, NULL), ST_OK, "%s", text);
    cr_assert_str_eq(jsn_string(jsn_get(line, "level"), ""), "warn");
    cr_assert_str_eq(jsn_string(jsn_get(line, "component"), ""), "worker");
    cr_assert_str_eq(jsn_string(jsn_get(line, "campaign"), ""), "c\"1");
    cr_assert_str_eq(jsn_string(jsn_get(line, "job"), ""), "00ff");
    cr_assert_str_eq(jsn_string(jsn_get(line, "text"), ""), "failed: it's \"quoted\"?猫");
    cr_assert_eq(strlen(jsn_string(jsn_get(line, "time"), "")), 24);
    jsn_free(line);
    cr_assert_eq(jsn_parse(end + 1, strlen(end + 1), "log", &line, NULL), ST_OK, "%s", end + 1);
    cr_assert_str_eq(jsn_string(jsn_get(line, "text"), ""), "no ? UTF-8");
    cr_assert_null(jsn_get(line, "job"));
    jsn_free(line);
    free(text);
}

static void repeats(void)
{
    struct log log = {.component = "x", .level = LOG_INFO};
    cr_assert_eq(log_limits_new(&log.limits), ST_OK);
    for (int i = 0; i < 1000; i++) {
        log_line(&log, LOG_INFO, "slow peer %d", i);
        if (i % 500 == 0)
            log_line(&log, LOG_INFO, "something else");
    }
    log_limits_free(log.limits);
}

Test(log, a_line_that_repeats_is_written_a_few_times_and_hides_no_other)
{
    char *text = capture(repeats);
    int n = 0, others = 0;
    for (char *at = text; (at = strstr(at, "slow peer")) != NULL; at++)
        n++;
    for (char *at = text; (at = strstr(at, "something else")) != NULL; at++)
        others++;
    cr_assert_eq(n, 10);
    cr_assert_eq(others, 2);
    free(text);
}
