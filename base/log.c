#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"

enum { TEXT_BYTES = 2048, STAMP_BYTES = 40, KINDS = 64, BURST = 10, WINDOW_MS = 10000 };
static const char *const level_names[] = {"error", "warn", "info", "debug"};

struct setting_group log_flags_group(size_t at)
{
    static const struct setting rows[] = {
        {.name = "log",
         .type = SETTING_CHOICE,
         .offset = offsetof(struct log_flags, form),
         .fallback = "text",
         .choices = "text|json",
         .value = "FORM",
         .help = "lines on stderr for people, or one JSON object each for collectors"},
        {.name = "log-level",
         .type = SETTING_CHOICE,
         .offset = offsetof(struct log_flags, level),
         .fallback = "info",
         .choices = "error|warn|info|debug",
         .value = "LEVEL",
         .help = "what is logged at most"},
    };
    return (struct setting_group){.title = "log", .rows = rows, .n_rows = sizeof rows / sizeof *rows, .at = at};
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

struct kind {
    const char *fmt; /* its address is what counts */
    int64_t since_ms;
    int n, left_out;
};
struct log_limits {
    pthread_mutex_t lock;
    struct kind kinds[KINDS];
};

enum status log_limits_new(struct log_limits **out)
{
    struct log_limits *l = calloc(1, sizeof *l);
    if (!l || pthread_mutex_init(&l->lock, NULL) != 0) {
        free(l);
        return ST_NOMEM;
    }
    *out = l;
    return ST_OK;
}

void log_limits_free(struct log_limits *l)
{
    if (!l)
        return;
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* Of a kind that is not known the one that was silent longest gives way. */
static struct kind *kind_of(struct log_limits *l, const char *fmt)
{
    struct kind *oldest = &l->kinds[0];
    for (int i = 0; i < KINDS; i++) {
        if (l->kinds[i].fmt == fmt)
            return &l->kinds[i];
        if (l->kinds[i].since_ms < oldest->since_ms)
            oldest = &l->kinds[i];
    }
    *oldest = (struct kind){.fmt = fmt};
    return oldest;
}

/* Whether the line may be written; then *left_out is how many like it were not. */
static bool may_write(struct log_limits *l, const char *fmt, int *left_out)
{
    *left_out = 0;
    if (!l)
        return true;
    int64_t now = clock_ms();
    pthread_mutex_lock(&l->lock);
    struct kind *k = kind_of(l, fmt);
    if (k->n == 0 || now - k->since_ms >= WINDOW_MS) {
        *left_out = k->left_out;
        *k = (struct kind){.fmt = fmt, .since_ms = now};
    }
    bool may = k->n < BURST;
    k->n += may;
    k->left_out += !may;
    pthread_mutex_unlock(&l->lock);
    return may;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

struct line {
    const struct log *log;
    enum log_level level;
    const char *campaign, *job;
    char stamp[STAMP_BYTES], text[TEXT_BYTES];
    int left_out;
};

static void put_stamp(char out[STAMP_BYTES])
{
    struct timespec t;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    size_t n = strftime(out, STAMP_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, STAMP_BYTES - n, ".%03ldZ", t.tv_nsec / 1000000);
}

static void flatten(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

static char *text_form(const struct line *l)
{
    char *out = NULL, about[TEXT_BYTES] = "", more[64] = "";
    if (l->campaign || l->job) {
        snprintf(about, sizeof about, "[%s%s%s] ", l->campaign ? l->campaign : "", l->campaign && l->job ? " " : "",
                 l->job ? l->job : "");
        flatten(about);
    }
    if (l->left_out)
        snprintf(more, sizeof more, " (%d more like it were left out)", l->left_out);
    return asprintf(&out, "%s %s %s: %s%s%s\n", l->stamp, level_names[l->level], l->log->component, about, l->text,
                    more) < 0
               ? NULL
               : out;
}

/* What is not UTF-8 is shown as far as it is ASCII. */
static struct json *json_text(const char *text)
{
    struct json *value = jsn_new_string(text);
    char *plain = value ? NULL : strdup(text);
    for (char *c = plain; c && *c; c++)
        if ((unsigned char)*c > 0x7e)
            *c = '?';
    if (plain)
        value = jsn_new_string(plain);
    free(plain);
    return value;
}

static char *json_form(const struct line *l)
{
    struct json *o = jsn_new_object();
    const char *members[][2] = {{"time", l->stamp},
                                {"level", level_names[l->level]},
                                {"component", l->log->component},
                                {"campaign", l->campaign},
                                {"job", l->job},
                                {"text", l->text}};
    bool ok = o != NULL;
    for (size_t i = 0; ok && i < sizeof members / sizeof *members; i++)
        ok = !members[i][1] || jsn_put(o, members[i][0], json_text(members[i][1])) == ST_OK;
    if (ok && l->left_out)
        ok = jsn_put(o, "left_out", jsn_new_int(l->left_out)) == ST_OK;
    char *text = ok ? jsn_text(o) : NULL, *out = NULL;
    if (!text || asprintf(&out, "%s\n", text) < 0)
        out = NULL;
    free(text);
    jsn_free(o);
    return out;
}

PRINTF_LIKE(5, 0)
static void write_line(const struct log *log, enum log_level level, const char *campaign, const char *job,
                       const char *fmt, va_list args)
{
    struct line l = {.log = log, .level = level, .campaign = campaign, .job = job};
    if (level > log->level || !may_write(log->limits, fmt, &l.left_out))
        return;
    put_stamp(l.stamp);
    vsnprintf(l.text, sizeof l.text, fmt, args);
    flatten(l.text);
    char *out = log->form == LOG_JSON ? json_form(&l) : text_form(&l);
    if (out && write(STDERR_FILENO, out, strlen(out)) < 0)
        out[0] = '\0'; /* nobody left to tell */
    free(out);
}

void log_line(const struct log *log, enum log_level level, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    write_line(log, level, NULL, NULL, fmt, args);
    va_end(args);
}

void log_about(const struct log *log, enum log_level level, const char *campaign, const char *job, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    write_line(log, level, campaign, job, fmt, args);
    va_end(args);
}
