/* What the bench programs share: a check that ends the program, a watch, and a measure as a file that table.py reads.
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

#define CHECK(call)                                                                                                    \
    do {                                                                                                               \
        if (!(call)) {                                                                                                 \
            fprintf(stderr, "%s:%d: %s failed\n", __FILE__, __LINE__, #call);                                          \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Seconds of a turn. On a quiet machine those on the wall; where the turn's threads had to wait for a processor that
 * other programs held, the processor's time a thread, and every measure of the program says that the machine was busy.
 */
struct watch {
    int64_t start_us, waited_ns;
    double worked;
};
static bool watch_was_busy;

static inline double watch_worked(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Nanoseconds that the process' threads have been ready and not running; 0 where the kernel does not count them. */
static inline int64_t watch_waited(void)
{
    DIR *tasks = opendir("/proc/self/task");
    long long sum = 0, ran, waited;
    for (struct dirent *d = tasks ? readdir(tasks) : NULL; d; d = readdir(tasks)) {
        char path[300];
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", d->d_name);
        FILE *f = fopen(path, "r");
        if (f && fscanf(f, "%lld %lld", &ran, &waited) == 2)
            sum += waited;
        if (f)
            fclose(f);
    }
    if (tasks)
        closedir(tasks);
    return sum;
}

static inline struct watch watch_start(void)
{
    return (struct watch){.waited_ns = watch_waited(), .worked = watch_worked(), .start_us = clock_us()};
}

/* Of work that `threads` threads share. Threads that ended meanwhile must not be among them. */
static inline double watch_seconds(const struct watch *w, int threads)
{
    double wall = (double)(clock_us() - w->start_us) / 1e6, worked = watch_worked() - w->worked;
    double waited = (double)(watch_waited() - w->waited_ns) / 1e9;
    if (waited <= 0.02 * wall * threads)
        return wall;
    watch_was_busy = true;
    return worked / threads;
}

/* Names, what they mean and what is wanted of them stand in measures.tsv. */
struct measure {
    const char *name, *unit;
    double value;
    double baseline; /* in the same unit, from turns taken between those of the value; 0: none */
    double seconds;  /* that one turn of a rate takes; 0: not told */
};

/* FOLDER/NAME.json, and a line on stdout. */
static inline void measure_write(const char *folder, const struct measure *m)
{
    char path[512], json[64] = "\"baseline\": null, \"ratio\": null", text[64] = "", turn[48] = "", took[32] = "";
    snprintf(path, sizeof path, "%s/%s.json", folder, m->name);
    if (m->baseline > 0) {
        double ratio = m->value / m->baseline;
        snprintf(json, sizeof json, "\"baseline\": %.4g, \"ratio\": %.3f", m->baseline, ratio);
        snprintf(text, sizeof text, "baseline %.4g, ratio %.2f", m->baseline, ratio);
    }
    if (m->seconds > 0) {
        snprintf(turn, sizeof turn, ", \"seconds\": %.4g", m->seconds);
        snprintf(took, sizeof took, "%9.1f us  ", m->seconds * 1e6);
    }
    FILE *f = fopen(path, "w");
    CHECK(f);
    fprintf(f, "{\"name\": \"%s\", \"value\": %.4g, \"unit\": \"%s\", %s%s, \"busy\": %s}\n", m->name, m->value,
            m->unit, json, turn, watch_was_busy ? "true" : "false");
    CHECK(fclose(f) == 0);
    printf("%-36s %9.4g %-10s %s%s\n", m->name, m->value, m->unit, took, text);
    fflush(stdout);
}

/* The better of two rates, and of two times, of which 0 is none yet. */
static inline double more(double a, double b)
{
    return a > b ? a : b;
}
static inline double less(double a, double b)
{
    return a == 0 || b < a ? b : a;
}

#endif
