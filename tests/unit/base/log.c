#include "base/log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    const struct log log = {"broker", LOG_WARN};
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
    const struct log log = {"x", LOG_DEBUG};
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
