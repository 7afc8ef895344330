#include "observe/process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/version.h"

static double cpu_seconds(void)
{
    struct rusage r;
    if (getrusage(RUSAGE_SELF, &r) != 0)
        return 0;
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* Second number of statm, in pages. */
static double resident_bytes(void)
{
    long all = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return 0;
    if (fscanf(f, "%ld %ld", &all, &resident) != 2)
        resident = 0;
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double open_files(void)
{
    enum { NOT_FILES = 3 }; /* ".", ".." and the folder itself */
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n - NOT_FILES;
}

/* Seconds since boot, of a clock or of field 22 of stat, which is counted behind the name in brackets. */
static double started_since_boot(void)
{
    enum { STAT_BYTES = 1024, FIELDS_BETWEEN = 20 };
    char text[STAT_BYTES] = "";
    FILE *f = fopen("/proc/self/stat", "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = '\0';
    const char *at = strrchr(text, ')');
    for (int i = 0; at && i < FIELDS_BETWEEN; i++)
        at = strchr(at + 1, ' ');
    long long ticks = 0;
    return at && sscanf(at, "%lld", &ticks) == 1 ? (double)ticks / (double)sysconf(_SC_CLK_TCK) : 0;
}

static double start_time(void)
{
    struct timespec boot;
    if (clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
        return 0;
    double up = (double)boot.tv_sec + (double)boot.tv_nsec / 1e9;
    return (double)clock_wall_ms() / 1000.0 - up + started_since_boot();
}

static void tell(void *ctx, struct exposition *e)
{
    const char *program = ctx;
    struct exposition_label labels[] = {{"program", program}, {"version", FERRETRY_VERSION}};
    exposition_family(e, METRIC_GAUGE, "ferretry_build_info", "1; what runs here is in the labels.");
    exposition_sample(e, "ferretry_build_info", "", labels, 2, 1);
    static const struct {
        enum metric_kind kind;
        const char *name, *help;
        double (*value)(void);
    } rows[] = {
        {METRIC_COUNTER, "process_cpu_seconds_total", "User and system CPU time spent.", cpu_seconds},
        {METRIC_GAUGE, "process_resident_memory_bytes", "Resident memory.", resident_bytes},
        {METRIC_GAUGE, "process_open_fds", "Open file descriptors.", open_files},
        {METRIC_GAUGE, "process_start_time_seconds", "Start of the process, in Unix time.", start_time},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        exposition_family(e, rows[i].kind, rows[i].name, rows[i].help);
        exposition_sample(e, rows[i].name, "", NULL, 0, rows[i].value());
    }
}

enum status process_metrics(struct metrics *m, const char *program)
{
    return metrics_ask(m, tell, (void *)(uintptr_t)program);
}
