/* `ferret watch`: a campaign's progress until it ends: a bar on a terminal, else a line every few seconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/crew.h"
#include "cli/progress.h"

enum {
    POLL_MS = 500,
    MAX_KINDS = 16,
    KIND_BYTES = 48,
    BATCHES_A_POLL = 8, /* of results, so that counting kinds of failure never gets in the way */
    LINE_COLUMNS = 80,
    REMAINING_BYTES = 160,
};

struct watch_options {
    struct link_flags link;
    bool json;
    double interval_s, idle_s;
};

struct failures {
    struct {
        char code[KIND_BYTES];
        uint64_t n;
    } kinds[MAX_KINDS];
    int n;
    uint64_t other;
};

struct watch {
    const struct watch_options *o;
    struct client *client;
    const char *campaign;
    struct campaign_status now;
    struct rate rate;
    struct failures failures;
    struct result_cursor cursor; /* of results read so far */
    bool bar;
    int64_t next_print_ms, idle_since_ms;
    const char *end; /* why it is over; NULL until then */
};

static const struct setting watch_rows[] = {
    {.name = "json",
     .type = SETTING_BOOL,
     .offset = offsetof(struct watch_options, json),
     .help = "one JSON object a tick on stdout"},
    {.name = "idle",
     .type = SETTING_SECONDS,
     .offset = offsetof(struct watch_options, idle_s),
     .fallback = "60",
     .min = 0,
     .max = 86400,
     .help = "how long to wait for more of a submit that has not said that it is over"},
    {.name = "interval",
     .type = SETTING_SECONDS,
     .offset = offsetof(struct watch_options, interval_s),
     .fallback = "5",
     .min = 0.1,
     .max = 3600,
     .help = "between lines; a terminal's bar moves by itself"},
};

/* ---- failures by kind ------------------------------------------------------------------------------------------- */

static void count_failure(struct failures *f, const char *code)
{
    for (int i = 0; i < f->n; i++) {
        if (strcmp(f->kinds[i].code, code) == 0) {
            f->kinds[i].n++;
            return;
        }
    }
    if (f->n == MAX_KINDS) {
        f->other++;
        return;
    }
    snprintf(f->kinds[f->n].code, KIND_BYTES, "%s", code);
    f->kinds[f->n++].n = 1;
}

static bool see_record(void *ctx, const uint8_t id[ID_BYTES], const char *record, size_t len)
{
    struct watch *w = ctx;
    (void)id;
    if (!memmem(record, len, "failed", strlen("failed"))) /* most records end here, unparsed */
        return true;
    struct json *root = NULL;
    if (jsn_parse(record, len, "record", &root, NULL) == ST_OK &&
        strcmp(jsn_string(jsn_get(root, "status"), ""), "failed") == 0)
        count_failure(&w->failures, jsn_string(jsn_get(jsn_get(root, "error"), "code"), "unknown"));
    jsn_free(root);
    return true;
}

static enum status read_failures(struct watch *w, struct diag *why)
{
    bool more = w->now.failed > 0;
    for (int i = 0; more && i < BATCHES_A_POLL; i++) {
        enum status s = client_results(w->client, w->campaign, &w->cursor, see_record, w, &more, why);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static void failures_text(const struct failures *f, char *out, size_t size)
{
    size_t n = 0;
    out[0] = 0;
    for (int i = 0; i < f->n && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s %llu", i ? ", " : " (", f->kinds[i].code,
                              (unsigned long long)f->kinds[i].n);
    if (f->other && n < size)
        n += (size_t)snprintf(out + n, size - n, ", other %llu", (unsigned long long)f->other);
    if (f->n && n < size)
        snprintf(out + n, size - n, ")");
}

/* ---- showing ---------------------------------------------------------------------------------------------------- */

static void remaining_text(const struct watch *w, char *out, size_t size)
{
    double rate = rate_value(&w->rate);
    uint64_t left = w->now.total - progress_ended(&w->now);
    char eta[32], class_text[CLASS_TEXT_BYTES];
    if (w->end)
        snprintf(out, size, "%s", w->end);
    else if (left == 0)
        snprintf(out, size, "waiting for more");
    else if (w->now.state == CAMPAIGN_PAUSED)
        snprintf(out, size, w->now.stopped[0] ? "stopped: too many failed" : "paused");
    else if (strcmp(w->now.stopped, "memory") == 0 || strcmp(w->now.stopped, "results") == 0)
        snprintf(out, size, "waits: Redis is full of results"); /* status says what to do */
    else if (crew_is_missing(&w->now)) {
        crew_class_text(w->now.class_name, class_text);
        snprintf(out, size, "no worker for its %s", class_text);
    } else if (rate <= 0)
        snprintf(out, size, "-- images/s");
    else {
        duration_text((double)left / rate, eta, sizeof eta);
        snprintf(out, size, "%.*f images/s, %s left", rate < 10 ? 2 : 0, rate, eta);
    }
}

static void print_line(const struct watch *w)
{
    char kinds[512], cancelled[48] = "", remaining[REMAINING_BYTES];
    failures_text(&w->failures, kinds, sizeof kinds);
    remaining_text(w, remaining, sizeof remaining);
    if (w->now.cancelled)
        snprintf(cancelled, sizeof cancelled, ", %llu cancelled", (unsigned long long)w->now.cancelled);
    fprintf(stderr, "%s: %llu of %llu done, %llu failed%s%s, %llu running, %s\n", w->campaign,
            (unsigned long long)w->now.done, (unsigned long long)w->now.total, (unsigned long long)w->now.failed, kinds,
            cancelled, (unsigned long long)w->now.running, remaining);
}

static int terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
        return size.ws_col;
    return LINE_COLUMNS;
}

static void draw_bar(const struct watch *w)
{
    char remaining[REMAINING_BYTES], text[REMAINING_BYTES + 96];
    remaining_text(w, remaining, sizeof remaining);
    int n = snprintf(text, sizeof text, " %llu/%llu, %llu failed, %s", (unsigned long long)progress_ended(&w->now),
                     (unsigned long long)w->now.total, (unsigned long long)w->now.failed, remaining);
    int width = terminal_columns() - n - 3;
    if (width < 4)
        width = 4;
    int full = w->now.total ? (int)((double)width * (double)progress_ended(&w->now) / (double)w->now.total) : 0;
    fputs("\r\033[K[", stderr);
    for (int i = 0; i < width; i++)
        fputc(i < full ? '=' : i == full ? '>' : ' ', stderr);
    fprintf(stderr, "]%s", text);
}

static enum status print_json(const struct watch *w)
{
    struct json *object = progress_json(&w->now);
    double rate = rate_value(&w->rate);
    enum status s = jsn_put(object, "images_per_s", rate < 0 ? jsn_new_null() : jsn_new_real(rate));
    struct json *kinds = jsn_new_object();
    for (int i = 0; s == ST_OK && i < w->failures.n; i++)
        s = jsn_put(kinds, w->failures.kinds[i].code, jsn_new_int((int64_t)w->failures.kinds[i].n));
    enum status put = jsn_put(object, "failures", kinds);
    s = print_object(object, s == ST_OK ? put : s);
    if (s != ST_OK)
        return s;
    return fflush(stdout) == 0 ? ST_OK : ST_CANCELLED; /* the end of the program says why */
}

static enum status show(struct watch *w)
{
    bool last = w->end != NULL;
    int64_t now = clock_ms();
    if (w->bar && !last)
        draw_bar(w);
    if (!last && now < w->next_print_ms)
        return ST_OK;
    w->next_print_ms = now + (int64_t)(w->o->interval_s * 1000);
    if (w->o->json)
        return print_json(w);
    if (w->bar && last)
        fputs("\r\033[K", stderr);
    if (!w->bar || last)
        print_line(w);
    return ST_OK;
}

/* ---- watching --------------------------------------------------------------------------------------------------- */

/* The newest campaign that has something left to do, else the newest. */
static enum status choose_campaign(struct client *client, char *name, size_t size, struct diag *why)
{
    struct campaign_status *all = NULL;
    size_t n = 0;
    enum status s = client_campaigns(client, &all, &n, why);
    if (s != ST_OK)
        return s;
    if (n == 0) {
        free(all);
        return diag_set(why, ST_MISSING, "no campaigns yet; `ferret submit` makes one");
    }
    size_t chosen = n - 1;
    for (size_t i = n; i-- > 0;) {
        if (!campaign_is_finished(&all[i])) {
            chosen = i;
            break;
        }
    }
    snprintf(name, size, "%s", all[chosen].name);
    free(all);
    return ST_OK;
}

/* Why there is nothing more to watch; NULL: there is. A submit that was killed never says that it is over: then the
 * campaign is given up on when nothing has come for a while. */
static const char *end_of(struct watch *w)
{
    const struct campaign_status *c = &w->now;
    int64_t now = clock_ms();
    bool idle = c->ready + c->running + c->delayed == 0;
    if (!idle || w->idle_since_ms == 0)
        w->idle_since_ms = now;
    if (!idle)
        return NULL;
    if (c->state == CAMPAIGN_CANCELLED)
        return "cancelled";
    if (c->completed)
        return c->total > 0 ? "complete" : "complete, nothing was submitted to it";
    return now - w->idle_since_ms >= (int64_t)(w->o->idle_s * 1000)
               ? "nothing more has come for a while, and no submit has said that it is over"
               : NULL;
}

static enum status watch_until_end(struct watch *w, struct diag *why)
{
    while (!w->end) {
        enum status s = client_status(w->client, w->campaign, &w->now, why);
        if (s == ST_OK)
            s = read_failures(w, why);
        if (s != ST_OK)
            return s;
        rate_add(&w->rate, clock_ms(), progress_ended(&w->now));
        w->end = end_of(w);
        if ((s = show(w)) != ST_OK)
            return s;
        if (!w->end)
            nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
    return ST_OK;
}

static enum status run(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    const struct watch_options *o = options;
    char name[LIMIT_NAME_BYTES + 1] = "";
    struct watch w = {.o = o, .campaign = settings_arg(settings, 0), .bar = isatty(STDERR_FILENO) && !o->json};
    enum status s = link_flags_open(&o->link, &w.client, why);
    if (s == ST_OK && !w.campaign) {
        s = choose_campaign(w.client, name, sizeof name, why);
        w.campaign = name;
    }
    if (s == ST_OK)
        s = watch_until_end(&w, why);
    client_close(w.client);
    *exit_code = w.now.failed || w.now.cancelled ? EXIT_ITEMS_FAILED : EXIT_OK;
    return s;
}

int cmd_watch(int argc, char **argv)
{
    struct watch_options o = {0};
    const struct setting_group groups[] = {
        link_flags_group(offsetof(struct watch_options, link)),
        key_flags_group(offsetof(struct watch_options, link.keys)),
        {.title = "output", .rows = watch_rows, .n_rows = sizeof watch_rows / sizeof *watch_rows},
    };
    const struct settings_program program = {
        .name = "ferret watch",
        .args = "[CAMPAIGN]",
        .summary =
            "Shows progress, rate and failures by kind until the campaign ends; without CAMPAIGN the newest one.\n"
            "Exit code 1: some images failed or were cancelled.",
        .examples = "  ferret watch\n  ferret watch my-campaign --json\n",
        .max_args = 1,
        .groups = groups,
        .n_groups = sizeof groups / sizeof *groups,
    };
    return command_run(&program, argc, argv, &o, run);
}
