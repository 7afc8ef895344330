/* What the bench programs share: a check that ends the program, and a measure as a file that table.py reads. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(call)                                                                                                    \
    do {                                                                                                               \
        if (!(call)) {                                                                                                 \
            fprintf(stderr, "%s:%d: %s failed\n", __FILE__, __LINE__, #call);                                          \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

struct measure {
    const char *name, *unit;
    double value;
    double baseline; /* in the same unit, from turns taken between those of the value; 0: none */
};

/* FOLDER/NAME.json, and a line on stdout. */
static inline void measure_write(const char *folder, const struct measure *m)
{
    char path[512], json[64] = "\"baseline\": null, \"ratio\": null", text[64] = "";
    snprintf(path, sizeof path, "%s/%s.json", folder, m->name);
    if (m->baseline > 0) {
        double ratio = m->value / m->baseline;
        snprintf(json, sizeof json, "\"baseline\": %.4g, \"ratio\": %.3f", m->baseline, ratio);
        snprintf(text, sizeof text, "baseline %.4g, ratio %.2f", m->baseline, ratio);
    }
    FILE *f = fopen(path, "w");
    CHECK(f);
    fprintf(f, "{\"name\": \"%s\", \"value\": %.4g, \"unit\": \"%s\", %s}\n", m->name, m->value, m->unit, json);
    CHECK(fclose(f) == 0);
    printf("%-36s %9.4g %-10s %s\n", m->name, m->value, m->unit, text);
    fflush(stdout);
}

#endif
