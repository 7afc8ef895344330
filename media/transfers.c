#include "media/transfers.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "media/hosts.h"
#include "media/transfer.h"

enum { LONGEST_POLL_MS = 1000 };

struct transfers {
    const struct fetch_options *options;
    char user_agent[128];
    CURLM *multi;
    pthread_t thread;

    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    struct hosts *hosts;
    struct transfer *asked, **asked_end; /* in the order in which they came */
    struct transfer *running;            /* the thread's alone */
    int n_running;
    bool stopped, closing;
};

/* ---- one transfer on the thread -------------------------------------------------------------------------------------
 */

/* Hands the answer to whoever waits. With the lock. */
static void give_back(struct transfers *all, struct transfer *t, enum transfer_end end)
{
    t->answer->end = end;
    t->done = true;
    pthread_cond_broadcast(&all->changed);
}

/* With the lock; the transfer is out of the list of running ones. */
static void finish(struct transfers *all, struct transfer *t, enum transfer_end end)
{
    curl_multi_remove_handle(all->multi, t->easy);
    if (end == TRANSFER_ANSWERED)
        transfer_read_answer(t);
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    all->n_running--;
    hosts_end(all->hosts, t->request->host, clock_ms());
    give_back(all, t, end);
}

/* With the lock. */
static void begin(struct transfers *all, struct transfer *t, int64_t now)
{
    if (hosts_begin(all->hosts, t->request->host, now) != ST_OK) {
        give_back(all, t, TRANSFER_NO_MEMORY);
        return;
    }
    t->begun_ms = now;
    t->easy = curl_easy_init();
    all->n_running++;
    if (!t->easy || !transfer_prepare(t) || curl_multi_add_handle(all->multi, t->easy) != CURLM_OK) {
        finish(all, t, TRANSFER_NO_MEMORY);
        return;
    }
    t->next = all->running;
    all->running = t;
}

/* ---- the thread ----------------------------------------------------------------------------------------------------
 */

static void unlink_running(struct transfers *all, const struct transfer *t)
{
    struct transfer **link = &all->running;
    while (*link != t)
        link = &(*link)->next;
    *link = t->next;
}

/* Begins what has its turn; the time when the next one may. With the lock. */
static int64_t begin_asked(struct transfers *all, int64_t now)
{
    int64_t next = INT64_MAX;
    for (struct transfer **link = &all->asked; *link;) {
        struct transfer *t = *link;
        int64_t when = hosts_when(all->hosts, t->request->host, now);
        bool full = all->n_running >= all->options->max_transfers;
        if (when <= now && !full) {
            *link = t->next;
            begin(all, t, now);
            continue;
        }
        if (!full && when < next)
            next = when;
        link = &t->next;
    }
    all->asked_end = &all->asked;
    while (*all->asked_end)
        all->asked_end = &(*all->asked_end)->next;
    return next;
}

static void end_messages(struct transfers *all)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(all->multi, &left));) {
        struct transfer *t = NULL;
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE || curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t) != CURLE_OK)
            continue;
        transfer_find_words(t, code);
        unlink_running(all, t);
        finish(all, t, transfer_end_of(t, code));
    }
}

/* Ends transfers that have waited too long for a first byte; when the next one will have. */
static int64_t end_silent(struct transfers *all, int64_t now)
{
    int64_t next = INT64_MAX;
    for (struct transfer *t = all->running, *after; t; t = after) {
        after = t->next;
        if (t->first_byte)
            continue;
        int64_t limit = t->begun_ms + all->options->first_byte_timeout_ms;
        if (limit <= now) {
            unlink_running(all, t);
            finish(all, t, TRANSFER_FIRST_BYTE_TIMEOUT);
        } else if (limit < next) {
            next = limit;
        }
    }
    return next;
}

static void end_all(struct transfers *all)
{
    while (all->running) {
        struct transfer *t = all->running;
        all->running = t->next;
        finish(all, t, TRANSFER_STOPPED);
    }
    for (struct transfer *t = all->asked, *next; t; t = next) {
        next = t->next; /* whoever waits may free t at once */
        give_back(all, t, TRANSFER_STOPPED);
    }
    all->asked = NULL;
    all->asked_end = &all->asked;
}

/* One round; how long the next one may wait. */
static int turn(struct transfers *all)
{
    int going = 0;
    pthread_mutex_lock(&all->lock);
    int64_t now = clock_ms();
    if (all->stopped)
        end_all(all);
    int64_t next = begin_asked(all, now), silent;
    pthread_mutex_unlock(&all->lock);
    curl_multi_perform(all->multi, &going);
    pthread_mutex_lock(&all->lock);
    int before = all->n_running;
    end_messages(all);
    silent = end_silent(all, now);
    bool again = all->n_running < before && all->asked; /* what ended has made room */
    pthread_mutex_unlock(&all->lock);
    next = silent < next ? silent : next;
    int64_t wait = next == INT64_MAX ? LONGEST_POLL_MS : next - now;
    return again || wait < 0 ? 0 : wait < LONGEST_POLL_MS ? (int)wait : LONGEST_POLL_MS;
}

static void *work(void *ctx)
{
    struct transfers *all = ctx;
    bool closing = false;
    while (!closing) {
        int wait = turn(all);
        curl_multi_poll(all->multi, NULL, 0, wait, NULL);
        pthread_mutex_lock(&all->lock);
        closing = all->closing;
        pthread_mutex_unlock(&all->lock);
    }
    return NULL;
}

/* ---- who asks ------------------------------------------------------------------------------------------------------
 */

void transfers_run(struct transfers *t, const struct transfer_request *r, struct transfer_answer *out)
{
    *out = (struct transfer_answer){0};
    struct transfer own = {.options = t->options, .user_agent = t->user_agent, .request = r, .answer = out};
    pthread_mutex_lock(&t->lock);
    if (t->stopped) {
        out->end = TRANSFER_STOPPED;
    } else {
        *t->asked_end = &own;
        t->asked_end = &own.next;
        curl_multi_wakeup(t->multi);
        while (!own.done)
            pthread_cond_wait(&t->changed, &t->lock);
    }
    pthread_mutex_unlock(&t->lock);
}

void transfers_pause(struct transfers *t, const char *host, int64_t ms)
{
    pthread_mutex_lock(&t->lock);
    hosts_pause(t->hosts, host, clock_ms() + ms);
    pthread_mutex_unlock(&t->lock);
}

bool transfers_sleep(struct transfers *t, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&t->lock);
    while (!t->stopped && pthread_cond_timedwait(&t->changed, &t->lock, &until) == 0)
        ;
    bool go_on = !t->stopped;
    pthread_mutex_unlock(&t->lock);
    return go_on;
}

void transfers_stop(struct transfers *t)
{
    pthread_mutex_lock(&t->lock);
    t->stopped = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    curl_multi_wakeup(t->multi);
}

/* ---- life ----------------------------------------------------------------------------------------------------------
 */

static void free_all(struct transfers *t)
{
    if (t->multi)
        curl_multi_cleanup(t->multi);
    hosts_free(t->hosts);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
    curl_global_cleanup();
}

static void init_waiting(struct transfers *t)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&t->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

enum status transfers_open(const struct fetch_options *o, struct transfers **out, struct diag *why)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return diag_set(why, ST_IO, "libcurl does not start");
    struct transfers *t = calloc(1, sizeof *t);
    if (!t) {
        curl_global_cleanup();
        return ST_NOMEM;
    }
    t->options = o;
    t->asked_end = &t->asked;
    snprintf(t->user_agent, sizeof t->user_agent, "%s", o->user_agent);
    init_waiting(t);
    t->multi = curl_multi_init();
    enum status s = t->multi ? hosts_new(o->host_transfers, o->host_delay_ms, &t->hosts) : ST_NOMEM;
    if (s == ST_OK) {
        curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, 2L * o->max_transfers);
        if (pthread_create(&t->thread, NULL, work, t) != 0)
            s = diag_set(why, ST_NOMEM, "the thread of the transfers could not be started");
    }
    if (s != ST_OK) {
        free_all(t);
        return s;
    }
    *out = t;
    return ST_OK;
}

void transfers_close(struct transfers *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stopped = t->closing = true;
    pthread_mutex_unlock(&t->lock);
    curl_multi_wakeup(t->multi);
    pthread_join(t->thread, NULL);
    free_all(t);
}
